//! Determinant.

use serde::{Deserialize, Serialize};

use crate::linalg::{by_matrix, matrices, pivots, require_square};
use crate::prelude::rules::*;

/// `y = det a`, for every matrix of the leading axes.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a` | `[.., n, n]` | float | (C1) float, (C2) square |
/// | `y` | `[..]` | as `a` | |
///
/// **Gradient** `da = dy · y · a⁻ᵀ`; not finite where `a` is singular.
/// **Numerics** the product of the pivots of an elimination with exchanges of rows, in `f64`, rounded
/// once. Of a matrix of no elements: 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Det;

impl<'g> Var<'g> {
    /// The determinant of the matrices in the last two axes; see [`Det`].
    #[track_caller]
    pub fn det(self) -> Var<'g> {
        self.record(Det, &[self])
    }
}

/// The type of one number for every square matrix.
pub(crate) fn one_a_matrix(a: &Type) -> Result<Type, TypeError> {
    let a = require_square(a, 0)?;
    Ok(a.with_shape(&a.shape()[..a.rank() - 2])?)
}

/// The work of an elimination.
pub(crate) fn elimination(x: &[&Type], y: &Type) -> Cost {
    let n = x[0].shape().last().map_or(1, |&n| n as u64);
    let flops = Cost::elementwise(&[], x[0], n).flops.saturating_mul(2) / 3;
    Cost { flops, ..Cost::elementwise(x, y, 0) }
}

/// A matrix of the leading axes of the generated shape.
pub(crate) fn sample(op: impl Into<Op>, dims: &Dims) -> Sample {
    let n = dims.pick(1, 4);
    let shape: Shape = dims.shape.iter().take(2).copied().chain([n, n]).collect();
    Sample::new(op, [dims.float_of(shape).definite()]).loose(16.0)
}

impl Primitive<1> for Det {
    const NAME: &'static str = "det";

    fn infer(&self, [a]: [&Type; 1]) -> Result<Type, TypeError> {
        one_a_matrix(a) // (C1), (C2)
    }

    fn eval(&self, [a]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let a = matrices(a);
        Ok(Tensor::build(y, |i| {
            let (pivots, sign) = pivots(a[i].clone());
            pivots.iter().fold(sign, |y, p| y * p)
        }))
    }

    fn vjp<'g>(&self, _: usize, [a]: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let scale = (y * dy).unsqueeze(-1).unsqueeze(-1);
        (a.inv().t() * scale).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Linalg(LinalgOp::Det)
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        elimination(&x, y)
    }

    fn axes(&self, x: [&Type; 1], _: &Type) -> AxisRelations {
        by_matrix(&x)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![sample(Det, dims)]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn a_permutation_and_nothing() {
        let g = Graph::new();
        let a = g.constant(Tensor::new([2, 2], vec![0.0, 2.0, 3.0, 0.0]).unwrap());
        let value = |v: Var<'_>| v.eval(&[]).unwrap().to_f64s();
        assert_eq!(value(a.det()), [-6.0]);
        let (sign, log) = a.slogdet();
        assert_eq!((value(sign), value(log)), (vec![-1.0], vec![2f64.ln() + 3f64.ln()]));
        let none = g.full(F64, [2, 0, 0], 1.0);
        assert_eq!(value(none.det()), [1.0, 1.0]);
        assert_eq!(value(none.slogdet().1), [0.0, 0.0]);
        assert!(g.input("i", I64, [2, 2]).det().ok().is_err()); // (C1)
        assert!(g.input("b", F64, [2, 3]).det().ok().is_err()); // (C2)
    }
}
