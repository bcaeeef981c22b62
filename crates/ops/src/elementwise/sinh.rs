//! Sinh: the hyperbolic sine.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = (exp(x) - exp(-x)) / 2`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · cosh(x)`.
/// **Numerics** ≤ 2 ulp, also near 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sinh;

impl<'g> Var<'g> {
    /// The hyperbolic sine, see [`Sinh`].
    #[track_caller]
    pub fn sinh(self) -> Var<'g> {
        self.record(Sinh, &[self])
    }
}

impl Primitive<1> for Sinh {
    const NAME: &'static str = "sinh";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::sinh))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * x.cosh()).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Sinh)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Sinh, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).sinh();
        let at = Tensor::new([3], vec![0.0, 1.0, -1e-20]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([0.0, 1.1752011936438014, -1e-20]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).sinh().ok().is_err()); // (C1)
    }
}
