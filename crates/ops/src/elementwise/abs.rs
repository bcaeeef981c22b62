//! Abs: the absolute value.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = |x|`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any number | (C1) number |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · sign(x)`: subgradient 0 at 0.
/// **Numerics** exact; the least integer wraps to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Abs;

impl<'g> Var<'g> {
    /// The absolute value, see [`Abs`].
    #[track_caller]
    pub fn abs(self) -> Var<'g> {
        self.record(Abs, &[self])
    }
}

impl Primitive<1> for Abs {
    const NAME: &'static str = "abs";
    const TRAITS: Traits = Traits::ELEMENTWISE;
    const EXACT: bool = true;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_number(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(unary(x, f64::abs, i64::wrapping_abs))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * x.sign()).into()
    }

    /// `||x|| = |x|`.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        match node_if(x, |op| matches!(op, Op::Abs(_))) {
            Some(_) if !x.dtype().is_float() => Simpler::Existing(x.id()),
            _ => Simpler::Same,
        }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Abs)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let ints = dims.of(DType::I32, dims.shape.clone());
        vec![Sample::new(Abs, [dims.float().avoiding(&[0.0])]), Sample::new(Abs, [ints])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn the_slope_at_zero_is_zero() {
        let g = Graph::new();
        let x = g.input("x", F32, [3]);
        let at = Tensor::new([3], vec![-2.0f32, 0.0, 2.0]).unwrap();
        let dx = g.grad(x.abs(), &[x])[0].eval(&[&at]).unwrap();
        assert_eq!(dx.to_f64s(), [-1.0, 0.0, 1.0]);
        assert!(g.input("b", BOOL, []).abs().ok().is_err()); // (C1)
    }
}
