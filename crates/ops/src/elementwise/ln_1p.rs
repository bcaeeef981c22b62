//! Ln1p: the natural logarithm of 1 + x.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = ln(1 + x)`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy / (1 + x)`.
/// **Numerics** ≤ 2 ulp in f32, also near 0, where `ln(1 + x)` loses all digits; -∞ at -1, NaN below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ln1p;

impl<'g> Var<'g> {
    /// The natural logarithm of `1 + self`, see [`Ln1p`].
    #[track_caller]
    pub fn ln_1p(self) -> Var<'g> {
        self.record(Ln1p, &[self])
    }
}

impl Primitive<1> for Ln1p {
    const NAME: &'static str = "ln_1p";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, f64::ln_1p))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy / (x + 1.0)).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Ln1p)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Ln1p, [dims.float().within(-0.8, 3.0)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn small_numbers_keep_their_digits() {
        let g = Graph::new();
        let y = g.input("x", F64, [2]).ln_1p();
        let at = Tensor::new([2], vec![1e-18, 1.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([1e-18, 2f64.ln()]) {
            assert!((y - want).abs() <= 1e-15 * f64::abs(want), "{y} {want}");
        }
        assert!(g.input("i", I64, []).ln_1p().ok().is_err()); // (C1)
    }
}
