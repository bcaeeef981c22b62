//! Cholesky factor.

use serde::{Deserialize, Serialize};

use crate::SolveTriangular;
use crate::linalg::{by_matrix, matrices, of_matrices, require_square};
use crate::prelude::rules::*;

/// `y = L`, lower triangular with `L · Lᵀ = (a + aᵀ) / 2`, for every matrix of the leading axes.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a` | `[.., n, n]` | float | (C1) float, (C2) square |
/// | `y` | as `a` | as `a` | |
///
/// **Gradient** `da = (x + xᵀ) / 2` with `x = L⁻ᵀ · Φ(Lᵀ · dy) · L⁻¹`, where `Φ` is the lower triangle
/// with half of the diagonal: symmetric, as the operand is taken to be.
/// **Numerics** in `f64`, rounded once. NaN where the matrix is not positive definite.
/// **Source** Murray 2016, "Differentiation of the Cholesky decomposition", eq. 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cholesky;

impl<'g> Var<'g> {
    /// The lower triangular factor `L` of `L · Lᵀ`, or the upper triangular `U` of `Uᵀ · U`; see
    /// [`Cholesky`].
    #[track_caller]
    pub fn cholesky(self, upper: bool) -> Var<'g> {
        let _at = self.graph().at();
        let y = self.record(Cholesky, &[self]);
        if upper { y.t() } else { y }
    }
}

fn factor(a: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = a.len();
    let mut l = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
            let rest = (a[i][j] + a[j][i]) / 2.0 - sum;
            l[i][j] = if i == j { rest.sqrt() } else { rest / l[j][j] };
        }
    }
    l
}

impl Primitive<1> for Cholesky {
    const NAME: &'static str = "cholesky";

    fn infer(&self, [a]: [&Type; 1]) -> Result<Type, TypeError> {
        require_square(a, 0) // (C1), (C2)
    }

    fn eval(&self, [a]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        Ok(of_matrices(y, || matrices(a).iter().map(|a| factor(a)).collect()))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let lt = y.t();
        let inner = lt.matmul(dy);
        let phi = (inner.tril(0) + inner.tril(-1)) * 0.5;
        let up = SolveTriangular::new(true, false);
        let left = y.record(up, &[lt, phi]);
        let x = y.record(up, &[lt, left.t()]);
        ((x + x.t()) * 0.5).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Linalg(LinalgOp::Cholesky)
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        let n = y.shape().last().map_or(1, |&n| n as u64);
        Cost::elementwise(&x, y, n.div_ceil(3))
    }

    fn axes(&self, x: [&Type; 1], _: &Type) -> AxisRelations {
        by_matrix(&x)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let n = dims.pick(1, 4);
        let lead = dims.shape.iter().take(2).copied();
        let shape: Shape = lead.chain([n, n]).collect();
        vec![Sample::new(Cholesky, [dims.float_of(shape).definite()]).loose(16.0)]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn a_factor_of_whole_numbers() {
        let g = Graph::new();
        let a = g.input("a", F64, [2, 2]);
        let at = Tensor::new([2, 2], vec![4.0, 2.0, 2.0, 10.0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(a.cholesky(false)), [2.0, 0.0, 1.0, 3.0]);
        assert_eq!(value(a.cholesky(true)), [2.0, 1.0, 0.0, 3.0]);
        assert!(value((-a).cholesky(false))[0].is_nan());
        assert!(g.input("i", I64, [2, 2]).cholesky(false).ok().is_err()); // (C1)
        assert!(g.input("b", F64, [2, 3]).cholesky(false).ok().is_err()); // (C2)
    }
}
