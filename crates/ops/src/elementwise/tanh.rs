//! Tanh: the hyperbolic tangent.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = tanh x`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · (1 - y²)`.
/// **Numerics** ≤ 2 ulp in f32; ±1 beyond |x| = 9.1 (19.1 in f64).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tanh;

impl<'g> Var<'g> {
    /// The hyperbolic tangent, see [`Tanh`].
    #[track_caller]
    pub fn tanh(self) -> Var<'g> {
        self.record(Tanh, &[self])
    }
}

impl Primitive<1> for Tanh {
    const NAME: &'static str = "tanh";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, f64::tanh))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * (1.0 - y * y)).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Tanh)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Tanh, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).tanh();
        let at = Tensor::new([3], vec![0.0, 1.0, -50.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([0.0, 0.761594155955765, -1.0]) {
            assert!((y - want).abs() <= 1e-15 * f64::abs(want), "{y} {want}");
        }
        assert!(g.input("i", I64, []).tanh().ok().is_err()); // (C1)
    }
}
