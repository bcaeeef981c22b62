//! Solution of a linear system.

use serde::{Deserialize, Serialize};

use crate::linalg::{by_column, eliminate, matrices, of_matrices, require_system, substitute};
use crate::prelude::rules::*;

/// `y` with `a · y = b`, for every matrix of the leading axes.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a` | `[.., n, n]` | float | (C1) float, square |
/// | `b` | `[.., n, k]` | as `a` | (C2) equal leading axes, rows and types |
/// | `y` | as `b` | as `b` | |
///
/// **Gradient** `db = a⁻ᵀ · dy`, `da = -db · yᵀ`.
/// **Numerics** Gaussian elimination with exchanges of rows, in `f64`, rounded once. A singular
/// matrix gives infinities or NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Solve;

impl Primitive<2> for Solve {
    const NAME: &'static str = "solve";

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        require_system(a, b) // (C1), (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], y: &Type) -> Result<Tensor, EvalError> {
        Ok(of_matrices(y, || {
            let mut x = matrices(b);
            for (mut a, b) in matrices(a).into_iter().zip(&mut x) {
                eliminate(&mut a, b);
                substitute(&a, b, true, false);
            }
            x
        }))
    }

    fn vjp<'g>(&self, slot: usize, [a, _]: [Var<'g>; 2], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let db = dy.record(Solve, &[a.t(), dy]);
        if slot == 1 { db.into() } else { (-db.matmul(y.t())).into() }
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Linalg(LinalgOp::Solve)
    }

    fn cost(&self, x: [&Type; 2], y: &Type) -> Cost {
        let n = x[0].shape().last().map_or(1, |&n| n as u64);
        let factors = Cost::elementwise(&[], x[0], n).flops.saturating_mul(2) / 3;
        let both = Cost::elementwise(&x, y, n.saturating_mul(2));
        Cost { flops: both.flops.saturating_add(factors), bytes: both.bytes }
    }

    fn axes(&self, x: [&Type; 2], _: &Type) -> AxisRelations {
        by_column(&x)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let (n, k) = (dims.pick(1, 4), dims.pick(2, 3));
        let lead: Vec<usize> = dims.shape.iter().take(2).copied().collect();
        let shape = |tail: [usize; 2]| lead.iter().copied().chain(tail).collect::<Shape>();
        let (a, b) = (dims.float_of(shape([n, n])).definite(), dims.float_of(shape([n, k])));
        vec![Sample::new(Solve, [a, b]).loose(32.0)]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn systems_vectors_and_inverses() {
        let g = Graph::new();
        // A zero where the first pivot would be.
        let a = g.constant(Tensor::new([2, 2], vec![0.0, 2.0, 4.0, 1.0]).unwrap());
        let b = g.constant(Tensor::new([2], vec![2.0, 9.0]).unwrap());
        let value = |v: Var<'_>| v.eval(&[]).unwrap().to_f64s();
        assert_eq!(value(a.solve(b)), [2.0, 1.0]);
        assert_eq!(value(a.solve(b.unsqueeze(-1))), [2.0, 1.0]);
        assert_eq!(value(a.inv()), [-0.125, 0.25, 0.5, 0.0]);
        let i = g.input("i", I64, [2, 2]);
        assert!(i.solve(i).ok().is_err()); // (C1)
        assert!(a.solve(b.unsqueeze(0)).ok().is_err()); // (C2)
    }
}
