//! Linear algebra.

pub mod cholesky;
pub mod det;
pub mod det_sign;
pub mod log_abs_det;
pub mod matmul;
pub mod solve;
pub mod solve_triangular;

use pleach_graph::TypeError;
use pleach_tensor::{Tensor, Type};

use crate::check_types::Require;
use crate::{Axis, AxisRelations};

/// Is it a float, and square in the last two axes?
pub(crate) fn require_square(x: &Type, operand: usize) -> Result<Type, TypeError> {
    x.require_float(operand)?;
    let [.., left, right] = x.shape()[..] else {
        return Err(TypeError::Rank { operand, expected: "at least 2", got: x.shape().clone() });
    };
    if left == right { Ok(x.clone()) } else { Err(TypeError::Sizes { what: "sides", left, right }) }
}

/// A square matrix and a right-hand side: equal leading axes, as many rows.
pub(crate) fn require_system(a: &Type, b: &Type) -> Result<Type, TypeError> {
    require_square(a, 0)?;
    if a.dtype() != b.dtype() {
        return Err(TypeError::DTypes(a.dtype(), b.dtype()));
    }
    let lead = a.rank() - 2;
    if b.rank() != a.rank() || b.shape()[..=lead] != a.shape()[..=lead] {
        return Err(TypeError::Shapes(a.shape().clone(), b.shape().clone()));
    }
    Ok(b.clone())
}

/// Leading axes of operands are those of the result, nothing is known of the last two.
pub(crate) fn by_matrix(x: &[&Type]) -> AxisRelations {
    let axes = |x: &&Type| {
        let lead = x.rank() - 2;
        (0..x.rank()).map(|i| if i < lead { Axis::Same(i) } else { Axis::Opaque }).collect()
    };
    AxisRelations(x.iter().map(axes).collect())
}

/// As [`by_matrix`], and columns of the right-hand side, the second operand, are apart.
pub(crate) fn by_column(x: &[&Type]) -> AxisRelations {
    let mut relations = by_matrix(x);
    if let Some(column) = relations.0[1].last_mut() {
        *column = Axis::Same(x[1].rank() - 1);
    }
    relations
}

/// The matrices of a tensor, as rows of columns.
pub(crate) fn matrices(x: &Tensor) -> Vec<Vec<Vec<f64>>> {
    let [.., rows, columns] = x.shape()[..] else { return vec![] };
    let count = x.shape()[..x.shape().rank() - 2].iter().product();
    let values = x.to_f64s();
    let row = |m: usize, i: usize| {
        let start = (m * rows + i) * columns;
        values[start..start + columns].to_vec()
    };
    (0..count).map(|m| (0..rows).map(|i| row(m, i)).collect()).collect()
}

/// A tensor of matrices. Of elements that it does not have nothing is computed: any number of
/// matrices may have none.
pub(crate) fn of_matrices(y: &Type, matrices: impl FnOnce() -> Vec<Vec<Vec<f64>>>) -> Tensor {
    if y.numel() == 0 {
        return Tensor::full(y, 0.0);
    }
    let values: Vec<f64> = matrices().into_iter().flatten().flatten().collect();
    Tensor::build(y, |i| values[i])
}

/// Gauss: `a` upper triangular, the same to `b`; the largest pivot of a column goes up. The sign of
/// the exchanges of rows.
pub(crate) fn eliminate(a: &mut [Vec<f64>], b: &mut [Vec<f64>]) -> f64 {
    let (n, mut sign) = (a.len(), 1.0);
    for c in 0..n {
        let larger =
            |best: usize, r: usize| if a[r][c].abs() > a[best][c].abs() { r } else { best };
        let pivot = (c + 1..n).fold(c, larger);
        if pivot != c {
            a.swap(c, pivot);
            b.swap(c, pivot);
            sign = -sign;
        }
        if a[c][c] == 0.0 {
            continue;
        }
        for r in c + 1..n {
            let factor = a[r][c] / a[c][c];
            for m in [&mut *a, &mut *b] {
                let (above, below) = m.split_at_mut(r);
                below[0].iter_mut().zip(&above[c]).for_each(|(x, p)| *x -= factor * p);
            }
        }
    }
    sign
}

/// The solution of a triangular system, in the place of `b`.
pub(crate) fn substitute(a: &[Vec<f64>], b: &mut [Vec<f64>], upper: bool, unit: bool) {
    let n = a.len();
    for step in 0..n {
        let r = if upper { n - 1 - step } else { step };
        for j in 0..b[r].len() {
            let known = if upper { r + 1..n } else { 0..r };
            let sum: f64 = known.map(|k| a[r][k] * b[k][j]).sum();
            b[r][j] = (b[r][j] - sum) / if unit { 1.0 } else { a[r][r] };
        }
    }
}

/// The pivots of a matrix, and the sign of the exchanges of rows.
pub(crate) fn pivots(mut a: Vec<Vec<f64>>) -> (Vec<f64>, f64) {
    let n = a.len();
    let sign = eliminate(&mut a, &mut vec![vec![]; n]);
    ((0..n).map(|i| a[i][i]).collect(), sign)
}
