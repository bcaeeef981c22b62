//! Sub: `a - b`.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = a - b`, elementwise; the operator `-` broadcasts.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | any number, equal | (C1) number, (C2) equal types |
/// | `y` | as `a` | as `a` | |
///
/// **Gradient** `da = dy`, `db = -dy`.
/// **Numerics** IEEE 754; integers wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sub;

impl Primitive<2> for Sub {
    const NAME: &'static str = "sub";
    const TRAITS: Traits = Traits::ELEMENTWISE;
    const EXACT: bool = true;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_number(0)?; // (C1)
        a.require_same(b) // (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(binary(a, b, |a, b| a - b, i64::wrapping_sub))
    }

    fn vjp<'g>(&self, slot: usize, _: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        if slot == 0 { dy.into() } else { (-dy).into() }
    }

    /// `x - 0 = x`; for integers also `x - x = 0`.
    fn simplify(&self, [a, b]: [Var<'_>; 2]) -> Simpler<Op> {
        let float = a.dtype().is_float();
        match splat(b) {
            Some(c) if c == 0.0 && (c.is_sign_positive() || !float) => Simpler::Existing(a.id()),
            _ if a.id() == b.id() && !float => match a.ty() {
                Some(ty) => Simpler::Push(Full::new(&ty, 0.0).into(), SmallVec::new()),
                None => Simpler::Same,
            },
            _ => Simpler::Same,
        }
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Sub)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let ints = || dims.of(DType::U8, dims.shape.clone());
        vec![Sample::new(Sub, [dims.float(), dims.float()]), Sample::new(Sub, [ints(), ints()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn a_float_minus_itself_is_kept_because_of_nan() {
        let g = Graph::new();
        let x = g.input("x", F32, []);
        let nan = Tensor::scalar(f32::NAN);
        assert!((x - x).eval(&[&nan]).unwrap().item().unwrap().is_nan());
        assert_eq!((x - 0.0).id(), x.id());
        let i = g.input("i", I32, []);
        assert_eq!((i - i).eval(&[&nan, &Tensor::scalar(3i32)]).unwrap(), Tensor::scalar(0i32));
    }
}
