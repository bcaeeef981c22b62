//! LessEqual: `a ≤ b`.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = (a ≤ b)`, elementwise; the methods broadcast.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | any number, equal | (C1) number, (C2) equal types |
/// | `y` | as `a` | bool | |
///
/// **Gradient** none: it cuts.
/// **Numerics** IEEE 754: false if either is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LessEqual;

impl<'g> Var<'g> {
    /// Is it less or equal? See [`LessEqual`].
    #[track_caller]
    pub fn less_equal(self, other: impl Operand<'g>) -> Var<'g> {
        self.binary(LessEqual, other)
    }

    /// Is it greater or equal? [`LessEqual`] with its operands exchanged.
    #[track_caller]
    pub fn greater_equal(self, other: impl Operand<'g>) -> Var<'g> {
        other.like(self).binary(LessEqual, self)
    }
}

impl Primitive<2> for LessEqual {
    const NAME: &'static str = "less_equal";
    const TRAITS: Traits = Traits::ELEMENTWISE;
    const EXACT: bool = true;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_number(0)?; // (C1)
        Ok(a.require_same(b)?.with_dtype(DType::Bool)) // (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(compare(a, b, |a, b| a <= b, |a, b| a <= b))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 2], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::LessEqual)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        [dims.float, DType::I32, DType::U8]
            .into_iter()
            .map(|dtype| {
                let x = || dims.of(dtype, dims.shape.clone());
                Sample::new(LessEqual, [x(), x()]).values_only()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn nan_is_on_neither_side() {
        let g = Graph::new();
        let x = g.input("x", F32, []);
        let nan = Tensor::scalar(f32::NAN);
        assert_eq!(x.less_equal(1.0).eval(&[&nan]).unwrap(), Tensor::scalar(false));
        assert_eq!(x.greater_equal(1.0).eval(&[&nan]).unwrap(), Tensor::scalar(false));
        assert!(g.input("b", BOOL, []).less_equal(x).ok().is_err()); // (C1)
    }
}
