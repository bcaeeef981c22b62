//! Pow: a power.

use pleach_kernels::special;
use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = aᵇ`, elementwise; the method [`Var::pow`] broadcasts.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | any number, equal | (C1) number, (C2) equal types |
/// | `y` | as `a` | as `a` | |
///
/// **Gradient** `da = dy · b · aᵇ⁻¹`, 0 where `b = 0`; `db = dy · y · ln a`, 0 where `a = 0` and
/// `b ≥ 0`, NaN where `a` is negative: as PyTorch does.
/// **Numerics** `a⁰ = 1` and `1ᵇ = 1`, also of NaN; NaN for a negative base and an exponent that is no
/// integer; ≤ 1 ulp. Integers wrap, and a negative exponent truncates to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pow;

impl Primitive<2> for Pow {
    const NAME: &'static str = "pow";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_number(0)?; // (C1)
        a.require_same(b) // (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(binary(a, b, libm::pow, special::powi))
    }

    fn vjp<'g>(&self, slot: usize, [a, b]: [Var<'g>; 2], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        if !y.dtype().is_float() {
            return Grad::Cut;
        }
        // What a select leaves out must be finite: its derivative is zero times it.
        if slot == 0 {
            let constant = b.equal(0.0);
            let exponent = constant.select(1.0, b);
            let slope = exponent * a.binary(Pow, exponent - 1.0);
            return constant.select(0.0, dy * slope).into();
        }
        let flat = a.equal(0.0).and(b.greater_equal(0.0));
        (dy * (y * flat.select(1.0, a).ln())).into()
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Pow)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let ints = || dims.of(DType::I32, dims.shape.clone());
        let base = dims.float().within(0.3, 2.0);
        vec![Sample::new(Pow, [base, dims.float()]), Sample::new(Pow, [ints(), ints().ints(-2, 5)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn zero_and_negative_bases_have_pytorchs_gradients() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F64, [6]), g.input("b", F64, [6]));
        let base = Tensor::new([6], vec![0.0, 0.0, 0.0, -2.0, -2.0, 3.0]).unwrap();
        let exponent = Tensor::new([6], vec![0.0, 1.0, 2.0, 3.0, 0.5, 0.0]).unwrap();
        let at = |v: Var<'_>| v.eval(&[&base, &exponent]).unwrap().to_f64s();
        let y = a.pow(b);
        let [da, db] = g.grad(y, &[a, b])[..] else { unreachable!() };
        assert_eq!(at(y)[..4], [1.0, 0.0, 0.0, -8.0]);
        assert!(at(y)[4].is_nan());
        assert_eq!(at(da)[..4], [0.0, 1.0, 0.0, 12.0]);
        assert_eq!(at(da)[5], 0.0);
        assert_eq!(at(db)[..3], [0.0; 3]);
        assert!(at(db)[3].is_nan());
        // The second derivative: 0·a⁻², 1·0·a⁻¹, 2·1·a⁰.
        assert_eq!(at(g.grad(da, &[a])[0])[..4], [0.0, 0.0, 2.0, -12.0]);
    }

    #[test]
    fn integers_wrap_and_booleans_are_refused() {
        let g = Graph::new();
        let (a, b) = (g.input("a", I32, [3]), g.input("b", I32, [3]));
        let base = Tensor::new([3], vec![3, 2, 7]).unwrap();
        let exponent = Tensor::new([3], vec![3, 33, -1]).unwrap();
        assert_eq!(a.pow(b).eval(&[&base, &exponent]).unwrap().to_i64s(), [27, 0, 0]);
        let c = g.input("c", BOOL, [3]);
        assert!(c.pow(c).ok().is_err()); // (C1)
        assert!(a.pow(c).ok().is_err()); // (C2)
    }
}
