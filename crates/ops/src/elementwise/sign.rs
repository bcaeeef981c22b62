//! Sign: -1, 0 or 1.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = x / |x|`, elementwise; 0 at 0.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any number | (C1) number |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** zero, as PyTorch gives: a parameter behind it is reached, and does not move.
/// **Numerics** exact; ±0 and NaN stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sign;

impl<'g> Var<'g> {
    /// -1, 0 or 1, see [`Sign`].
    #[track_caller]
    pub fn sign(self) -> Var<'g> {
        self.record(Sign, &[self])
    }
}

impl Primitive<1> for Sign {
    const NAME: &'static str = "sign";
    const TRAITS: Traits = Traits::ELEMENTWISE;
    const EXACT: bool = true;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_number(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        let float = |x: f64| if x == 0.0 || x.is_nan() { x } else { x.signum() };
        Ok(unary(x, float, i64::signum))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Zero
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Sign)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let ints = dims.of(DType::I64, dims.shape.clone());
        vec![Sample::new(Sign, [dims.float().avoiding(&[0.0])]), Sample::new(Sign, [ints])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn zero_and_nan_stay() {
        let g = Graph::new();
        let y = g.input("x", F32, [4]).sign();
        let at = Tensor::new([4], vec![-2.0f32, -0.0, 3.0, f32::NAN]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(y[..3], [-1.0, 0.0, 1.0]);
        assert!(y[1].is_sign_negative() && y[3].is_nan());
        assert!(g.input("b", BOOL, []).sign().ok().is_err()); // (C1)
    }
}
