//! Factorizations and solutions of linear systems, one matrix after the other.
//!
//! Each matrix is copied to working memory as `f64`, worked on there, and rounded once.

use pleach_tensor::DType;
use smallvec::SmallVec;

use crate::bind::Mem;
use crate::check;
use crate::program::{Failure, Step};
use crate::space::{Place, Space};
use crate::{Fault, LinalgOp, Pool, Slice};

/// Multiplications of a task.
const TASK: usize = 16_384;

/// Rows and columns of a matrix in memory, and the distances between them.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    rows: usize,
    columns: usize,
    down: isize,
    across: isize,
}

impl Matrix {
    fn of(slice: &Slice) -> Matrix {
        let [.., rows, columns] = slice.dims[..] else {
            return Matrix { rows: 1, columns: 1, down: 0, across: 0 };
        };
        let rank = slice.dims.len();
        let (down, across) = (slice.strides[rank - 2], slice.strides[rank - 1]);
        Matrix { rows, columns, down, across }
    }

    fn len(self) -> usize {
        self.rows * self.columns
    }
}

/// A checked operation of linear algebra.
#[derive(Debug)]
pub(crate) struct LinalgPlan {
    op: LinalgOp,
    /// The operands, then the result.
    slices: SmallVec<[Slice; 3]>,
    /// Their matrices; that of a determinant is one number.
    matrices: SmallVec<[Matrix; 3]>,
    work: Slice,
    /// The leading axes, with strides of all slices.
    batch: Space,
}

impl LinalgPlan {
    pub(crate) fn new(
        op: LinalgOp,
        x: &[Slice],
        work: &Slice,
        y: &Slice,
    ) -> Result<LinalgPlan, Fault> {
        let systems = matches!(op, LinalgOp::Solve | LinalgOp::SolveTriangular { .. });
        let expected = if systems { 2 } else { 1 };
        if x.len() != expected {
            return Err(Fault::Count { expected, got: x.len() });
        }
        let (a, dtype) = (&x[0], y.dtype);
        if !dtype.is_wide() {
            return Err(Fault::Unsupported { dtype });
        }
        let rank = a.dims.len();
        check::axes(a, if rank < 2 { &[0, 1] } else { &[] })?;
        let (lead, n) = (&a.dims[..rank - 2], a.dims[rank - 1]);
        check::shape(a, &[lead, &[n, n]].concat())?;
        x.iter().try_for_each(|s| check::dtype(s, dtype))?;
        match op {
            LinalgOp::Cholesky => check::shape(y, &a.dims)?,
            LinalgOp::Solve | LinalgOp::SolveTriangular { .. } => {
                let k = x[1].dims.last().copied().unwrap_or(0);
                check::shape(&x[1], &[lead, &[n, k]].concat())?;
                check::shape(y, &x[1].dims)?;
            }
            LinalgOp::Det | LinalgOp::LogAbsDet | LinalgOp::DetSign => check::shape(y, lead)?,
        }
        let slices: SmallVec<[Slice; 3]> = x.iter().chain([y]).cloned().collect();
        let strides: Vec<&[isize]> = slices.iter().map(|s| &s.strides[..rank - 2]).collect();
        let batch = Space::new(lead, &strides);
        let one = |s: &Slice| {
            if s.dims.len() < rank { Slice::new(s.buffer, dtype, 0, &[]) } else { s.clone() }
        };
        let matrices = slices.iter().map(|s| Matrix::of(&one(s))).collect();
        check::dtype(work, DType::F64)?;
        check::shape(
            work,
            &[lead.iter().product(), LinalgOp::work(x.iter().map(|s| &s.dims[..]))],
        )?;
        if !work.is_contiguous() {
            return Err(Fault::Shape { expected: work.dims.to_vec(), got: vec![] });
        }
        Ok(LinalgPlan { op, slices, matrices, work: work.clone(), batch })
    }
}

impl LinalgOp {
    /// Numbers of working memory for one matrix: a copy of each operand of these lengths.
    pub fn work<'a>(operands: impl Iterator<Item = &'a [usize]>) -> usize {
        operands.map(|dims| dims.iter().rev().take(2).product::<usize>()).sum()
    }
}

impl Step for LinalgPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        let y = self.slices.len() - 1;
        if self.slices[y].dims.contains(&0) {
            return Ok(());
        }
        let n = self.matrices[0].rows;
        let size: usize = self.matrices[..y].iter().map(|m| m.len()).sum();
        let tasks = self.batch.numel();
        pool.ranges(tasks, TASK / (n * size).max(1), |range| {
            let mut place = Place::new(&self.batch.dims, range.start);
            for i in range {
                // SAFETY: the slices were checked for this memory. The working memory of matrix `i`
                // is its own: the slice is packed, and has a row for every matrix.
                unsafe {
                    let work = mem.ptr(&self.work).cast::<f64>().add(i * size);
                    let work = std::slice::from_raw_parts_mut(work, size);
                    let at = |s: usize| {
                        let base = mem.ptr(&self.slices[s]);
                        let empty = self.slices[s].dims.contains(&0);
                        let offset = if empty { 0 } else { place.offset(&self.batch.strides[s]) };
                        base.offset(offset * self.slices[s].dtype.size() as isize)
                    };
                    let mut rest = &mut work[..];
                    for s in 0..y {
                        let (own, others) = rest.split_at_mut(self.matrices[s].len());
                        self.load(own, at(s), self.matrices[s]);
                        rest = others;
                    }
                    let result = self.op.run(n, work);
                    self.store(result, at(y), self.matrices[y]);
                }
                place.advance(&self.batch.dims);
            }
        });
        Ok(())
    }
}

impl LinalgPlan {
    /// # Safety
    /// `x` is the first element of a matrix of the element type, valid for reads.
    unsafe fn load(&self, to: &mut [f64], x: *const u8, m: Matrix) {
        for (i, to) in to.iter_mut().enumerate() {
            let (row, column) = ((i / m.columns) as isize, (i % m.columns) as isize);
            let offset = row * m.down + column * m.across;
            // SAFETY: the caller's promise.
            *to = unsafe {
                match self.slices[0].dtype {
                    DType::F32 => f64::from(*x.cast::<f32>().offset(offset)),
                    _ => *x.cast::<f64>().offset(offset),
                }
            };
        }
    }

    /// # Safety
    /// `y` is the first element of a matrix of the element type, valid for writes.
    unsafe fn store(&self, from: &[f64], y: *mut u8, m: Matrix) {
        for (i, &from) in from.iter().enumerate() {
            let (row, column) = ((i / m.columns) as isize, (i % m.columns) as isize);
            let offset = row * m.down + column * m.across;
            // SAFETY: the caller's promise.
            unsafe {
                match self.slices[0].dtype {
                    DType::F32 => *y.cast::<f32>().offset(offset) = from as f32,
                    _ => *y.cast::<f64>().offset(offset) = from,
                }
            }
        }
    }
}

impl LinalgOp {
    /// Computes in place, and gives the part of the working memory that holds the result. Of a
    /// determinant of nothing there is no memory: the caller's result is a constant.
    fn run(self, n: usize, work: &mut [f64]) -> &[f64] {
        let (a, b) = work.split_at_mut(n * n);
        match self {
            LinalgOp::Cholesky => {
                cholesky(a, n);
                a
            }
            LinalgOp::Solve => {
                eliminate(a, b, n);
                substitute(a, b, n, true, false);
                b
            }
            LinalgOp::SolveTriangular { upper, unit } => {
                substitute(a, b, n, upper, unit);
                b
            }
            _ if n == 0 => {
                if self == LinalgOp::LogAbsDet {
                    &[0.0]
                } else {
                    &[1.0]
                }
            }
            _ => {
                let sign = eliminate(a, b, n);
                let pivots = (0..n).map(|i| a[i * n + i]);
                a[0] = match self {
                    LinalgOp::LogAbsDet => pivots.map(|p| p.abs().ln()).sum(),
                    LinalgOp::DetSign => pivots.fold(sign, |s, p| s * signum(p)),
                    _ => pivots.fold(sign, |s, p| s * p),
                };
                &a[..1]
            }
        }
    }
}

/// 0 of 0, NaN of NaN.
fn signum(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// The factor `L` of `L·Lᵀ`, the symmetric part of `a`, in its place; zeros above.
fn cholesky(a: &mut [f64], n: usize) {
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum();
            let mean = if i == j { a[i * n + i] } else { (a[i * n + j] + a[j * n + i]) / 2.0 };
            let rest = mean - sum;
            a[i * n + j] = if i == j { rest.sqrt() } else { rest / a[j * n + j] };
        }
    }
    for i in 0..n {
        a[i * n + i + 1..(i + 1) * n].fill(0.0);
    }
}

/// Makes `a` upper triangular, with rows exchanged for the largest pivots, and does the same to `b`.
/// Gives 1 or -1, the sign of the exchanges.
fn eliminate(a: &mut [f64], b: &mut [f64], n: usize) -> f64 {
    let columns = b.len().checked_div(n).unwrap_or(0);
    let mut sign = 1.0;
    for c in 0..n {
        let size = |r: usize| a[r * n + c].abs();
        let pivot = (c + 1..n).fold(c, |best, r| if size(r) > size(best) { r } else { best });
        if pivot != c {
            sign = -sign;
            (0..n).for_each(|j| a.swap(c * n + j, pivot * n + j));
            (0..columns).for_each(|j| b.swap(c * columns + j, pivot * columns + j));
        }
        if a[c * n + c] == 0.0 {
            continue;
        }
        for r in c + 1..n {
            let factor = a[r * n + c] / a[c * n + c];
            (c..n).for_each(|j| a[r * n + j] -= factor * a[c * n + j]);
            (0..columns).for_each(|j| b[r * columns + j] -= factor * b[c * columns + j]);
        }
    }
    sign
}

/// Solves the triangular system `a · x = b` in the place of `b`.
fn substitute(a: &[f64], b: &mut [f64], n: usize, upper: bool, unit: bool) {
    let columns = b.len().checked_div(n).unwrap_or(0);
    for step in 0..n {
        let r = if upper { n - 1 - step } else { step };
        let known = if upper { r + 1..n } else { 0..r };
        for j in 0..columns {
            let sum: f64 = known.clone().map(|k| a[r * n + k] * b[k * columns + j]).sum();
            let rest = b[r * columns + j] - sum;
            b[r * columns + j] = if unit { rest } else { rest / a[r * n + r] };
        }
    }
}
