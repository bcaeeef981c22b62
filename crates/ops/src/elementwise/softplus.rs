//! Softplus: a smooth `max(x, 0)`.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = ln(1 + exp(x))`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · sigmoid(x)`.
/// **Numerics** computed as `max(x, 0) + ln_1p(exp(-|x|))`: no overflow. **Source** Dugas et al., NIPS 2000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Softplus;

impl<'g> Var<'g> {
    /// `ln(1 + exp(self))`, see [`Softplus`].
    #[track_caller]
    pub fn softplus(self) -> Var<'g> {
        self.record(Softplus, &[self])
    }
}

fn softplus(x: f64) -> f64 {
    let positive = if x > 0.0 { x } else { 0.0 };
    positive + (-x.abs()).exp().ln_1p()
}

impl Primitive<1> for Softplus {
    const NAME: &'static str = "softplus";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, softplus))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * x.sigmoid()).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Softplus)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Softplus, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn large_inputs_do_not_overflow() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).softplus();
        let at = Tensor::new([3], vec![0.0, 1000.0, -100.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([2f64.ln(), 1000.0, 3.720_075_976_020_836e-44]) {
            assert!((y - want).abs() <= 1e-15 * f64::abs(want), "{y} {want}");
        }
        assert!(g.input("i", I64, []).softplus().ok().is_err()); // (C1)
    }
}
