//! Atanh: the inverse hyperbolic tangent.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = ln((1 + x) / (1 - x)) / 2`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy / (1 - x²)`: ∞ at ±1.
/// **Numerics** ≤ 2 ulp, also near 0; ±∞ at ±1, NaN beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Atanh;

impl<'g> Var<'g> {
    /// The inverse hyperbolic tangent, see [`Atanh`].
    #[track_caller]
    pub fn atanh(self) -> Var<'g> {
        self.record(Atanh, &[self])
    }
}

impl Primitive<1> for Atanh {
    const NAME: &'static str = "atanh";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::atanh))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy / ((1.0 - x) * (x + 1.0))).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Atanh)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Atanh, [dims.float().within(-0.9, 0.9)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).atanh();
        let at = Tensor::new([3], vec![0.5, 1e-20, -1.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([0.5493061443340549, 1e-20, f64::NEG_INFINITY]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).atanh().ok().is_err()); // (C1)
    }
}
