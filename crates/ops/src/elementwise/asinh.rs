//! Asinh: the inverse hyperbolic sine.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = ln(x + √(x² + 1))`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy / √(x² + 1)`.
/// **Numerics** ≤ 2 ulp, also near 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Asinh;

impl<'g> Var<'g> {
    /// The inverse hyperbolic sine, see [`Asinh`].
    #[track_caller]
    pub fn asinh(self) -> Var<'g> {
        self.record(Asinh, &[self])
    }
}

impl Primitive<1> for Asinh {
    const NAME: &'static str = "asinh";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::asinh))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy / (x * x + 1.0).sqrt()).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Asinh)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Asinh, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).asinh();
        let at = Tensor::new([3], vec![0.0, 1.0, -1e-20]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([0.0, 0.881373587019543, -1e-20]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).asinh().ok().is_err()); // (C1)
    }
}
