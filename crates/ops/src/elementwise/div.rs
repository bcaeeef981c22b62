//! Div: `a / b`.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = a / b`, elementwise; the operator `/` broadcasts.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | any number, equal | (C1) number, (C2) equal types |
/// | `y` | as `a` | as `a` | |
///
/// **Gradient** `da = dy / b`, `db = -da · y`.
/// **Numerics** IEEE 754. Integers are truncated toward zero; by zero gives 0, the least number
/// by -1 wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Div;

impl Primitive<2> for Div {
    const NAME: &'static str = "div";
    const TRAITS: Traits = Traits::ELEMENTWISE;
    const EXACT: bool = true;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_number(0)?; // (C1)
        a.require_same(b) // (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(binary(a, b, |a, b| a / b, |a, b| if b == 0 { 0 } else { a.wrapping_div(b) }))
    }

    fn vjp<'g>(&self, slot: usize, [_, b]: [Var<'g>; 2], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        if !y.dtype().is_float() {
            return Grad::Cut;
        }
        let da = dy / b;
        if slot == 0 { da.into() } else { (-(da * y)).into() }
    }

    /// `x / 1 = x`.
    fn simplify(&self, [a, b]: [Var<'_>; 2]) -> Simpler<Op> {
        if splat(b) == Some(1.0) { Simpler::Existing(a.id()) } else { Simpler::Same }
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Div)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let ints = || dims.of(DType::I32, dims.shape.clone());
        let below = dims.float().within(0.5, 3.0);
        vec![Sample::new(Div, [dims.float(), below]), Sample::new(Div, [ints(), ints()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn integer_division_truncates_and_never_traps() {
        let g = Graph::new();
        let (a, b) = (g.input("a", I32, [4]), g.input("b", I32, [4]));
        let a4 = Tensor::new([4], vec![7i32, -7, 5, i32::MIN]).unwrap();
        let b4 = Tensor::new([4], vec![2i32, 2, 0, -1]).unwrap();
        assert_eq!((a / b).eval(&[&a4, &b4]).unwrap().to_i64s(), [3, -3, 0, i64::from(i32::MIN)]);
    }
}
