//! Acosh: the inverse hyperbolic cosine.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = ln(x + √(x² - 1))`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy / √(x² - 1)`: ∞ at 1.
/// **Numerics** ≤ 2 ulp; NaN below 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Acosh;

impl<'g> Var<'g> {
    /// The inverse hyperbolic cosine, see [`Acosh`].
    #[track_caller]
    pub fn acosh(self) -> Var<'g> {
        self.record(Acosh, &[self])
    }
}

impl Primitive<1> for Acosh {
    const NAME: &'static str = "acosh";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::acosh))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        // Two roots: the square of a large number overflows.
        (dy / ((x - 1.0).sqrt() * (x + 1.0).sqrt())).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Acosh)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Acosh, [dims.float().within(1.2, 4.0)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).acosh();
        let at = Tensor::new([3], vec![1.0, 2.0, f64::INFINITY]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([0.0, 1.3169578969248166, f64::INFINITY]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).acosh().ok().is_err()); // (C1)
    }
}
