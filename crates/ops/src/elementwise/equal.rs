//! Equal: `a = b`.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = (a = b)`, elementwise; the method broadcasts.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | any, equal | (C1) equal types |
/// | `y` | as `a` | bool | |
///
/// **Gradient** none: it cuts.
/// **Numerics** IEEE 754: NaN equals nothing, `-0 = 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Equal;

impl<'g> Var<'g> {
    /// Is it equal? See [`Equal`].
    #[track_caller]
    pub fn equal(self, other: impl Operand<'g>) -> Var<'g> {
        self.binary(Equal, other)
    }
}

impl Primitive<2> for Equal {
    const NAME: &'static str = "equal";
    const TRAITS: Traits = Traits::ELEMENTWISE.and(Traits::COMMUTATIVE);
    const EXACT: bool = true;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        Ok(a.require_same(b)?.with_dtype(DType::Bool)) // (C1)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(compare(a, b, |a, b| a == b, |a, b| a == b))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 2], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Equal)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        [dims.float, DType::I64, DType::Bool]
            .into_iter()
            .map(|dtype| {
                let x = || dims.of(dtype, dims.shape.clone());
                Sample::new(Equal, [x(), x()]).values_only()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn nan_equals_nothing() {
        let g = Graph::new();
        let x = g.input("x", F32, [2]);
        let y = x.equal(x).eval(&[&Tensor::new([2], vec![f32::NAN, 1.0]).unwrap()]).unwrap();
        assert_eq!(y.to_vec::<bool>().unwrap(), [false, true]);
    }
}
