//! Fmod: the remainder of the truncated quotient.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = a - trunc(a / b) · b`, elementwise; the method broadcasts.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | any number, equal | (C1) number, (C2) equal types |
/// | `y` | as `a` | as `a` | |
///
/// **Gradient** `da = dy`, `db = -dy · trunc(a / b)`.
/// **Numerics** exact, of the sign of `a`; NaN for an infinite `a` and for `b = 0`. For integers
/// `a` by 0 is `a`: quotient (0) and remainder give `a` back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fmod;

impl<'g> Var<'g> {
    /// The remainder of the quotient truncated toward zero, see [`Fmod`]; it has the sign of
    /// `self`. [`remainder`](Var::remainder) has that of the divisor.
    #[track_caller]
    pub fn fmod(self, other: impl Operand<'g>) -> Var<'g> {
        self.binary(Fmod, other)
    }
}

impl Primitive<2> for Fmod {
    const NAME: &'static str = "fmod";
    const TRAITS: Traits = Traits::ELEMENTWISE;
    const EXACT: bool = true;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_number(0)?; // (C1)
        a.require_same(b) // (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(binary(a, b, libm::fmod, |a, b| if b == 0 { a } else { a.wrapping_rem(b) }))
    }

    fn vjp<'g>(&self, slot: usize, [a, b]: [Var<'g>; 2], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        if !y.dtype().is_float() {
            return Grad::Cut;
        }
        if slot == 0 { dy.into() } else { (-(dy * (a / b).trunc())).into() }
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Fmod)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let ints = || dims.of(DType::I32, dims.shape.clone());
        let (small, large) = (dims.float().within(0.1, 0.9), dims.float().within(1.0, 1.5));
        vec![
            Sample::new(Fmod, [small, large]),
            Sample::new(Fmod, [dims.float().within(3.1, 3.9), dims.float().within(1.4, 1.5)]),
            Sample::new(Fmod, [ints(), ints()]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn it_has_the_sign_of_the_dividend() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F64, [4]), g.input("b", F64, [4]));
        let x = Tensor::new([4], vec![5.5, -5.5, 5.5, -5.5]).unwrap();
        let y = Tensor::new([4], vec![2.0, 2.0, -2.0, -2.0]).unwrap();
        let at = |v: Var<'_>| v.eval(&[&x, &y]).unwrap().to_f64s();
        assert_eq!(at(a.fmod(b)), [1.5, -1.5, 1.5, -1.5]);
        assert_eq!(at(g.grad(a.fmod(b), &[b])[0]), [-2.0, 2.0, 2.0, -2.0]);
    }

    #[test]
    fn an_integer_by_zero_is_left() {
        let g = Graph::new();
        let (a, b) = (g.input("a", I32, [3]), g.input("b", I32, [3]));
        let x = Tensor::new([3], vec![-7, 7, i32::MIN]).unwrap();
        let y = Tensor::new([3], vec![2, 0, -1]).unwrap();
        assert_eq!(a.fmod(b).eval(&[&x, &y]).unwrap().to_i64s(), [-1, 7, 0]);
        let c = g.input("c", BOOL, [3]);
        assert!(c.fmod(c).ok().is_err()); // (C1)
        assert!(a.fmod(c).ok().is_err()); // (C2)
    }
}
