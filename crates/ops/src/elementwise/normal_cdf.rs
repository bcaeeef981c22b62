//! NormalCdf: the distribution function of the standard normal distribution.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = Φ(x) = (1 + erf(x/√2)) / 2`, elementwise: the probability that a standard normal number is
/// below `x`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · exp(-x²/2) / √(2π)`.
/// **Numerics** ≤ 1 ulp in f32, also in the left tail, where the sum with erf loses all digits; in
/// f64 to `x²` ulp there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NormalCdf;

impl<'g> Var<'g> {
    /// The distribution function of the standard normal distribution, see [`NormalCdf`].
    #[track_caller]
    pub fn normal_cdf(self) -> Var<'g> {
        self.record(NormalCdf, &[self])
    }
}

impl Primitive<1> for NormalCdf {
    const NAME: &'static str = "normal_cdf";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, |x| 0.5 * libm::erfc(-x * FRAC_1_SQRT_2)))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let density = (x * x * -0.5).exp() * (1.0 / TAU.sqrt());
        (dy * density).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::NormalCdf)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(NormalCdf, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn the_left_tail_keeps_its_digits() {
        let g = Graph::new();
        let y = g.input("x", F64, [4]).normal_cdf();
        let at = Tensor::new([4], vec![0.0, -10.0, f64::NEG_INFINITY, 9.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([0.5, 7.619_853_024_160_527e-24, 0.0, 1.0]) {
            assert!((y - want).abs() <= 1e-14 * want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).normal_cdf().ok().is_err()); // (C1)
    }
}
