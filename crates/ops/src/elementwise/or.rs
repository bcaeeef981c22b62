//! Or: logical or.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = a ∨ b`, elementwise; the method broadcasts.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | bool | (C1) bool |
/// | `y` | as `a` | bool | |
///
/// **Gradient** none: it cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Or;

impl<'g> Var<'g> {
    /// Logical or, see [`Or`].
    #[track_caller]
    pub fn or(self, other: Var<'g>) -> Var<'g> {
        self.binary(Or, other)
    }
}

impl Primitive<2> for Or {
    const NAME: &'static str = "or";
    const TRAITS: Traits = Traits::ELEMENTWISE.and(Traits::COMMUTATIVE);
    const EXACT: bool = true;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_dtype(0, DType::Bool)?; // (C1)
        a.require_same(b)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], y: &Type) -> Result<Tensor, EvalError> {
        let (a, b) = (a.to_i64s(), b.to_i64s());
        Ok(Tensor::build_i64(y, |i| a[i] | b[i]))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 2], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Or)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let x = || dims.of(DType::Bool, dims.shape.clone());
        vec![Sample::new(Or, [x(), x()]).values_only()]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn its_truth_table() {
        let g = Graph::new();
        let (a, b) = (g.input("a", BOOL, [4]), g.input("b", BOOL, [4]));
        let x = Tensor::new([4], vec![false, false, true, true]).unwrap();
        let y = Tensor::new([4], vec![false, true, false, true]).unwrap();
        assert_eq!(a.or(b).eval(&[&x, &y]).unwrap().to_i64s(), [0, 1, 1, 1]);
        let c = g.input("c", F32, [4]);
        assert!(c.or(c).ok().is_err()); // (C1)
    }
}
