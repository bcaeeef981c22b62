//! Minimum: the smaller of two.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = min(a, b)`, elementwise; the method broadcasts.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | any number, equal | (C1) number, (C2) equal types |
/// | `y` | as `a` | as `a` | |
///
/// **Gradient** flows to the smaller; at `a = b` half to each, as PyTorch does.
/// **Numerics** NaN if either is NaN; `min(-0, 0) = -0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Minimum;

impl<'g> Var<'g> {
    /// The smaller of two, see [`Minimum`].
    #[track_caller]
    pub fn minimum(self, other: impl Operand<'g>) -> Var<'g> {
        self.binary(Minimum, other)
    }
}

/// IEEE 754-2019 `minimum`: NaN propagates, -0 is smaller than 0.
pub(crate) fn ieee_min(a: f64, b: f64) -> f64 {
    match () {
        () if a.is_nan() || b.is_nan() => f64::NAN,
        () if a == b => {
            if a.is_sign_negative() {
                a
            } else {
                b
            }
        }
        () => a.min(b),
    }
}

impl Primitive<2> for Minimum {
    const NAME: &'static str = "minimum";
    const TRAITS: Traits = Traits::ELEMENTWISE.and(Traits::COMMUTATIVE);
    const EXACT: bool = true;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_number(0)?; // (C1)
        a.require_same(b) // (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(binary(a, b, ieee_min, i64::min))
    }

    fn vjp<'g>(&self, slot: usize, [a, b]: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let (own, other) = if slot == 0 { (a, b) } else { (b, a) };
        let tied = a.equal(b).select(dy * 0.5, 0.0);
        own.less(other).select(dy, tied).into()
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Min)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let ints = || dims.of(DType::I64, dims.shape.clone());
        let apart = [dims.float().within(-2.0, 2.0), dims.float().within(-2.0, 2.0)];
        vec![Sample::new(Minimum, apart), Sample::new(Minimum, [ints(), ints()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn nan_propagates_and_minus_zero_beats_zero() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F32, [3]), g.input("b", F32, [3]));
        let x = Tensor::new([3], vec![f32::NAN, 1.0, -0.0]).unwrap();
        let y = Tensor::new([3], vec![1.0, f32::NAN, 0.0]).unwrap();
        let m = a.minimum(b).eval(&[&x, &y]).unwrap().to_f64s();
        assert!(m[0].is_nan() && m[1].is_nan() && m[2].is_sign_negative());
    }

    #[test]
    fn a_tie_shares_the_gradient() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F32, []), g.input("b", F32, []));
        let one = Tensor::scalar(1.0f32);
        for d in g.grad(a.minimum(b), &[a, b]) {
            assert_eq!(d.eval(&[&one, &one]).unwrap().item(), Some(0.5));
        }
    }
}
