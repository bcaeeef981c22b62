//! The order of the elements of a line.

use std::cmp::Ordering;

use pleach_tensor::DType;

use crate::bind::Mem;
use crate::check;
use crate::num::for_any;
use crate::program::{Failure, Step};
use crate::space::Place;
use crate::{Fault, Pool, Slice};

/// Elements sorted by a task.
const TASK: usize = 1024;

/// A checked argsort along the last axis.
#[derive(Debug)]
pub(crate) struct ArgSortPlan {
    x: Slice,
    y: Slice,
    descending: bool,
}

impl ArgSortPlan {
    pub(crate) fn new(descending: bool, x: &Slice, y: &Slice) -> Result<ArgSortPlan, Fault> {
        check::axes(x, &[x.dims.len().saturating_sub(1)])?;
        check::dtype(y, DType::I64)?;
        check::shape(y, &x.dims)?;
        Ok(ArgSortPlan { x: x.clone(), y: y.clone(), descending })
    }
}

impl Step for ArgSortPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        let last = self.x.dims.len() - 1;
        let (len, outer) = (self.x.dims[last], &self.x.dims[..last]);
        if len == 0 {
            return Ok(());
        }
        pool.ranges(outer.iter().product(), TASK / len, |range| {
            // SAFETY: the slices were checked for this memory.
            let (x, y) = unsafe { (mem.ptr(&self.x), mem.ptr(&self.y).cast::<i64>()) };
            let mut place = Place::new(outer, range.start);
            for _ in range {
                let (from, to) =
                    (place.offset(&self.x.strides[..last]), place.offset(&self.y.strides[..last]));
                // SAFETY: a line of x, and one of y, of `len` elements; tasks write different ones.
                unsafe {
                    let y = Line { first: y.offset(to), stride: self.y.strides[last], len };
                    for_any!(self.x.dtype, T => {
                        let x = x.cast::<T>().offset(from);
                        argsort(x, self.x.strides[last], y, self.descending);
                    });
                }
                place.advance(outer);
            }
        });
        Ok(())
    }
}

/// Elements of the result, maybe with gaps.
#[derive(Clone, Copy)]
struct Line {
    first: *mut i64,
    stride: isize,
    len: usize,
}

impl Line {
    /// # Safety
    /// The line is valid for reads and writes, and has element `i`.
    unsafe fn at(&self, i: usize) -> *mut i64 {
        // SAFETY: the caller's promise.
        unsafe { self.first.offset(i as isize * self.stride) }
    }
}

/// NaN is the largest, and equal to itself.
fn compare<T: PartialOrd>(a: T, b: T) -> Ordering {
    let is_nan = |x: &T| x.partial_cmp(x).is_none();
    a.partial_cmp(&b).unwrap_or_else(|| is_nan(&a).cmp(&is_nan(&b)))
}

/// Writes the indices of the elements in order. Ties go by the index, so any sort is a stable one.
///
/// # Safety
/// `x` is valid for reads of as many elements as `y` has, `y` for reads and writes.
unsafe fn argsort<T: Copy + PartialOrd>(x: *const T, stride: isize, y: Line, descending: bool) {
    // SAFETY: the caller's promise; only indices of `x` are written to `y`.
    let value = |i: i64| unsafe { *x.offset(i as isize * stride) };
    let order = |a: &i64, b: &i64| {
        let values = compare(value(*a), value(*b));
        (if descending { values.reverse() } else { values }).then(a.cmp(b))
    };
    for i in 0..y.len {
        // SAFETY: the caller's promise.
        unsafe { *y.at(i) = i as i64 };
    }
    if y.stride == 1 {
        // SAFETY: the caller's promise; the elements are packed.
        let y = unsafe { std::slice::from_raw_parts_mut(y.first, y.len) };
        y.sort_unstable_by(order);
    } else {
        // SAFETY: the caller's promise.
        unsafe { heap_sort(y, order) };
    }
}

/// Sorts a line with gaps.
///
/// # Safety
/// The line is valid for reads and writes.
unsafe fn heap_sort(y: Line, order: impl Fn(&i64, &i64) -> Ordering) {
    // SAFETY: the caller's promise, for indices below the length.
    let (get, swap) = (
        |i: usize| unsafe { *y.at(i) },
        |i: usize, j: usize| unsafe { std::ptr::swap(y.at(i), y.at(j)) },
    );
    let sift = |mut root: usize, len: usize| {
        while 2 * root + 1 < len {
            let mut child = 2 * root + 1;
            if child + 1 < len && order(&get(child), &get(child + 1)).is_lt() {
                child += 1;
            }
            if order(&get(root), &get(child)).is_ge() {
                return;
            }
            swap(root, child);
            root = child;
        }
    };
    (0..y.len / 2).rev().for_each(|root| sift(root, y.len));
    for end in (1..y.len).rev() {
        swap(0, end);
        sift(0, end);
    }
}
