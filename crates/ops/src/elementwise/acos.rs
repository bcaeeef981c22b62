//! Acos: the inverse cosine.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = arccos x`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = -dy / √(1 - x²)`: -∞ at ±1.
/// **Numerics** ≤ 1 ulp; NaN outside of [-1, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Acos;

impl<'g> Var<'g> {
    /// The inverse cosine, in [0, π], see [`Acos`].
    #[track_caller]
    pub fn acos(self) -> Var<'g> {
        self.record(Acos, &[self])
    }
}

impl Primitive<1> for Acos {
    const NAME: &'static str = "acos";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::acos))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (-(dy / ((1.0 - x) * (x + 1.0)).sqrt())).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Acos)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Acos, [dims.float().within(-0.9, 0.9)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).acos();
        let at = Tensor::new([3], vec![1.0, 0.5, -1.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([0.0, std::f64::consts::FRAC_PI_3, std::f64::consts::PI]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).acos().ok().is_err()); // (C1)
    }
}
