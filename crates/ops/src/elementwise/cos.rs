//! Cos: the cosine.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = cos x`, `x` in radians, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = -dy · sin x`.
/// **Numerics** ≤ 1 ulp in f32; NaN at ±∞.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cos;

impl<'g> Var<'g> {
    /// The cosine, see [`Cos`].
    #[track_caller]
    pub fn cos(self) -> Var<'g> {
        self.record(Cos, &[self])
    }
}

impl Primitive<1> for Cos {
    const NAME: &'static str = "cos";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, f64::cos))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (-(dy * x.sin())).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Cos)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Cos, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [2]).cos();
        let at = Tensor::new([2], vec![0.0, 1.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([1.0, 0.540_302_305_868_139_8]) {
            assert!((y - want).abs() <= 1e-15 * f64::abs(want), "{y} {want}");
        }
        assert!(g.input("i", I64, []).cos().ok().is_err()); // (C1)
    }
}
