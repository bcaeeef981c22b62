//! Sqrt: the square root.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = √x`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy / (2y)`: ∞ at 0.
/// **Numerics** correctly rounded (IEEE 754); NaN below 0, `√-0 = -0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sqrt;

impl<'g> Var<'g> {
    /// The square root, see [`Sqrt`].
    #[track_caller]
    pub fn sqrt(self) -> Var<'g> {
        self.record(Sqrt, &[self])
    }
}

impl Primitive<1> for Sqrt {
    const NAME: &'static str = "sqrt";
    const TRAITS: Traits = Traits::ELEMENTWISE;
    const EXACT: bool = true;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, f64::sqrt))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy / (y * 2.0)).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Sqrt)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Sqrt, [dims.float().within(0.2, 4.0)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn the_slope_at_zero_is_infinite() {
        let g = Graph::new();
        let x = g.input("x", F32, []);
        let dx = g.grad(x.sqrt(), &[x])[0].eval(&[&Tensor::scalar(0.0f32)]).unwrap();
        assert_eq!(dx.item(), Some(f64::INFINITY));
        assert!(g.input("i", I32, []).sqrt().ok().is_err()); // (C1)
    }
}
