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

/// A checked argmax over windows.
#[derive(Debug)]
pub(crate) struct ArgMaxPoolPlan {
    x: Slice,
    y: Slice,
    windows: Vec<Vec<Window>>,
    /// Elements of the largest window.
    most: usize,
}

impl ArgMaxPoolPlan {
    pub(crate) fn new(windows: &[Vec<Window>], x: &Slice, y: &Slice) -> Result<Self, Fault> {
        check::dtype(y, DType::I64)?;
        let misfit = || Fault::Windows { dims: x.dims.to_vec() };
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
        Ok(ArgMaxPoolPlan { x: x.clone(), y: y.clone(), windows: windows.to_vec(), most })
    }

    /// The index of the largest element of the window at `place`.
    ///
    /// # Safety
    /// `x` is the first element of the checked slice, which has elements of type `T`.
    unsafe fn best<T: Copy + PartialOrd>(&self, x: *const T, place: &Place) -> usize {
        let n = self.windows.len();
        let lead = self.x.dims.len() - n;
        let (dims, strides) = (&self.x.dims[lead..], &self.x.strides[lead..]);
        let mut window = [Window { start: 0, count: 1, step: 1 }; MAX_RANK];
        let mut counts = [1usize; MAX_RANK];
        // The first element: its distance in memory, and its index.
        let (mut from, mut first) = (place.offset(&self.x.strides[..lead]), 0);
        for (i, windows) in self.windows.iter().enumerate() {
            window[i] = windows[place.index(lead + i)];
            counts[i] = window[i].count;
            from += window[i].start as isize * strides[i];
            first = first * dims[i] + window[i].start;
        }
        // SAFETY: the windows lie within the axes.
        let (mut best, mut value) = (first, unsafe { *x.offset(from) });
        let mut inside = Place::new(&counts[..n], 0);
        for _ in 0..counts.iter().product() {
            let (mut at, mut index) = (from, 0);
            for i in 0..n {
                let step = inside.index(i) * window[i].step;
                at += step as isize * strides[i];
                index = index * dims[i] + step;
            }
            // SAFETY: as above.
            let candidate = unsafe { *x.offset(at) };
            if candidate > value || candidate.partial_cmp(&candidate).is_none() {
                (best, value) = (first + index, candidate);
            }
            inside.advance(&counts[..n]);
        }
        best
    }
}

impl Step for ArgMaxPoolPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        pool.ranges(self.y.numel(), TASK / self.most, |range| {
            // SAFETY: the slices were checked for this memory.
            let (x, y) = unsafe { (mem.ptr(&self.x), mem.ptr(&self.y).cast::<i64>()) };
            let mut place = Place::new(&self.y.dims, range.start);
            for _ in range {
                // SAFETY: as above; tasks write different elements.
                unsafe {
                    let best = for_any!(self.x.dtype, T => self.best(x.cast::<T>(), &place));
                    *y.offset(place.offset(&self.y.strides)) = best as i64;
                }
                place.advance(&self.y.dims);
            }
        });
        Ok(())
    }
}
