//! Sin: the sine.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = sin x`, `x` in radians, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · cos x`.
/// **Numerics** ≤ 1 ulp in f32; NaN at ±∞.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sin;

impl<'g> Var<'g> {
    /// The sine, see [`Sin`].
    #[track_caller]
    pub fn sin(self) -> Var<'g> {
        self.record(Sin, &[self])
    }
}

impl Primitive<1> for Sin {
    const NAME: &'static str = "sin";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, f64::sin))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * x.cos()).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Sin)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Sin, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [2]).sin();
        let at = Tensor::new([2], vec![0.0, 1.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([0.0, 0.841_470_984_807_896_5]) {
            assert!((y - want).abs() <= 1e-15 * f64::abs(want), "{y} {want}");
        }
        assert!(g.input("i", I64, []).sin().ok().is_err()); // (C1)
    }
}
