//! Tan: the tangent.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = tan x`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · (1 + y²)`.
/// **Numerics** ≤ 1 ulp; NaN at ±∞.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tan;

impl<'g> Var<'g> {
    /// The tangent of an angle in radians, see [`Tan`].
    #[track_caller]
    pub fn tan(self) -> Var<'g> {
        self.record(Tan, &[self])
    }
}

impl Primitive<1> for Tan {
    const NAME: &'static str = "tan";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::tan))
    }

    fn vjp<'g>(&self, _: usize, [_]: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * (y * y + 1.0)).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Tan)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Tan, [dims.float().within(-1.2, 1.2)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).tan();
        let at = Tensor::new([3], vec![0.0, 1.0, -1.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([0.0, 1.557407724654902, -1.557407724654902]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).tan().ok().is_err()); // (C1)
    }
}
