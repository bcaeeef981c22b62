//! Hypot: the length of a vector of two.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = √(a² + b²)`, elementwise; the method broadcasts.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | float, equal | (C1) float, (C2) equal types |
/// | `y` | as `a` | as `a` | |
///
/// **Gradient** `da = dy · a / y`, `db = dy · b / y`; subgradient 0 at the origin, as that of a norm
/// (PyTorch's `hypot` gives NaN there).
/// **Numerics** ≤ 1 ulp, without overflow; ∞ if either is infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hypot;

impl<'g> Var<'g> {
    /// The length of the vector `(self, other)`, see [`Hypot`].
    #[track_caller]
    pub fn hypot(self, other: impl Operand<'g>) -> Var<'g> {
        self.binary(Hypot, other)
    }
}

impl Primitive<2> for Hypot {
    const NAME: &'static str = "hypot";
    const TRAITS: Traits = Traits::ELEMENTWISE.and(Traits::COMMUTATIVE);

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_float(0)?; // (C1)
        a.require_same(b) // (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(binary(a, b, libm::hypot, |_, _| 0))
    }

    fn vjp<'g>(&self, slot: usize, [a, b]: [Var<'g>; 2], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let length = y.equal(0.0).select(1.0, y);
        (dy * (if slot == 0 { a } else { b } / length)).into()
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Hypot)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Hypot, [dims.float(), dims.float().within(0.3, 2.0)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn large_numbers_do_not_overflow_and_the_slope_at_the_origin_is_zero() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F64, [3]), g.input("b", F64, [3]));
        let x = Tensor::new([3], vec![3.0, 0.0, 1e200]).unwrap();
        let y = Tensor::new([3], vec![4.0, 0.0, 0.0]).unwrap();
        let at = |v: Var<'_>| v.eval(&[&x, &y]).unwrap().to_f64s();
        assert_eq!(at(a.hypot(b)), [5.0, 0.0, 1e200]);
        assert_eq!(at(g.grad(a.hypot(b), &[a])[0]), [0.6, 0.0, 1.0]);
        let i = g.input("i", I64, [3]);
        assert!(i.hypot(i).ok().is_err()); // (C1)
        assert!(a.hypot(g.input("f", F32, [3])).ok().is_err()); // (C2)
    }
}
