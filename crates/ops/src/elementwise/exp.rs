//! Exp: the exponential.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = eˣ`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · y`.
/// **Numerics** ≤ 2 ulp in f32; overflows to ∞ above 88.7 (709.8 in f64), underflows to 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exp;

impl<'g> Var<'g> {
    /// `e` to the power of `self`, see [`Exp`].
    #[track_caller]
    pub fn exp(self) -> Var<'g> {
        self.record(Exp, &[self])
    }
}

impl Primitive<1> for Exp {
    const NAME: &'static str = "exp";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, f64::exp))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * y).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Exp)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Exp, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn integers_are_refused() {
        let g = Graph::new();
        let y = g.input("x", I64, [2]).exp(); // (C1)
        let error = y.ok().unwrap_err().reason.to_string();
        assert_eq!(error, "expected operand 0 to be a float, got i64");
    }
}
