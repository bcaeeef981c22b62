//! Not: logical not.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = ¬a`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a` | equal | bool | (C1) bool |
/// | `y` | as `a` | bool | |
///
/// **Gradient** none: it cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Not;

impl<'g> Var<'g> {
    /// Logical not, see [`Not`]; `!mask` is the same.
    #[track_caller]
    #[expect(clippy::should_implement_trait, reason = "it is implemented, too: see below")]
    pub fn not(self) -> Var<'g> {
        self.record(Not, &[self])
    }
}

impl<'g> std::ops::Not for Var<'g> {
    type Output = Var<'g>;
    #[track_caller]
    fn not(self) -> Var<'g> {
        self.record(Not, &[self])
    }
}

impl Primitive<1> for Not {
    const NAME: &'static str = "not";
    const TRAITS: Traits = Traits::ELEMENTWISE;
    const EXACT: bool = true;

    fn infer(&self, [a]: [&Type; 1]) -> Result<Type, TypeError> {
        a.require_dtype(0, DType::Bool)?; // (C1)
        Ok(a.clone())
    }

    fn eval(&self, [a]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let a = a.to_i64s();
        Ok(Tensor::build_i64(y, |i| 1 - a[i]))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    /// `¬¬a = a`.
    fn simplify(&self, [a]: [Var<'_>; 1]) -> Simpler<Op> {
        match node_if(a, |op| matches!(op, Op::Not(_))) {
            Some(inner) => Simpler::Existing(inner.inputs[0]),
            None => Simpler::Same,
        }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Not)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let x = || dims.of(DType::Bool, dims.shape.clone());
        vec![Sample::new(Not, [x()]).values_only()]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn its_truth_table() {
        let g = Graph::new();
        let a = g.input("a", BOOL, [2]);
        let x = Tensor::new([2], vec![false, true]).unwrap();
        assert_eq!(a.not().eval(&[&x]).unwrap().to_i64s(), [1, 0]);
        assert_eq!((!a).id(), a.not().id());
        assert_eq!((!!a).id(), a.id());
        let c = g.input("c", F32, [4]);
        assert!(c.not().ok().is_err()); // (C1)
    }
}
