//! Running sums, products and the like along an axis.
//!
//! One pass along the axis, one element after the other, so the order is fixed; lines beside one
//! another are walked together. `f32` is accumulated in `f64` and rounded once an element.

use pleach_tensor::DType;
use smallvec::SmallVec;

use crate::bind::Mem;
use crate::check;
use crate::num::{Num, for_any, for_num};
use crate::program::{Failure, Step};
use crate::space::{Place, Space};
use crate::{Axes, CumulativeOp, Fault, Pool, Slice, Strides};

/// Elements read by a task.
const TASK: usize = 4096;
/// Lines that are walked side by side.
const COLUMNS: usize = 64;

/// An element and what it is accumulated in.
trait Wide: Num {
    type Acc: Num;
    fn widen(self) -> Self::Acc;
    fn narrow(acc: Self::Acc) -> Self;
}

macro_rules! wide {
    ($($T:ident: $A:ident;)*) => {$(
        impl Wide for $T {
            type Acc = $A;
            #[inline(always)] fn widen(self) -> $A { self as $A }
            #[inline(always)] fn narrow(acc: $A) -> $T { acc as $T }
        }
    )*};
}
wide! { f32: f64; f64: f64; i32: i32; i64: i64; u8: u8; }

/// `ln(exp(a) + exp(b))`.
fn log_add(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        return a + b;
    }
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if high.is_infinite() { high } else { high + (low - high).exp().ln_1p() }
}

/// A checked cumulative operation.
#[derive(Debug)]
pub(crate) struct CumulativePlan {
    op: CumulativeOp,
    /// The operands, then the result.
    slices: SmallVec<[Slice; 3]>,
    /// The other axes, with strides of every slice.
    kept: Space,
    len: usize,
    reverse: bool,
}

/// Some lines beside one another: for every slice the place of the first element of the first
/// line, the stride from line to line, and the stride along a line.
struct Lines {
    n: usize,
    start: [isize; 3],
    across: [isize; 3],
    along: [isize; 3],
}

impl CumulativePlan {
    pub(crate) fn new(
        op: CumulativeOp,
        axis: usize,
        reverse: bool,
        x: &[Slice],
        y: &Slice,
    ) -> Result<CumulativePlan, Fault> {
        let expected = if op == CumulativeOp::Linear { 2 } else { 1 };
        if x.len() != expected {
            return Err(Fault::Count { expected, got: x.len() });
        }
        let dtype = x[0].dtype;
        check::axes(&x[0], &[axis])?;
        match op {
            CumulativeOp::ArgMax | CumulativeOp::ArgMin => check::dtype(y, DType::I64)?,
            _ if dtype == DType::Bool || dtype.is_half() => {
                return Err(Fault::Unsupported { dtype });
            }
            CumulativeOp::LogSumExp if !dtype.is_float() => {
                return Err(Fault::Unsupported { dtype });
            }
            _ => check::dtype(y, dtype)?,
        }
        for other in &x[1..] {
            check::dtype(other, dtype)?;
            check::shape(other, &x[0].dims)?;
        }
        check::shape(y, &x[0].dims)?;
        let slices: SmallVec<[Slice; 3]> = x.iter().chain([y]).cloned().collect();
        let without = |strides: &Strides| {
            let mut strides = strides.clone();
            strides.remove(axis);
            strides
        };
        let mut dims: Axes = y.dims.clone();
        let len = dims.remove(axis);
        let strides: Vec<Strides> = slices.iter().map(|s| without(&s.strides)).collect();
        let strides: Vec<&[isize]> = strides.iter().map(|s| s.as_slice()).collect();
        let mut kept = Space::new(&dims, &strides);
        // The stride along a line is kept as one more axis, which is not walked.
        for (kept, slice) in kept.strides.iter_mut().zip(&slices) {
            kept.push(slice.strides[axis]);
        }
        Ok(CumulativePlan { op, slices, kept, len, reverse })
    }

    /// Calls `f` with all lines, in groups.
    fn groups(&self, pool: &Pool, f: impl Fn(Lines) + Sync) {
        let last = self.kept.dims.len() - 1;
        let (columns, outer) = (self.kept.dims[last], &self.kept.dims[..last]);
        let pieces = columns.div_ceil(COLUMNS);
        let units = outer.iter().product::<usize>() * pieces;
        pool.ranges(units, TASK / (columns.min(COLUMNS) * self.len).max(1), |range| {
            for unit in range {
                let place = Place::new(outer, unit / pieces);
                let first = unit % pieces * COLUMNS;
                let n = COLUMNS.min(columns - first);
                let mut lines = Lines { n, start: [0; 3], across: [0; 3], along: [0; 3] };
                for (i, strides) in self.kept.strides.iter().enumerate() {
                    lines.across[i] = strides[last];
                    lines.along[i] = strides[last + 1];
                    lines.start[i] =
                        place.offset(&strides[..last]) + first as isize * strides[last];
                    if self.reverse {
                        lines.start[i] += (self.len as isize - 1) * strides[last + 1];
                        lines.along[i] = -lines.along[i];
                    }
                }
                f(lines);
            }
        });
    }

    /// `y = x` at the first element of a line, `f(y before, x)` after it.
    ///
    /// # Safety
    /// The slices were checked for this memory and have elements of type `T`.
    unsafe fn fold<T: Wide>(
        &self,
        mem: Mem<'_>,
        pool: &Pool,
        f: impl Fn(T::Acc, T::Acc) -> T::Acc + Sync,
    ) {
        self.groups(pool, |lines| {
            // SAFETY: the caller's promise.
            let (x, y) = unsafe {
                (mem.ptr(&self.slices[0]).cast::<T>(), mem.ptr(&self.slices[1]).cast::<T>())
            };
            let mut acc = [T::ZERO.widen(); COLUMNS];
            for k in 0..self.len as isize {
                for (j, acc) in acc[..lines.n].iter_mut().enumerate() {
                    let at = |i: usize| {
                        lines.start[i] + j as isize * lines.across[i] + k * lines.along[i]
                    };
                    // SAFETY: elements of the slices; groups write different ones.
                    unsafe {
                        let x = (*x.offset(at(0))).widen();
                        *acc = if k == 0 { x } else { f(*acc, x) };
                        *y.offset(at(1)) = T::narrow(*acc);
                    }
                }
            }
        });
    }

    /// `y = b` at the first element of a line, `a · (y before) + b` after it.
    ///
    /// # Safety
    /// As [`CumulativePlan::fold`].
    unsafe fn linear<T: Wide>(&self, mem: Mem<'_>, pool: &Pool) {
        self.groups(pool, |lines| {
            // SAFETY: the caller's promise.
            let [a, b, y] = [0, 1, 2].map(|i| unsafe { mem.ptr(&self.slices[i]).cast::<T>() });
            let mut acc = [T::ZERO.widen(); COLUMNS];
            for k in 0..self.len as isize {
                for (j, acc) in acc[..lines.n].iter_mut().enumerate() {
                    let at = |i: usize| {
                        lines.start[i] + j as isize * lines.across[i] + k * lines.along[i]
                    };
                    // SAFETY: elements of the slices; groups write different ones.
                    unsafe {
                        let b = (*b.offset(at(1))).widen();
                        *acc = match k {
                            0 => b,
                            _ => (*a.offset(at(0))).widen().mul(*acc).add(b),
                        };
                        *y.offset(at(2)) = T::narrow(*acc);
                    }
                }
            }
        });
    }

    /// The place of the last extreme element so far; once there is a NaN, of the last NaN.
    ///
    /// # Safety
    /// As [`CumulativePlan::fold`]; the result is i64.
    unsafe fn extreme<T: Copy + PartialOrd + Default>(&self, mem: Mem<'_>, pool: &Pool) {
        let largest = self.op == CumulativeOp::ArgMax;
        let is_nan = |x: T| x.partial_cmp(&x).is_none();
        self.groups(pool, |lines| {
            // SAFETY: the caller's promise.
            let (x, y) = unsafe {
                (mem.ptr(&self.slices[0]).cast::<T>(), mem.ptr(&self.slices[1]).cast::<i64>())
            };
            let mut acc = [(T::default(), 0i64); COLUMNS];
            for k in 0..self.len as isize {
                let index = if self.reverse { self.len as i64 - 1 - k as i64 } else { k as i64 };
                for (j, acc) in acc[..lines.n].iter_mut().enumerate() {
                    let at = |i: usize| {
                        lines.start[i] + j as isize * lines.across[i] + k * lines.along[i]
                    };
                    // SAFETY: elements of the slices; groups write different ones.
                    unsafe {
                        let x = *x.offset(at(0));
                        let further = if largest { x >= acc.0 } else { x <= acc.0 };
                        if k == 0 || is_nan(x) || further {
                            *acc = (x, index);
                        }
                        *y.offset(at(1)) = acc.1;
                    }
                }
            }
        });
    }
}

impl Step for CumulativePlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        if self.slices[0].dims.contains(&0) {
            return Ok(());
        }
        let dtype = self.slices[0].dtype;
        // SAFETY: the slices were checked for this memory, as were their types.
        unsafe {
            match self.op {
                CumulativeOp::Sum => for_num!(dtype, T => {
                    self.fold::<T>(mem, pool, |a, b| a.add(b));
                }, unreachable!("checked")),
                CumulativeOp::Prod => for_num!(dtype, T => {
                    self.fold::<T>(mem, pool, |a, b| a.mul(b));
                }, unreachable!("checked")),
                CumulativeOp::LogSumExp if dtype == DType::F32 => {
                    self.fold::<f32>(mem, pool, log_add);
                }
                CumulativeOp::LogSumExp => self.fold::<f64>(mem, pool, log_add),
                CumulativeOp::Linear => for_num!(dtype, T => {
                    self.linear::<T>(mem, pool);
                }, unreachable!("checked")),
                CumulativeOp::ArgMax | CumulativeOp::ArgMin => {
                    for_any!(dtype, T => self.extreme::<T>(mem, pool));
                }
            }
        }
        Ok(())
    }
}
