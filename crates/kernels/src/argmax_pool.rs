//! The place of the largest element of every window.

use pleach_tensor::DType;

use crate::bind::Mem;
use crate::check;
use crate::num::for_any;
use crate::program::{Failure, Step};
use crate::space::Place;
use crate::{Axes, Fault, MAX_RANK, Pool, Slice, Window};

/// Elements read by a task.
const TASK: usize = 16_384;
/// Most windows of a row that are compared at once: no element waits for the one before it.
const BLOCK: usize = 32;

/// A checked argmax over windows.
#[derive(Debug)]
pub(crate) struct ArgMaxPoolPlan {
    x: Slice,
    y: Slice,
    windows: Vec<Vec<Window>>,
    /// Elements of the largest window.
    most: usize,
    /// How many windows of a row are compared at once: one, if they are of different lengths.
    block: usize,
}

impl ArgMaxPoolPlan {
    pub(crate) fn new(windows: &[Vec<Window>], x: &Slice, y: &Slice) -> Result<Self, Fault> {
        check::dtype(y, DType::I64)?;
        let misfit = || Fault::Windows { dims: x.dims.to_vec() };
        if windows.is_empty() {
            return Err(misfit());
        }
        let lead = x.dims.len().checked_sub(windows.len()).ok_or_else(misfit)?;
        let counts = windows.iter().map(Vec::len);
        let dims: Axes = x.dims[..lead].iter().copied().chain(counts).collect();
        check::shape(y, &dims)?;
        for (windows, &n) in windows.iter().zip(&x.dims[lead..]) {
            let inside = |w: &Window| {
                let reach = w.count.checked_sub(1)?.checked_mul(w.step)?;
                w.start.checked_add(reach).filter(|&end| end < n)
            };
            if !windows.iter().all(|w| inside(w).is_some()) {
                return Err(misfit());
            }
        }
        let largest = |w: &Vec<Window>| w.iter().map(|w| w.count).max().unwrap_or(0);
        let most = windows.iter().map(largest).fold(1usize, usize::saturating_mul);
        let along = &windows[windows.len() - 1];
        let alike = along.windows(2).all(|w| (w[0].count, w[0].step) == (w[1].count, w[1].step));
        let block = if alike { BLOCK } else { 1 };
        Ok(ArgMaxPoolPlan { x: x.clone(), y: y.clone(), windows: windows.to_vec(), most, block })
    }

    /// The axes of the result but the last: a row of the result is walked at once.
    fn outer(&self) -> &[usize] {
        &self.y.dims[..self.y.dims.len() - 1]
    }

    /// The indices of the largest elements of all windows of a row.
    ///
    /// # Safety
    /// `x` and `y` are the first elements of the checked slices, `x` has elements of type `T`, and no
    /// other task writes this row.
    unsafe fn row<T: Copy + PartialOrd>(&self, x: *const T, y: *mut i64, place: &Place) {
        let Some((along, across)) = self.windows.split_last() else { return };
        let (n, rank) = (across.len(), self.x.dims.len());
        let lead = rank - n - 1;
        let (dims, strides) = (&self.x.dims[lead..], &self.x.strides[lead..]);
        // The windows along the other axes are those of the row: where they begin, in memory and in
        // the index.
        let mut counts = [1usize; MAX_RANK];
        let (mut steps, mut jumps) = ([0isize; MAX_RANK], [0usize; MAX_RANK]);
        let mut from = place.offset(&self.x.strides[..lead]);
        let (mut first, mut area) = (0, dims[n]);
        for (i, windows) in across.iter().enumerate().rev() {
            let Window { start, count, step } = windows[place.index(lead + i)];
            counts[i] = count;
            (steps[i], jumps[i]) = (step as isize * strides[i], step * area);
            from += start as isize * strides[i];
            first += start * area;
            area *= dims[i];
        }
        let counts = &counts[..n];
        let lines = counts.iter().product::<usize>();
        let (stride, last) = (strides[n], self.y.strides[rank - 1]);
        let y = self.y_row(y, place);
        for (b, block) in along.chunks(self.block).enumerate() {
            let Window { count, step, .. } = block[0];
            // SAFETY: the windows lie within the axes: the plan checked it.
            let value = |w: &Window| unsafe { *x.offset(from + w.start as isize * stride) };
            let (mut starts, mut best) = ([0isize; BLOCK], [0usize; BLOCK]);
            let mut values = [value(&block[0]); BLOCK];
            for (k, w) in block.iter().enumerate() {
                starts[k] = from + w.start as isize * stride;
                (best[k], values[k]) = (first + w.start, value(w));
            }
            let begins = best;
            let mut inside = Place::new(counts, 0);
            for _ in 0..lines {
                let line = inside.offset(&steps[..n]);
                let jump = (0..n).map(|i| inside.index(i) * jumps[i]).sum::<usize>();
                for i in 0..count {
                    let (at, index) = (line + (i * step) as isize * stride, jump + i * step);
                    for k in 0..block.len() {
                        // SAFETY: as above.
                        let candidate = unsafe { *x.offset(starts[k] + at) };
                        let nan = candidate.partial_cmp(&candidate).is_none();
                        let larger = (candidate > values[k]) | nan;
                        values[k] = if larger { candidate } else { values[k] };
                        best[k] = if larger { begins[k] + index } else { best[k] };
                    }
                }
                inside.advance(counts);
            }
            for (k, &best) in best.iter().enumerate().take(block.len()) {
                let o = (b * self.block + k) as isize;
                // SAFETY: an element of the row.
                unsafe { *y.offset(o * last) = best as i64 };
            }
        }
    }

    /// The first element of a row of the result.
    fn y_row(&self, y: *mut i64, place: &Place) -> *mut i64 {
        y.wrapping_offset(place.offset(&self.y.strides[..self.y.strides.len() - 1]))
    }
}

impl Step for ArgMaxPoolPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        if self.y.dims.contains(&0) {
            return Ok(());
        }
        let outer = self.outer();
        let windows = self.windows.last().map_or(1, Vec::len);
        let grain = TASK / self.most.saturating_mul(windows).max(1);
        pool.ranges(outer.iter().product(), grain, |range| {
            // SAFETY: the slices were checked for this memory.
            let (x, y) = unsafe { (mem.ptr(&self.x), mem.ptr(&self.y).cast::<i64>()) };
            let mut place = Place::new(outer, range.start);
            for _ in range {
                // SAFETY: as above; tasks write different rows.
                unsafe { for_any!(self.x.dtype, T => self.row(x.cast::<T>(), y, &place)) };
                place.advance(outer);
            }
        });
        Ok(())
    }
}
