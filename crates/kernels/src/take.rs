//! Slices by index, and the adjoint.

use crate::bind::Mem;
use crate::check;
use crate::copy::{copy_row, for_size};
use crate::index::Indices;
use crate::num::{Num, for_num};
use crate::program::{Failure, Step};
use crate::space::{Place, Space};
use crate::{Axes, Fault, Pool, Slice, Strides};

/// Elements moved by a task.
const TASK: usize = 8192;
/// Columns that [`TakeAddPlan`] works on at a time.
const COLUMNS: usize = 256;

/// `a[..axis] ++ middle ++ a[axis + 1..]`.
fn splice(a: &[usize], axis: usize, middle: &[usize]) -> Axes {
    a[..axis].iter().chain(middle).chain(&a[axis + 1..]).copied().collect()
}

/// A checked take: `y[o, i, c] = x[o, index[i], c]` with `o`, `i`, `c` of any rank.
#[derive(Debug)]
pub(crate) struct TakePlan {
    x: Slice,
    y: Slice,
    indices: Indices,
    /// Stride of the axis indexed.
    stride: isize,
    /// The axes `o` and `i`, and strides over them of y, x, indices.
    head: Axes,
    head_strides: [Strides; 3],
    /// The axes `c`, for y and x.
    tail: Space,
}

impl TakePlan {
    pub(crate) fn new(axis: usize, x: &Slice, indices: &Slice, y: &Slice) -> Result<Self, Fault> {
        check::axes(x, &[axis])?;
        check::dtype(y, x.dtype)?;
        check::shape(y, &splice(&x.dims, axis, &indices.dims))?;
        let (rank, cut) = (indices.dims.len(), axis + indices.dims.len());
        let zeros = |n| std::iter::repeat_n(0, n);
        Ok(TakePlan {
            x: x.clone(),
            y: y.clone(),
            indices: Indices::new(indices, x.dims[axis])?,
            stride: x.strides[axis],
            head: y.dims[..cut].into(),
            head_strides: [
                y.strides[..cut].into(),
                x.strides[..axis].iter().copied().chain(zeros(rank)).collect(),
                zeros(axis).chain(indices.strides.iter().copied()).collect(),
            ],
            tail: Space::new(&y.dims[cut..], &[&y.strides[cut..], &x.strides[axis + 1..]]),
        })
    }
}

impl Step for TakePlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        // SAFETY: the slices were checked for this memory.
        unsafe { self.indices.check(mem)? };
        if self.y.dims.contains(&0) {
            return Ok(());
        }
        let rows = self.head.iter().product();
        let last = self.tail.dims.len() - 1;
        let (inner, outer) = (self.tail.dims[last], &self.tail.dims[..last]);
        let pieces: usize = outer.iter().product();
        let [to, from] = [&self.tail.strides[0], &self.tail.strides[1]];
        pool.ranges(rows, TASK / (inner * pieces).max(1), |range| {
            // SAFETY: as above.
            let (x, y, index) =
                unsafe { (mem.ptr(&self.x), mem.ptr(&self.y), mem.ptr(&self.indices.slice)) };
            let mut place = Place::new(&self.head, range.start);
            for _ in range {
                let [a, b, i] = self.head_strides.each_ref().map(|s| place.offset(s));
                // SAFETY: an element of the indices, which are checked and unchanged.
                let i = unsafe { self.indices.get(index, i) };
                let b = b + i as isize * self.stride;
                let mut piece = Place::new(outer, 0);
                for _ in 0..pieces {
                    let (a, b) = (a + piece.offset(&to[..last]), b + piece.offset(&from[..last]));
                    for_size!(self.x.dtype.size(), T => {
                        // SAFETY: rows of x and y: x because the index is in range. Tasks write
                        // different rows.
                        unsafe {
                            let (y, x) = (y.cast::<T>().offset(a), x.cast::<T>().offset(b));
                            copy_row(y, to[last], x, from[last], inner);
                        }
                    });
                    piece.advance(outer);
                }
                place.advance(&self.head);
            }
        });
        Ok(())
    }
}

/// A checked adjoint of take: `y[o, index[i], c] += dy[o, i, c]`, in the order of `i`.
#[derive(Debug)]
pub(crate) struct TakeAddPlan {
    dy: Slice,
    y: Slice,
    indices: Indices,
    axis: usize,
    /// The axes `o` and `c` without the last of `c`: units of work; strides of y and dy.
    units: Axes,
    unit_strides: [Strides; 2],
    /// The last of the axes `c`: length, strides of y and dy.
    columns: (usize, isize, isize),
}

impl TakeAddPlan {
    pub(crate) fn new(axis: usize, dy: &Slice, indices: &Slice, y: &Slice) -> Result<Self, Fault> {
        check::axes(y, &[axis])?;
        check::dtype(y, dy.dtype)?;
        check::shape(dy, &splice(&y.dims, axis, &indices.dims))?;
        for_num!(dy.dtype, _T => (), return Err(Fault::Unsupported { dtype: dy.dtype }));
        let cut = axis + indices.dims.len();
        let mut tail =
            Space::new(&y.dims[axis + 1..], &[&y.strides[axis + 1..], &dy.strides[cut..]]);
        let [to, from] = [0, 1].map(|i| tail.strides[i].pop().unwrap_or(0));
        let columns = (tail.dims.pop().unwrap_or(1), to, from);
        let chain = |a: &[isize], b: &[isize]| a.iter().chain(b).copied().collect();
        Ok(TakeAddPlan {
            units: y.dims[..axis].iter().chain(&tail.dims).copied().collect(),
            unit_strides: [
                chain(&y.strides[..axis], &tail.strides[0]),
                chain(&dy.strides[..axis], &tail.strides[1]),
            ],
            columns,
            dy: dy.clone(),
            y: y.clone(),
            indices: Indices::new(indices, y.dims[axis])?,
            axis,
        })
    }

    /// All indices over some columns of one unit.
    ///
    /// # Safety
    /// The slices were checked for this memory, as were the indices; no other task touches these
    /// columns of this unit.
    unsafe fn add<T: Num>(&self, mem: Mem<'_>, unit: usize, start: usize, n: usize) {
        let (_, to, from) = self.columns;
        let place = Place::new(&self.units, unit);
        let [y_at, dy_at] = self.unit_strides.each_ref().map(|s| place.offset(s));
        // SAFETY: the first of these columns.
        let (y, dy, index) = unsafe {
            (
                mem.ptr(&self.y).cast::<T>().offset(y_at + start as isize * to),
                mem.ptr(&self.dy).cast::<T>().offset(dy_at + start as isize * from),
                mem.ptr(&self.indices.slice),
            )
        };
        let row = self.y.strides[self.axis];
        for i in 0..self.y.dims[self.axis] as isize {
            // SAFETY: `n` elements of row `i`.
            unsafe { copy_row(y.offset(i * row), to, &T::ZERO, 0, n) };
        }
        let Slice { dims, strides, .. } = &self.indices.slice;
        let dy_strides = &self.dy.strides[self.axis..self.axis + dims.len()];
        let mut place = Place::new(dims, 0);
        for _ in 0..dims.iter().product() {
            // SAFETY: an element of the indices; rows of y (the index is in range) and dy.
            unsafe {
                let i = self.indices.get(index, place.offset(strides));
                let (y, dy) = (y.offset(i as isize * row), dy.offset(place.offset(dy_strides)));
                if (to, from) == (1, 1) {
                    let y = std::slice::from_raw_parts_mut(y, n);
                    let dy = std::slice::from_raw_parts(dy, n);
                    y.iter_mut().zip(dy).for_each(|(y, &dy)| *y = y.add(dy));
                } else {
                    for j in 0..n as isize {
                        let y = y.offset(j * to);
                        *y = (*y).add(*dy.offset(j * from));
                    }
                }
            }
            place.advance(dims);
        }
    }
}

impl Step for TakeAddPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        // SAFETY: the slices were checked for this memory.
        unsafe { self.indices.check(mem)? };
        if self.y.dims.contains(&0) {
            return Ok(());
        }
        let pieces = self.columns.0.div_ceil(COLUMNS);
        let units = self.units.iter().product::<usize>() * pieces;
        let rows = self.y.dims[self.axis] + self.indices.slice.numel();
        let work = rows * self.columns.0.min(COLUMNS);
        pool.ranges(units, TASK / work.max(1), |range| {
            for unit in range {
                let start = unit % pieces * COLUMNS;
                let n = COLUMNS.min(self.columns.0 - start);
                for_num!(
                    self.y.dtype,
                    // SAFETY: as above; units are different columns.
                    T => unsafe { self.add::<T>(mem, unit / pieces, start, n) },
                    unreachable!("checked")
                );
            }
        });
        Ok(())
    }
}
