//! Straight-through: the value of one, the gradient of another.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = a`, differentiated as if it were `b`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | float | (C1) float, (C2) equal types |
/// | `y` | as `a` | as `a` | |
///
/// **Gradient** `db = dy`; to `a` it cuts.
/// **Numerics** the bits of `a`. `b + (a - b).stop_gradient()` would round twice.
/// **Source** Bengio, Léonard and Courville 2013, sec. 2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StraightThrough;

impl<'g> Var<'g> {
    /// This value, bit by bit, with the gradient of another one: `x.floor().straight_through(x)`
    /// rounds down and differentiates as `x`. See [`StraightThrough`].
    #[track_caller]
    pub fn straight_through(self, gradient: Var<'g>) -> Var<'g> {
        self.record(StraightThrough, &[self, gradient])
    }
}

impl Primitive<2> for StraightThrough {
    const NAME: &'static str = "straight_through";
    // The forward rule of an elementwise operator is its gradient rule.
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_float(0)?; // (C1)
        a.require_same(b) // (C2)
    }

    fn eval(&self, [a, _]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(a.clone())
    }

    fn vjp<'g>(&self, slot: usize, _: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        if slot == 0 { Grad::Cut } else { dy.into() }
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::View(View::Identity)
    }

    fn cost(&self, _: [&Type; 2], _: &Type) -> Cost {
        Cost::FREE
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(StraightThrough, [dims.float(), dims.float()]).values_only()]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn the_value_is_one_and_the_gradient_the_other() {
        let g = Graph::new();
        let x = g.input("x", F64, [2]);
        let y = x.floor().straight_through(x * x);
        let at = Tensor::new([2], vec![1.5, -0.25]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(y), [1.0, -1.0]);
        assert_eq!(value(g.grad(y, &[x])[0]), [3.0, -0.5]);
        assert_eq!(value(g.jvp_of(y, &[(x, x.full_like(1.0))])), [3.0, -0.5]);
        assert_eq!(value(g.hvp(y, x, x.full_like(1.0))), [2.0, 2.0]);
        assert!(x.straight_through(g.input("f", F32, [2])).ok().is_err()); // (C2)
        let i = g.input("i", I64, [2]);
        assert!(i.straight_through(i).ok().is_err()); // (C1)
    }
}
