//! Logarithm of the absolute value of a determinant.

use serde::{Deserialize, Serialize};

use crate::DetSign;
use crate::linalg::det::{elimination, one_a_matrix, sample};
use crate::linalg::{by_matrix, matrices, pivots};
use crate::prelude::rules::*;

/// `y = ln |det a|`, for every matrix of the leading axes.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a` | `[.., n, n]` | float | (C1) float, square |
/// | `y` | `[..]` | as `a` | |
///
/// **Gradient** `da = dy · a⁻ᵀ`; not finite where `a` is singular.
/// **Numerics** the sum of the logarithms of the pivots of an elimination with exchanges of rows, in
/// `f64`, rounded once: no overflow. `-∞` of a singular matrix, 0 of one without elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogAbsDet;

impl<'g> Var<'g> {
    /// The sign of the determinant (-1, 0 or 1) of the matrices in the last two axes, and the
    /// logarithm of its absolute value; see [`LogAbsDet`]. The sign has no gradient.
    #[track_caller]
    pub fn slogdet(self) -> (Var<'g>, Var<'g>) {
        (self.record(DetSign, &[self]), self.record(LogAbsDet, &[self]))
    }
}

impl Primitive<1> for LogAbsDet {
    const NAME: &'static str = "log_abs_det";

    fn infer(&self, [a]: [&Type; 1]) -> Result<Type, TypeError> {
        one_a_matrix(a) // (C1)
    }

    fn eval(&self, [a]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let a = matrices(a);
        Ok(Tensor::build(y, |i| {
            // From 0: a sum of nothing would be -0.
            pivots(a[i].clone()).0.iter().fold(0.0, |y, p| y + p.abs().ln())
        }))
    }

    fn vjp<'g>(&self, _: usize, [a]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (a.inv().t() * dy.unsqueeze(-1).unsqueeze(-1)).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Linalg(LinalgOp::LogAbsDet)
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        elimination(&x, y)
    }

    fn axes(&self, x: [&Type; 1], _: &Type) -> AxisRelations {
        by_matrix(&x)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![sample(LogAbsDet, dims)]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn large_and_singular_matrices() {
        let g = Graph::new();
        let a = g.full(F64, [2, 2], 1.0);
        let value = |v: Var<'_>| v.eval(&[]).unwrap().to_f64s();
        let (sign, log) = a.slogdet();
        assert_eq!((value(sign), value(log)), (vec![0.0], vec![f64::NEG_INFINITY]));
        let b = g.constant(Tensor::new([2, 2], vec![1e200, 0.0, 0.0, 1e200]).unwrap());
        assert!((value(b.slogdet().1)[0] - 400.0 * 10f64.ln()).abs() < 1e-10);
        assert!(g.input("i", I64, [2, 2]).slogdet().1.ok().is_err()); // (C1)
    }
}
