//! The place of the largest or smallest element along an axis.

use pleach_tensor::DType;

use crate::bind::Mem;
use crate::check;
use crate::num::for_any;
use crate::program::{Failure, Step};
use crate::space::Place;
use crate::{Axes, Fault, Pool, Slice, Strides};

/// Elements read by a task.
const TASK: usize = 4096;

/// A checked argmax or argmin.
#[derive(Debug)]
pub(crate) struct ArgMaxPlan {
    x: Slice,
    y: Slice,
    /// Strides of x over the axes of y.
    kept: Strides,
    len: usize,
    stride: isize,
    largest: bool,
}

impl ArgMaxPlan {
    pub(crate) fn new(
        axis: usize,
        largest: bool,
        x: &Slice,
        y: &Slice,
    ) -> Result<ArgMaxPlan, Fault> {
        check::axes(x, &[axis])?;
        check::dtype(y, DType::I64)?;
        let mut dims: Axes = x.dims.clone();
        let mut kept = x.strides.clone();
        let (len, stride) = (dims.remove(axis), kept.remove(axis));
        check::shape(y, &dims)?;
        Ok(ArgMaxPlan { x: x.clone(), y: y.clone(), kept, len, stride, largest })
    }
}

impl Step for ArgMaxPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        pool.ranges(self.y.numel(), TASK / self.len.max(1), |range| {
            // SAFETY: the slices were checked for this memory.
            let (x, y) = unsafe { (mem.ptr(&self.x), mem.ptr(&self.y).cast::<i64>()) };
            let mut place = Place::new(&self.y.dims, range.start);
            for _ in range {
                let (from, to) = (place.offset(&self.kept), place.offset(&self.y.strides));
                // SAFETY: a line of x along the axis, an element of y; tasks write different ones.
                unsafe {
                    let best = for_any!(self.x.dtype, T => {
                        let x = x.cast::<T>().offset(from);
                        if self.largest {
                            first(x, self.stride, self.len, |x, y| x > y)
                        } else {
                            first(x, self.stride, self.len, |x, y| x < y)
                        }
                    });
                    *y.offset(to) = best as i64;
                }
                place.advance(&self.y.dims);
            }
        });
        Ok(())
    }
}

/// The first of `len` elements that none is `better` than; the first NaN if there is one; 0 if there are none.
///
/// # Safety
/// The elements are valid for reads.
#[inline(always)]
unsafe fn first<T: Copy + PartialOrd>(
    x: *const T,
    stride: isize,
    len: usize,
    better: impl Fn(T, T) -> bool,
) -> usize {
    // SAFETY: the caller's promise.
    let at = |i: usize| unsafe { *x.offset(i as isize * stride) };
    let is_nan = |x: T| x.partial_cmp(&x).is_none();
    let mut best = 0;
    for i in 1..len {
        let (x, y) = (at(i), at(best));
        if better(x, y) || (is_nan(x) && !is_nan(y)) {
            best = i;
        }
    }
    best
}
