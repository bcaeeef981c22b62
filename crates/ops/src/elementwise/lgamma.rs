//! Lgamma: the logarithm of the gamma function.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = ln |Γ(x)|`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · digamma(x)`.
/// **Numerics** ≤ 2 ulp right of 0, a few beside the roots left of it; ∞ at 0, at negative integers and at ±∞.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lgamma;

impl<'g> Var<'g> {
    /// The logarithm of the absolute value of the gamma function, see [`Lgamma`].
    #[track_caller]
    pub fn lgamma(self) -> Var<'g> {
        self.record(Lgamma, &[self])
    }
}

impl Primitive<1> for Lgamma {
    const NAME: &'static str = "lgamma";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::lgamma))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * x.digamma()).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Lgamma)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Lgamma, [dims.float().within(0.3, 6.0)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).lgamma();
        let at = Tensor::new([3], vec![1.0, 5.0, 0.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([0.0, 24f64.ln(), f64::INFINITY]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).lgamma().ok().is_err()); // (C1)
    }
}
