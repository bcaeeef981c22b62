//! Mul: `a · b`.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = a · b`, elementwise; the operator `*` broadcasts.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | any number, equal | (C1) number, (C2) equal types |
/// | `y` | as `a` | as `a` | |
///
/// **Gradient** `da = dy · b`, `db = dy · a`.
/// **Numerics** IEEE 754; integers wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mul;

impl Primitive<2> for Mul {
    const NAME: &'static str = "mul";
    const TRAITS: Traits = Traits::ELEMENTWISE.and(Traits::COMMUTATIVE).and(Traits::MULTILINEAR);
    const EXACT: bool = true;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_number(0)?; // (C1)
        a.require_same(b) // (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(binary(a, b, |a, b| a * b, i64::wrapping_mul))
    }

    fn vjp<'g>(&self, slot: usize, [a, b]: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * if slot == 0 { b } else { a }).into()
    }

    /// `x · 1 = x`; for integers also `x · 0 = 0`.
    fn simplify(&self, [a, b]: [Var<'_>; 2]) -> Simpler<Op> {
        for (x, c) in [(a, b), (b, a)] {
            match splat(c) {
                Some(1.0) => return Simpler::Existing(x.id()),
                Some(0.0) if !c.dtype().is_float() => return Simpler::Existing(c.id()),
                _ => {}
            }
        }
        Simpler::Same
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Mul)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let ints = || dims.of(DType::I32, dims.shape.clone());
        vec![Sample::new(Mul, [dims.float(), dims.float()]), Sample::new(Mul, [ints(), ints()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn one_is_neutral_and_zero_is_kept_for_floats_because_of_nan() {
        let g = Graph::new();
        let x = g.input("x", F32, []);
        assert_eq!((x * 1.0).id(), x.id());
        assert_eq!((1.0 * x).id(), x.id());
        let nan = Tensor::scalar(f32::NAN);
        assert!((x * 0.0).eval(&[&nan]).unwrap().item().unwrap().is_nan());
    }

    #[test]
    fn integers_wrap() {
        let g = Graph::new();
        let x = g.input("x", I32, []);
        let y = (x * x).eval(&[&Tensor::scalar(65_536i32)]).unwrap();
        assert_eq!(y, Tensor::scalar(0i32));
    }
}
