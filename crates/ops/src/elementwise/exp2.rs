//! Exp2: a power of two.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = 2ˣ`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · y · ln 2`.
/// **Numerics** ≤ 1 ulp; integers give exact powers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exp2;

impl<'g> Var<'g> {
    /// Two to the power `self`, see [`Exp2`].
    #[track_caller]
    pub fn exp2(self) -> Var<'g> {
        self.record(Exp2, &[self])
    }
}

impl Primitive<1> for Exp2 {
    const NAME: &'static str = "exp2";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::exp2))
    }

    fn vjp<'g>(&self, _: usize, [_]: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * (y * std::f64::consts::LN_2)).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Exp2)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Exp2, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).exp2();
        let at = Tensor::new([3], vec![3.0, 0.5, -1.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([8.0, std::f64::consts::SQRT_2, 0.5]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).exp2().ok().is_err()); // (C1)
    }
}
