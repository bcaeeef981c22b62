//! Ln: the natural logarithm.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = ln x`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy / x`.
/// **Numerics** ≤ 2 ulp in f32; -∞ at 0, NaN below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ln;

impl<'g> Var<'g> {
    /// The natural logarithm, see [`Ln`].
    #[track_caller]
    pub fn ln(self) -> Var<'g> {
        self.record(Ln, &[self])
    }
}

impl Primitive<1> for Ln {
    const NAME: &'static str = "ln";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, f64::ln))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy / x).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Ln)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Ln, [dims.float().within(0.1, 4.0)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn zero_gives_minus_infinity_and_negatives_nan() {
        let g = Graph::new();
        let y = g.input("x", F32, [2]).ln();
        let y = y.eval(&[&Tensor::new([2], vec![0.0f32, -1.0]).unwrap()]).unwrap().to_f64s();
        assert_eq!(y[0], f64::NEG_INFINITY);
        assert!(y[1].is_nan());
        assert!(g.input("i", I32, []).ln().ok().is_err()); // (C1)
    }
}
