//! Expm1: the exponential function less 1.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = exp(x) - 1`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · (y + 1)`.
/// **Numerics** ≤ 2 ulp, also near 0, where `exp(x) - 1` loses all digits; -1 at -∞.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Expm1;

impl<'g> Var<'g> {
    /// `exp(self) - 1`, see [`Expm1`].
    #[track_caller]
    pub fn expm1(self) -> Var<'g> {
        self.record(Expm1, &[self])
    }
}

impl Primitive<1> for Expm1 {
    const NAME: &'static str = "expm1";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::expm1))
    }

    fn vjp<'g>(&self, _: usize, [_]: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * (y + 1.0)).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Expm1)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Expm1, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn small_numbers_keep_their_digits() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).expm1();
        let at = Tensor::new([3], vec![1e-18, 1.0, f64::NEG_INFINITY]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([1e-18, 1.718281828459045, -1.0]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).expm1().ok().is_err()); // (C1)
    }
}
