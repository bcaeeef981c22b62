//! LogAddExp: the logarithm of a sum of exponentials.

use pleach_kernels::special;
use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = ln(exp(a) + exp(b))`, elementwise; the method broadcasts.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | float, equal | (C1) float, (C2) equal types |
/// | `y` | as `a` | as `a` | |
///
/// **Gradient** `da = dy · sigmoid(a - b)`, `db = dy · sigmoid(b - a)`; equal infinities have half
/// each.
/// **Numerics** computed as `max(a, b) + ln_1p(exp(-|a - b|))`: no overflow, an error of at most
/// 2 ulp of the larger of result and operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogAddExp;

impl<'g> Var<'g> {
    /// `ln(exp(self) + exp(other))`, see [`LogAddExp`].
    #[track_caller]
    pub fn logaddexp(self, other: impl Operand<'g>) -> Var<'g> {
        self.binary(LogAddExp, other)
    }
}

impl Primitive<2> for LogAddExp {
    const NAME: &'static str = "logaddexp";
    const TRAITS: Traits = Traits::ELEMENTWISE.and(Traits::COMMUTATIVE);

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_float(0)?; // (C1)
        a.require_same(b) // (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(binary(a, b, special::logaddexp, |_, _| 0))
    }

    fn vjp<'g>(&self, slot: usize, [a, b]: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let (own, other) = if slot == 0 { (a, b) } else { (b, a) };
        let infinite = a.equal(b).and(a.abs().equal(f64::INFINITY));
        (dy * infinite.select(0.0, own - other).sigmoid()).into()
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::LogAddExp)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        // One operand is positive, so that nothing cancels.
        vec![Sample::new(LogAddExp, [dims.float(), dims.float().within(0.1, 2.0)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn neither_large_nor_infinite_numbers_make_nan() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F64, [4]), g.input("b", F64, [4]));
        let low = f64::NEG_INFINITY;
        let x = Tensor::new([4], vec![1000.0, low, low, f64::INFINITY]).unwrap();
        let y = Tensor::new([4], vec![1000.0, low, 3.0, f64::INFINITY]).unwrap();
        let at = |v: Var<'_>| v.eval(&[&x, &y]).unwrap().to_f64s();
        assert_eq!(at(a.logaddexp(b)), [1000.0 + 2f64.ln(), low, 3.0, f64::INFINITY]);
        let da = g.grad(a.logaddexp(b), &[a])[0];
        assert_eq!(at(da), [0.5, 0.5, 0.0, 0.5]);
        assert_eq!(at(g.grad(da, &[a])[0])[0], 0.25);
        let i = g.input("i", I64, [4]);
        assert!(i.logaddexp(i).ok().is_err()); // (C1)
        assert!(a.logaddexp(g.input("f", F32, [4])).ok().is_err()); // (C2)
    }
}
