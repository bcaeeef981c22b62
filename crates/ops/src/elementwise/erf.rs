//! Erf: the error function.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = 2/√π · ∫₀ˣ exp(-t²) dt`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · 2/√π · exp(-x²)`.
/// **Numerics** ≤ 2 ulp in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Erf;

impl<'g> Var<'g> {
    /// The error function, see [`Erf`].
    #[track_caller]
    pub fn erf(self) -> Var<'g> {
        self.record(Erf, &[self])
    }
}

impl Primitive<1> for Erf {
    const NAME: &'static str = "erf";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::erf))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * ((-(x * x)).exp() * std::f64::consts::FRAC_2_SQRT_PI)).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Erf)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Erf, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).erf();
        let at = Tensor::new([3], vec![0.0, 1.0, f64::NEG_INFINITY]).unwrap();
        assert_eq!(y.eval(&[&at]).unwrap().to_f64s(), [0.0, 0.8427007929497149, -1.0]);
        assert!(g.input("i", I64, []).erf().ok().is_err()); // (C1)
    }
}
