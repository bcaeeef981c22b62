//! The adjoint of sliding windows: every element of the output gathers what its windows hold of it.

use smallvec::SmallVec;

use crate::bind::Mem;
use crate::check;
use crate::copy::copy_row;
use crate::num::{Num, for_num};
use crate::program::{Failure, Step};
use crate::space::Place;
use crate::{Axes, Fault, Pool, Slice, Strides, Windows};

/// Elements added by a task.
const TASK: usize = 4096;

/// The windows along one axis, and where their elements lie in what is added.
#[derive(Clone, Copy, Debug)]
struct Along {
    /// Place of the axis among those of a unit.
    unit: usize,
    stride: usize,
    dilation: usize,
    /// Number of windows, and the stride from one to the next.
    count: usize,
    step: isize,
    /// Elements of a window, and the stride from one to the next.
    size: usize,
    inner: isize,
}

impl Along {
    /// The window whose element `i` is element `at` of the axis.
    fn window(&self, at: usize, i: usize) -> Option<usize> {
        let from = at.checked_sub(i * self.dilation)?;
        let window = from / self.stride;
        (from.is_multiple_of(self.stride) && window < self.count).then_some(window)
    }
}

/// A checked addition of windows.
///
/// A row is the last axis that has windows; a unit is a row of the output. Its elements get their
/// terms in the row-major order of the places in a window, whatever the number of threads.
#[derive(Debug)]
pub(crate) struct WindowsAddPlan {
    dy: Slice,
    y: Slice,
    /// All axes of the output but the row, with strides of y and dy (0 where there are windows).
    units: Axes,
    unit_strides: [Strides; 2],
    /// The other axes that have windows, and the sizes of these windows.
    outer: SmallVec<[Along; 4]>,
    sizes: Axes,
    row: Along,
    /// Length of a row, and its stride in y.
    len: (usize, isize),
}

impl WindowsAddPlan {
    pub(crate) fn new(windows: &Windows, dy: &Slice, y: &Slice) -> Result<Self, Fault> {
        let Windows { axes, stride, dilation } = windows;
        check::axes(y, axes)?;
        check::dtype(y, dy.dtype)?;
        for_num!(dy.dtype, _T => (), return Err(Fault::Unsupported { dtype: dy.dtype }));
        let misfit = || Fault::Windows { dims: y.dims.to_vec() };
        let rank = y.dims.len();
        let counts = [stride.len(), dilation.len(), dy.dims.len().wrapping_sub(rank)];
        let Some((&last, _)) = axes.split_last().filter(|_| counts == [axes.len(); 3]) else {
            return Err(misfit());
        };
        let off_axis = |i: &usize| !axes.contains(i);
        if (0..rank).filter(off_axis).any(|i| dy.dims[i] != y.dims[i]) {
            return Err(Fault::Shape { expected: y.dims.to_vec(), got: dy.dims.to_vec() });
        }
        let mut along = SmallVec::<[Along; 4]>::new();
        for (i, &axis) in axes.iter().enumerate() {
            let (count, size) = (dy.dims[axis], dy.dims[rank + i]);
            let end = |n: usize, step: usize| n.saturating_sub(1).checked_mul(step);
            let reach = end(count, stride[i]).zip(end(size, dilation[i]));
            let reach = reach.and_then(|(a, b)| a.checked_add(b)).ok_or_else(misfit)?;
            let empty = count == 0 || size == 0;
            if stride[i] == 0 || dilation[i] == 0 || !empty && reach >= y.dims[axis] {
                return Err(misfit());
            }
            along.push(Along {
                // Only the row is left out, and it comes after all others: they keep their numbers.
                unit: axis,
                stride: stride[i],
                dilation: dilation[i],
                count,
                step: dy.strides[axis],
                size,
                inner: dy.strides[rank + i],
            });
        }
        let row = along.pop().ok_or_else(misfit)?;
        let others = || (0..rank).filter(|&i| i != last);
        Ok(WindowsAddPlan {
            units: others().map(|i| y.dims[i]).collect(),
            unit_strides: [
                others().map(|i| y.strides[i]).collect(),
                others().map(|i| if off_axis(&i) { dy.strides[i] } else { 0 }).collect(),
            ],
            sizes: along.iter().map(|a| a.size).collect(),
            outer: along,
            row,
            len: (y.dims[last], y.strides[last]),
            dy: dy.clone(),
            y: y.clone(),
        })
    }

    /// Fills one row of the output.
    ///
    /// # Safety
    /// `y` and `dy` are the first elements of slices that were checked for their memory; no other
    /// task touches this row.
    unsafe fn fill<T: Num>(&self, y: *mut T, dy: *const T, place: &Place) {
        let (len, step) = self.len;
        // SAFETY: the row, and one zero.
        let y = unsafe {
            let y = y.offset(place.offset(&self.unit_strides[0]));
            copy_row(y, step, &T::ZERO, 0, len);
            y
        };
        if self.dy.dims.contains(&0) {
            return;
        }
        let base = place.offset(&self.unit_strides[1]);
        let mut inside = Place::new(&self.sizes, 0);
        for _ in 0..self.sizes.iter().product() {
            // Where this place in a window meets the row, if a window has it there.
            let from = self.outer.iter().enumerate().try_fold(base, |from, (j, a)| {
                let i = inside.index(j);
                let window = a.window(place.index(a.unit), i)?;
                Some(from + window as isize * a.step + i as isize * a.inner)
            });
            if let Some(from) = from {
                for i in 0..self.row.size {
                    let to = (i * self.row.dilation) as isize * step;
                    // SAFETY: the windows lie within the row: the plan checked it.
                    unsafe {
                        let (y, x) = (y.offset(to), dy.offset(from + i as isize * self.row.inner));
                        let stride = self.row.stride as isize * step;
                        add_row(y, stride, x, self.row.step, self.row.count);
                    }
                }
            }
            inside.advance(&self.sizes);
        }
    }
}

/// Adds `n` elements to others.
///
/// # Safety
/// All elements are valid for the access, and the sides are apart.
#[inline(always)]
unsafe fn add_row<T: Num>(y: *mut T, to: isize, x: *const T, from: isize, n: usize) {
    // SAFETY: the caller's promise, for both branches.
    unsafe {
        if (to, from) == (1, 1) {
            let (y, x) = (std::slice::from_raw_parts_mut(y, n), std::slice::from_raw_parts(x, n));
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = y.add(x));
        } else {
            for i in 0..n as isize {
                let y = y.offset(i * to);
                *y = (*y).add(*x.offset(i * from));
            }
        }
    }
}

impl Step for WindowsAddPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        if self.y.dims.contains(&0) {
            return Ok(());
        }
        let terms = self.sizes.iter().product::<usize>() * self.row.size * self.row.count;
        let grain = TASK / terms.max(self.len.0).max(1);
        pool.ranges(self.units.iter().product(), grain, |range| {
            // SAFETY: the slices were checked for this memory.
            let (y, dy) = unsafe { (mem.ptr(&self.y), mem.ptr(&self.dy)) };
            let mut place = Place::new(&self.units, range.start);
            for _ in range {
                for_num!(
                    self.y.dtype,
                    // SAFETY: as above, with elements of this type; tasks fill different rows.
                    T => unsafe { self.fill::<T>(y.cast(), dy.cast_const().cast(), &place) },
                    unreachable!("checked")
                );
                place.advance(&self.units);
            }
        });
        Ok(())
    }
}
