//! Asin: the inverse sine.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = arcsin x`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy / √(1 - x²)`: ∞ at ±1.
/// **Numerics** ≤ 1 ulp; NaN outside of [-1, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Asin;

impl<'g> Var<'g> {
    /// The inverse sine, in [-π/2, π/2], see [`Asin`].
    #[track_caller]
    pub fn asin(self) -> Var<'g> {
        self.record(Asin, &[self])
    }
}

impl Primitive<1> for Asin {
    const NAME: &'static str = "asin";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::asin))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy / ((1.0 - x) * (x + 1.0)).sqrt()).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Asin)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Asin, [dims.float().within(-0.9, 0.9)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).asin();
        let at = Tensor::new([3], vec![0.0, 0.5, -1.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in
            y.iter().zip([0.0, std::f64::consts::FRAC_PI_6, -std::f64::consts::FRAC_PI_2])
        {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).asin().ok().is_err()); // (C1)
    }
}
