//! Elements by index along an axis: read, added up, replaced.

use std::ops::Range;

use crate::bind::Mem;
use crate::check;
use crate::copy::{copy_space, for_size};
use crate::index::Indices;
use crate::num::{Num, for_num};
use crate::program::{Failure, Step};
use crate::space::{Place, Space};
use crate::{Fault, Pool, Slice, Strides};

/// Elements moved by a task.
const TASK: usize = 512;

/// `long[.., index[p], ..]` for every place `p` of `indices`, beside `short[p]`.
#[derive(Debug)]
struct Pairs {
    indices: Indices,
    short: Slice,
    long: Slice,
    /// Strides of `long`, 0 along the axis indexed.
    off_axis: Strides,
    /// The places, joined, with strides of indices, `short` and `off_axis`.
    joined: Space,
    /// Its stride along that axis.
    stride: isize,
}

impl Pairs {
    fn new(axis: usize, long: &Slice, indices: &Slice, short: &Slice) -> Result<Pairs, Fault> {
        check::axes(long, &[axis])?;
        check::dtype(short, long.dtype)?;
        check::shape(short, &indices.dims)?;
        let fits = indices.dims.len() == long.dims.len()
            && (0..long.dims.len()).all(|d| d == axis || indices.dims[d] <= long.dims[d]);
        if !fits {
            return Err(Fault::Shape { expected: long.dims.to_vec(), got: indices.dims.to_vec() });
        }
        let mut off_axis = long.strides.clone();
        off_axis[axis] = 0;
        let joined = Space::new(&indices.dims, &[&indices.strides, &short.strides, &off_axis]);
        Ok(Pairs {
            indices: Indices::new(indices, long.dims[axis])?,
            short: short.clone(),
            long: long.clone(),
            off_axis,
            joined,
            stride: long.strides[axis],
        })
    }

    /// Calls `f(long, short)` for all elements, in order.
    ///
    /// # Safety
    /// As for [`Pairs::rows`].
    unsafe fn all(&self, mem: Mem<'_>, f: impl FnMut(isize, isize)) {
        let Space { dims, strides } = &self.joined;
        let rows = 0..dims[..dims.len() - 1].iter().product();
        // SAFETY: the caller's promise; the same places.
        unsafe { self.walk(mem, dims, [&strides[0], &strides[1], &strides[2]], rows, f) };
    }

    /// Calls `f(long, short)` with the distances of the elements in a range of rows, in order.
    ///
    /// # Safety
    /// The slices and indices were checked for this memory, nobody writes the indices, and there
    /// are elements in a row.
    unsafe fn rows(&self, mem: Mem<'_>, rows: Range<usize>, f: impl FnMut(isize, isize)) {
        let Slice { dims, strides, .. } = &self.indices.slice;
        // SAFETY: the caller's promise.
        unsafe { self.walk(mem, dims, [strides, &self.short.strides, &self.off_axis], rows, f) };
    }

    /// Rows of places with these lengths, and strides of indices, `short` and `off_axis`.
    ///
    /// # Safety
    /// As for [`Pairs::rows`]; the places are those of the indices.
    unsafe fn walk(
        &self,
        mem: Mem<'_>,
        dims: &[usize],
        strides: [&Strides; 3],
        rows: Range<usize>,
        mut f: impl FnMut(isize, isize),
    ) {
        let last = dims.len() - 1;
        let (inner, outer) = (dims[last] as isize, &dims[..last]);
        // SAFETY: the caller's promise.
        let base = unsafe { mem.ptr(&self.indices.slice) };
        let mut place = Place::new(outer, rows.start);
        for _ in rows {
            let [i, s, l] = strides.map(|s| (place.offset(&s[..last]), s[last]));
            for j in 0..inner {
                // SAFETY: an element of the indices.
                let index = unsafe { self.indices.get(base, i.0 + j * i.1) } as isize;
                f(l.0 + j * l.1 + index * self.stride, s.0 + j * s.1);
            }
            place.advance(outer);
        }
    }

    /// Are there so few elements that one task moves them all?
    fn are_few(&self) -> bool {
        (1..=TASK).contains(&self.joined.numel())
    }

    /// Length and number of rows.
    fn count(&self) -> (usize, usize) {
        match self.short.dims.split_last() {
            Some((&inner, outer)) if inner > 0 => (inner, outer.iter().product()),
            _ => (0, 0),
        }
    }
}

/// A checked gather.
#[derive(Debug)]
pub(crate) struct GatherPlan(Pairs);

impl GatherPlan {
    pub(crate) fn new(axis: usize, x: &Slice, indices: &Slice, y: &Slice) -> Result<Self, Fault> {
        Pairs::new(axis, x, indices, y).map(GatherPlan)
    }
}

impl Step for GatherPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        let pairs = &self.0;
        // SAFETY: the slices were checked for this memory.
        unsafe { pairs.indices.check(mem)? };
        let (inner, rows) = pairs.count();
        let few = pairs.are_few();
        pool.ranges(rows, if few { rows } else { TASK / inner.max(1) }, |range| {
            // SAFETY: as above; indices are in range, and tasks write different rows.
            unsafe {
                let (x, y) = (mem.ptr(&pairs.long), mem.ptr(&pairs.short));
                for_size!(pairs.long.dtype.size(), T => {
                    let (x, y) = (x.cast::<T>(), y.cast::<T>());
                    let copy = |from, to| *y.offset(to) = *x.offset(from);
                    if few { pairs.all(mem, copy) } else { pairs.rows(mem, range, copy) }
                });
            }
        });
        Ok(())
    }
}

/// A checked adjoint of gather.
#[derive(Debug)]
pub(crate) struct ScatterAddPlan {
    pairs: Pairs,
    /// Product of the axes before the one indexed: these parts of the output are apart.
    parts: usize,
    /// The output, and one zero repeated over it.
    zeros: Space,
}

impl ScatterAddPlan {
    pub(crate) fn new(axis: usize, dy: &Slice, indices: &Slice, y: &Slice) -> Result<Self, Fault> {
        for_num!(dy.dtype, _T => (), return Err(Fault::Unsupported { dtype: dy.dtype }));
        let pairs = Pairs::new(axis, y, indices, dy)?;
        // The last axis is the row: parts are whole rows.
        let parts = dy.dims[..axis].iter().product();
        let zeros = Space::new(&y.dims, &[&y.strides, &Strides::from_elem(0, y.dims.len())]);
        Ok(ScatterAddPlan { pairs, parts, zeros })
    }

    /// # Safety
    /// The slices and indices were checked for this memory; no other task writes to these rows'
    /// parts of the output.
    unsafe fn add<T: Num>(&self, mem: Mem<'_>, rows: Range<usize>) {
        let pairs = &self.pairs;
        // SAFETY: the caller's promise; indices are in range.
        unsafe {
            let (y, dy) = (mem.ptr(&pairs.long).cast::<T>(), mem.ptr(&pairs.short).cast::<T>());
            let add = |to, from| {
                let y = y.offset(to);
                *y = (*y).add(*dy.offset(from));
            };
            if pairs.are_few() { pairs.all(mem, add) } else { pairs.rows(mem, rows, add) }
        }
    }
}

impl Step for ScatterAddPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        let pairs = &self.pairs;
        let zero = 0u64;
        // SAFETY: the slices were checked for this memory. The source is one element, repeated; all
        // bytes of a zero are 0.
        unsafe {
            pairs.indices.check(mem)?;
            let size = pairs.long.dtype.size();
            copy_space(mem.ptr(&pairs.long), (&raw const zero).cast(), &self.zeros, size);
        }
        let (inner, rows) = pairs.count();
        let rows_per_part = rows / self.parts.max(1);
        let grain = TASK / (inner * rows_per_part).max(1);
        let parts = if rows == 0 { 0 } else { self.parts };
        // Few elements are added by one task.
        let grain = if pairs.are_few() { parts } else { grain };
        pool.ranges(parts, grain, |range| {
            let rows = range.start * rows_per_part..range.end * rows_per_part;
            for_num!(
                pairs.long.dtype,
                // SAFETY: as above; parts of the output are apart.
                T => unsafe { self.add::<T>(mem, rows) },
                unreachable!("checked")
            );
        });
        Ok(())
    }
}

/// A checked scatter.
#[derive(Debug)]
pub(crate) struct ScatterPlan {
    pairs: Pairs,
    x: Slice,
    /// Product of the axes before the one indexed: these parts of the output are apart.
    parts: usize,
    /// The output and the operand.
    whole: Space,
}

impl ScatterPlan {
    pub(crate) fn new(
        axis: usize,
        x: &Slice,
        indices: &Slice,
        src: &Slice,
        y: &Slice,
    ) -> Result<Self, Fault> {
        check::dtype(x, y.dtype)?;
        check::shape(x, &y.dims)?;
        let pairs = Pairs::new(axis, y, indices, src)?;
        let parts = src.dims[..axis].iter().product();
        let whole = Space::new(&y.dims, &[&y.strides, &x.strides]);
        Ok(ScatterPlan { pairs, x: x.clone(), parts, whole })
    }
}

impl Step for ScatterPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        let pairs = &self.pairs;
        let size = pairs.long.dtype.size();
        // SAFETY: the slices were checked for this memory; both have the lengths of the space.
        unsafe {
            pairs.indices.check(mem)?;
            copy_space(mem.ptr(&pairs.long), mem.ptr(&self.x), &self.whole, size);
        }
        let (inner, rows) = pairs.count();
        let rows_per_part = rows / self.parts.max(1);
        let grain = TASK / (inner * rows_per_part).max(1);
        let parts = if rows == 0 { 0 } else { self.parts };
        pool.ranges(parts, grain, |range| {
            let rows = range.start * rows_per_part..range.end * rows_per_part;
            // SAFETY: as above; indices are in range, and parts of the output are apart.
            unsafe {
                let (y, src) = (mem.ptr(&pairs.long), mem.ptr(&pairs.short));
                for_size!(size, T => {
                    let (y, src) = (y.cast::<T>(), src.cast::<T>());
                    pairs.rows(mem, rows, |to, from| *y.offset(to) = *src.offset(from));
                });
            }
        });
        Ok(())
    }
}
