//! Less: `a < b`.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = (a < b)`, elementwise; the methods broadcast.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | any number, equal | (C1) number, (C2) equal types |
/// | `y` | as `a` | bool | |
///
/// **Gradient** none: it cuts.
/// **Numerics** IEEE 754: false if either is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Less;

impl<'g> Var<'g> {
    /// Is it less? See [`Less`].
    #[track_caller]
    pub fn less(self, other: impl Operand<'g>) -> Var<'g> {
        self.binary(Less, other)
    }

    /// Is it greater? [`Less`] with its operands exchanged.
    #[track_caller]
    pub fn greater(self, other: impl Operand<'g>) -> Var<'g> {
        other.like(self).binary(Less, self)
    }
}

impl Primitive<2> for Less {
    const NAME: &'static str = "less";
    const TRAITS: Traits = Traits::ELEMENTWISE;
    const EXACT: bool = true;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_number(0)?; // (C1)
        Ok(a.require_same(b)?.with_dtype(DType::Bool)) // (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(compare(a, b, |a, b| a < b, |a, b| a < b))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 2], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Less)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        [dims.float, DType::I32, DType::U8]
            .into_iter()
            .map(|dtype| {
                let x = || dims.of(dtype, dims.shape.clone());
                Sample::new(Less, [x(), x()]).values_only()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn nan_is_neither_less_nor_greater() {
        let g = Graph::new();
        let x = g.input("x", F32, []);
        let nan = Tensor::scalar(f32::NAN);
        assert_eq!(x.less(1.0).eval(&[&nan]).unwrap(), Tensor::scalar(false));
        assert_eq!(x.greater(1.0).eval(&[&nan]).unwrap(), Tensor::scalar(false));
        assert!(g.input("b", BOOL, []).less(x).ok().is_err()); // (C1)
    }
}
