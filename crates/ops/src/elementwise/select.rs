//! Select: `a` where a condition holds, else `b`.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = if c { a } else { b }`, elementwise; the method broadcasts.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `c` | equal | bool | (C1) bool |
/// | `a`, `b` | equal | any, equal | (C2) equal types, of the shape of `c` |
/// | `y` | as `a` | as `a` | |
///
/// **Gradient** `da = if c { dy } else { 0 }`, `db` the rest. The branch not taken gets an exact
/// zero, whatever its value: NaN does not leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Select;

impl<'g> Var<'g> {
    /// `a` where this condition holds, else `b`; see [`Select`]. A number takes the type of the
    /// other branch; two numbers are `f32`.
    #[track_caller]
    pub fn select(self, a: impl Operand<'g>, b: impl Operand<'g>) -> Var<'g> {
        let scalar = || self.record(Full::new(&Type::scalar(DType::F32), 0.0), &[]);
        let like = a.var().or(b.var()).unwrap_or_else(scalar);
        let [a, b] = match a.like(like).broadcast_with("select", b.like(like)) {
            Ok(x) => x,
            Err(poisoned) => return poisoned,
        };
        let (c, a) = match self.broadcast_with("select", a) {
            Ok([c, a]) => (c, a),
            Err(poisoned) => return poisoned,
        };
        match a.broadcast_with("select", b) {
            Ok([a, b]) => self.record(Select, &[c, a, b]),
            Err(poisoned) => poisoned,
        }
    }
}

impl Primitive<3> for Select {
    const NAME: &'static str = "select";
    const TRAITS: Traits = Traits::ELEMENTWISE.and(Traits::LINEAR);
    const EXACT: bool = true;

    fn infer(&self, [c, a, b]: [&Type; 3]) -> Result<Type, TypeError> {
        c.require_dtype(0, DType::Bool)?; // (C1)
        require_shape(c, a.shape())?;
        a.require_same(b) // (C2)
    }

    fn eval(&self, [c, a, b]: [&Tensor; 3], y: &Type) -> Result<Tensor, EvalError> {
        let choose = c.to_i64s();
        if y.dtype().is_float() {
            let (a, b) = (a.to_f64s(), b.to_f64s());
            return Ok(Tensor::build(y, |i| if choose[i] != 0 { a[i] } else { b[i] }));
        }
        let (a, b) = (a.to_i64s(), b.to_i64s());
        Ok(Tensor::build_i64(y, |i| if choose[i] != 0 { a[i] } else { b[i] }))
    }

    fn vjp<'g>(&self, slot: usize, [c, ..]: [Var<'g>; 3], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        match slot {
            0 => Grad::Cut,
            1 => c.select(dy, 0.0).into(),
            _ => c.select(0.0, dy).into(),
        }
    }

    /// Both branches the same: the condition does not matter. Not so for floats, whose gradient is
    /// the sum of two branches, `-0 + 0 = 0`.
    fn simplify(&self, [_, a, b]: [Var<'_>; 3]) -> Simpler<Op> {
        let same = a.id() == b.id() && !a.dtype().is_float();
        if same { Simpler::Existing(a.id()) } else { Simpler::Same }
    }

    fn lower(&self, _: [&Type; 3], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Select)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let c = || dims.of(DType::Bool, dims.shape.clone());
        let ints = || dims.of(DType::I64, dims.shape.clone());
        vec![
            Sample::new(Select, [c(), dims.float(), dims.float()]),
            Sample::new(Select, [c(), ints(), ints()]),
            Sample::new(Select, [c(), c(), c()]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn the_gradient_of_the_branch_not_taken_is_zero_even_if_it_is_nan() {
        let g = Graph::new();
        let x = g.input("x", F32, []);
        let y = x.greater(0.0).select(x.ln(), 0.0);
        let dx = g.grad(y, &[x])[0];
        // ln has an infinite slope at 0: 0 · ∞ is NaN, which select's rule cannot prevent.
        assert!(dx.eval(&[&Tensor::scalar(0.0f32)]).unwrap().item().unwrap().is_nan());
        assert_eq!(dx.eval(&[&Tensor::scalar(-1.0f32)]).unwrap().item(), Some(-0.0));
    }

    #[test]
    fn a_condition_must_be_boolean() {
        let g = Graph::new();
        let x = g.input("x", F32, []);
        assert!(x.select(x, x).ok().is_err()); // (C1)
    }
}
