//! Sigmoid: the logistic function.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = 1 / (1 + exp(-x))`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · y · (1 - y)`.
/// **Numerics** computed from `exp(-|x|)`: never overflows, and small values keep their digits;
/// ≤ 2 ulp in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sigmoid;

impl<'g> Var<'g> {
    /// The logistic function, see [`Sigmoid`].
    #[track_caller]
    pub fn sigmoid(self) -> Var<'g> {
        self.record(Sigmoid, &[self])
    }
}

fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

impl Primitive<1> for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, sigmoid))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * y * (1.0 - y)).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Sigmoid)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Sigmoid, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn both_ends_keep_their_digits() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).sigmoid();
        let at = Tensor::new([3], vec![0.0, -100.0, 1000.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([0.5, 3.720_075_976_020_836e-44, 1.0]) {
            assert!((y - want).abs() <= 1e-15 * f64::abs(want), "{y} {want}");
        }
        assert!(g.input("i", I64, []).sigmoid().ok().is_err()); // (C1)
    }
}
