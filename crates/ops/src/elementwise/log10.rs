//! Log10: the logarithm to base 10.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = log₁₀ x`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy / (x · ln 10)`.
/// **Numerics** ≤ 1 ulp; -∞ at 0, NaN below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Log10;

impl<'g> Var<'g> {
    /// The logarithm to base 10, see [`Log10`].
    #[track_caller]
    pub fn log10(self) -> Var<'g> {
        self.record(Log10, &[self])
    }
}

impl Primitive<1> for Log10 {
    const NAME: &'static str = "log10";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::log10))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy / (x * std::f64::consts::LN_10)).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Log10)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Log10, [dims.float().within(0.2, 4.0)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).log10();
        let at = Tensor::new([3], vec![1000.0, 0.01, 0.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([3.0, -2.0, f64::NEG_INFINITY]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).log10().ok().is_err()); // (C1)
    }
}
