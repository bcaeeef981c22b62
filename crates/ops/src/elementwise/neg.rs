//! Neg: `-x`.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = -x`, elementwise; the operator `-`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any number | (C1) number |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = -dy`.
/// **Numerics** exact; the sign of zero and NaN flips; integers wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Neg;

impl Primitive<1> for Neg {
    const NAME: &'static str = "neg";
    const TRAITS: Traits = Traits::ELEMENTWISE.and(Traits::LINEAR);
    const EXACT: bool = true;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_number(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(unary(x, |x| -x, i64::wrapping_neg))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (-dy).into()
    }

    /// `-(-x) = x`.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        match node_if(x, |op| matches!(op, Op::Neg(_))) {
            Some(inner) => Simpler::Existing(inner.inputs[0]),
            None => Simpler::Same,
        }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Neg)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let ints = dims.of(DType::U8, dims.shape.clone());
        vec![Sample::new(Neg, [dims.float()]), Sample::new(Neg, [ints])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn twice_is_nothing() {
        let g = Graph::new();
        let x = g.input("x", F32, [2]);
        assert_eq!((-(-x)).id(), x.id());
        assert!((-g.input("b", BOOL, [])).ok().is_err()); // (C1)
    }
}
