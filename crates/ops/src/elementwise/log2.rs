//! Log2: the logarithm to base 2.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = log₂ x`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy / (x · ln 2)`.
/// **Numerics** ≤ 1 ulp; -∞ at 0, NaN below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Log2;

impl<'g> Var<'g> {
    /// The logarithm to base 2, see [`Log2`].
    #[track_caller]
    pub fn log2(self) -> Var<'g> {
        self.record(Log2, &[self])
    }
}

impl Primitive<1> for Log2 {
    const NAME: &'static str = "log2";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::log2))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy / (x * std::f64::consts::LN_2)).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Log2)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Log2, [dims.float().within(0.2, 4.0)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).log2();
        let at = Tensor::new([3], vec![8.0, 0.25, 0.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([3.0, -2.0, f64::NEG_INFINITY]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).log2().ok().is_err()); // (C1)
    }
}
