//! Atan: the inverse tangent.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = arctan x`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy / (1 + x²)`.
/// **Numerics** ≤ 1 ulp; ±π/2 at ±∞.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Atan;

impl<'g> Var<'g> {
    /// The inverse tangent, in [-π/2, π/2]; see [`atan2`](Var::atan2) for all directions, see [`Atan`].
    #[track_caller]
    pub fn atan(self) -> Var<'g> {
        self.record(Atan, &[self])
    }
}

impl Primitive<1> for Atan {
    const NAME: &'static str = "atan";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::atan))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy / (x * x + 1.0)).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Atan)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Atan, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).atan();
        let at = Tensor::new([3], vec![0.0, 1.0, f64::NEG_INFINITY]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in
            y.iter().zip([0.0, std::f64::consts::FRAC_PI_4, -std::f64::consts::FRAC_PI_2])
        {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).atan().ok().is_err()); // (C1)
    }
}
