//! Erfinv: the inverse of the error function.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `erf(y) = x`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · √π/2 · exp(y²)`.
/// **Numerics** ≤ 4 ulp; ±∞ at ±1, NaN beyond. See [`erfinv`](pleach_kernels::special::erfinv).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Erfinv;

impl<'g> Var<'g> {
    /// The inverse of the error function, see [`Erfinv`].
    #[track_caller]
    pub fn erfinv(self) -> Var<'g> {
        self.record(Erfinv, &[self])
    }
}

impl Primitive<1> for Erfinv {
    const NAME: &'static str = "erfinv";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, pleach_kernels::special::erfinv))
    }

    fn vjp<'g>(&self, _: usize, [_]: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * ((y * y).exp() * (1.0 / std::f64::consts::FRAC_2_SQRT_PI))).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Erfinv)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Erfinv, [dims.float().within(-0.9, 0.9)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).erfinv();
        let at = Tensor::new([3], vec![0.0, 0.5, -1.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([0.0, 0.4769362762044699, f64::NEG_INFINITY]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).erfinv().ok().is_err()); // (C1)
    }
}
