//! Add: `a + b`.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = a + b`, elementwise; the operator `+` broadcasts.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | any number, equal | (C1) number, (C2) equal types |
/// | `y` | as `a` | as `a` | |
///
/// **Gradient** `da = dy`, `db = dy`.
/// **Numerics** IEEE 754; integers wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Add;

impl Primitive<2> for Add {
    const NAME: &'static str = "add";
    const TRAITS: Traits = Traits::ELEMENTWISE.and(Traits::COMMUTATIVE);
    const EXACT: bool = true;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_number(0)?; // (C1)
        a.require_same(b) // (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(binary(a, b, |a, b| a + b, i64::wrapping_add))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        dy.into()
    }

    /// `x + (-0) = x`, and for integers `x + 0 = x`. For floats `x + 0` is not `x`: `-0 + 0 = 0`.
    fn simplify(&self, [a, b]: [Var<'_>; 2]) -> Simpler<Op> {
        let neutral = |v: Var<'_>| match splat(v) {
            Some(c) => c == 0.0 && (c.is_sign_negative() || !v.dtype().is_float()),
            None => false,
        };
        match () {
            () if neutral(b) => Simpler::Existing(a.id()),
            () if neutral(a) => Simpler::Existing(b.id()),
            () => Simpler::Same,
        }
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Add)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let ints = || dims.of(DType::I64, dims.shape.clone());
        vec![Sample::new(Add, [dims.float(), dims.float()]), Sample::new(Add, [ints(), ints()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn adding_zero_is_kept_for_floats_because_of_the_sign_of_zero() {
        let g = Graph::new();
        let x = g.input("x", F32, [2]);
        assert_ne!((x + 0.0).id(), x.id());
        assert_eq!((x + -0.0).id(), x.id());
        let i = g.input("i", I64, [2]);
        assert_eq!((i + 0).id(), i.id());
    }

    #[test]
    fn shapes_broadcast_and_gradients_are_summed_back() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F64, [2, 3]), g.input("b", F64, [3]));
        let db = g.grad(a + b, &[b])[0];
        assert_eq!(db.shape(), [3].into());
        let zeros = |s: &[usize]| Tensor::full(&Type::new(F64, s).unwrap(), 0.0);
        assert_eq!(db.eval(&[&zeros(&[2, 3]), &zeros(&[3])]).unwrap().to_f64s(), [2.0; 3]);
    }

    #[test]
    fn element_types_are_not_mixed() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F64, [2]), g.input("b", F32, [2])); // (C2)
        let error = (a + b).ok().unwrap_err().to_string();
        assert!(error.starts_with("add(f64[2], f32[2]): element types differ"), "{error}");
        let c = g.input("c", BOOL, [2]); // (C1)
        assert!((c + c).ok().is_err());
    }
}
