//! Windows in blocks: as many as are alike and at equal distances, in three axes at most.
//!
//! ```text
//! along an axis:   [ 0 ][ 1   ][ 2   ][ 3   ][ 4 ]      clipped at both ends: three runs
//! of two axes:     9 blocks, most windows in the one in the middle
//! ```
//! Where images lie side by side, a block's innermost axis is that of the images.

use std::ops::Range;

use crate::check;
use crate::space::{Place, Space};
use crate::{Axes, Fault, Slice, Strides, Window};

/// Most axes that have windows.
const MOST: usize = 3;

/// Windows of an axis that are alike and at equal distances.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Number of the first, and of those after the last.
    first: usize,
    end: usize,
    window: Window,
    /// From the start of one to that of the next.
    stride: isize,
}

/// One axis of the array of all windows.
#[derive(Clone, Debug)]
struct Axis {
    runs: Vec<Run>,
    /// Number of windows.
    len: usize,
    /// Strides in the array that has windows, and in those of one element a window.
    wide: isize,
    narrow: [isize; 2],
    /// What a step along the axis adds to the row-major index over the axes that have windows.
    area: usize,
}

/// The windows along the last axes of an array, beside two arrays of one element a window.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    /// First those without windows, joined; at least three. See [`Blocks::new`] for the last.
    axes: Vec<Axis>,
    /// All but the last: a row of windows for each place.
    rows: Axes,
    /// Elements of the largest window.
    pub(crate) most: usize,
    /// Has no element two windows?
    pub(crate) disjoint: bool,
    /// Has every element a window?
    pub(crate) covering: bool,
    /// Rows of windows in a part of the array without windows' axes.
    pub(crate) rows_per_part: usize,
}

/// Windows that are alike. Lengths and strides are those of three axes, the last is the innermost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// Number of windows.
    pub(crate) dims: [usize; 3],
    /// Where the first window begins in the array, and how far the others are from it.
    pub(crate) start: isize,
    pub(crate) strides: [isize; 3],
    /// Elements of a window, and how far they are apart.
    pub(crate) counts: [usize; 3],
    pub(crate) steps: [isize; 3],
    /// The same as row-major indices: the first window's, from window to window, in a window.
    pub(crate) index: usize,
    pub(crate) index_strides: [isize; 3],
    pub(crate) index_steps: [usize; 3],
    /// Where the first window's element is in the arrays of one element a window, and the others'.
    pub(crate) at: [isize; 2],
    pub(crate) at_strides: [[isize; 3]; 2],
}

impl Block {
    /// From the first element of a window to the last.
    pub(crate) fn reach(&self) -> isize {
        (0..3).map(|i| (self.counts[i] - 1) as isize * self.steps[i]).sum()
    }

    /// What a step in a window adds to the number of an element, row-major within the window.
    pub(crate) fn number_steps(&self) -> [usize; 3] {
        [self.counts[1] * self.counts[2], self.counts[2], 1]
    }
}

impl Run {
    /// The runs of all windows of an axis.
    fn all(windows: &[Window]) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (i, &window) in windows.iter().enumerate() {
            if let Some(run) = runs.last_mut() {
                let from = windows[i - 1].start as isize;
                let stride = window.start as isize - from;
                let alike = (run.window.count, run.window.step) == (window.count, window.step);
                if alike && (run.end - run.first == 1 || run.stride == stride) {
                    (run.end, run.stride) = (i + 1, stride);
                    continue;
                }
            }
            runs.push(Run { first: i, end: i + 1, window, stride: 0 });
        }
        runs
    }

    /// Where window `i` begins along its axis.
    fn start(&self, i: usize) -> isize {
        self.window.start as isize + (i - self.first) as isize * self.stride
    }
}

impl Axis {
    /// The run that window `i` is in.
    fn run(&self, i: usize) -> &Run {
        &self.runs[self.runs.partition_point(|run| run.end <= i)]
    }
}

impl Blocks {
    /// `windows` along the last axes of `wide`; `narrow` has an element for each window.
    pub(crate) fn new(
        windows: &[Vec<Window>],
        wide: &Slice,
        narrow: [&Slice; 2],
    ) -> Result<Blocks, Fault> {
        let misfit = || Fault::Windows { dims: wide.dims.to_vec() };
        let lead = wide.dims.len().checked_sub(windows.len()).ok_or_else(misfit)?;
        if !(1..=MOST).contains(&windows.len()) {
            return Err(misfit());
        }
        let counts = windows.iter().map(Vec::len);
        let dims: Axes = wide.dims[..lead].iter().copied().chain(counts).collect();
        narrow.iter().try_for_each(|s| check::shape(s, &dims))?;
        for (windows, &n) in windows.iter().zip(&wide.dims[lead..]) {
            let inside = |w: &Window| {
                let reach = w.count.checked_sub(1)?.checked_mul(w.step)?;
                w.start.checked_add(reach).filter(|&end| end < n)
            };
            if !windows.iter().all(|w| inside(w).is_some()) {
                return Err(misfit());
            }
        }
        let strides = [wide, narrow[0], narrow[1]].map(|s| &s.strides[..lead]);
        let space = Space::new(&wide.dims[..lead], &strides);
        let plain = |len, [wide, a, b]: [isize; 3]| {
            let window = Window { start: 0, count: 1, step: 1 };
            let runs = vec![Run { first: 0, end: len, window, stride: 1 }];
            Axis { runs, len, wide, narrow: [a, b], area: 0 }
        };
        let rank = space.dims.len() + windows.len();
        let mut axes: Vec<Axis> = (rank..MOST).map(|_| plain(1, [0; 3])).collect();
        for (i, &len) in space.dims.iter().enumerate() {
            axes.push(plain(len, [0, 1, 2].map(|s| space.strides[s][i])));
        }
        for (i, windows) in (lead..).zip(windows) {
            // The stride of a single element may be any number.
            let stride = |s: &Slice| if s.dims[i] > 1 { s.strides[i] } else { 0 };
            let (wide_stride, narrow) = (stride(wide), narrow.map(stride));
            let area = wide.dims[i + 1..].iter().product();
            let (runs, len) = (Run::all(windows), windows.len());
            axes.push(Axis { runs, len, wide: wide_stride, narrow, area });
        }
        // Rows are along the last axis with windows, or, in place of a third, along one without where that
        // is contiguous and windows are not.
        let far = axes[axes.len() - 1].wide != 1 && windows.len() < MOST;
        let plain = axes.len() - windows.len();
        let lanes = axes[..plain].iter().rposition(|axis| axis.wide == 1 && axis.len > 1);
        let lanes = lanes.filter(|_| far);
        if let Some(lanes) = lanes {
            let axis = axes.remove(lanes);
            axes.push(axis);
        }
        let apart = |w: &[Window]| w[1].start > w[0].start + (w[0].count - 1) * w[0].step;
        let disjoint = windows.iter().all(|windows| windows.windows(2).all(apart));
        let elements = |windows: &Vec<Window>| windows.iter().map(|w| w.count).sum::<usize>();
        let full = windows.iter().zip(&wide.dims[lead..]).all(|(w, &n)| elements(w) == n);
        let largest = |w: &Vec<Window>| w.iter().map(|w| w.count).max().unwrap_or(0);
        let rows: Axes = axes[..axes.len() - 1].iter().map(|axis| axis.len).collect();
        let in_row = usize::from(lanes.is_none());
        let per_part = windows[..windows.len() - in_row].iter().map(Vec::len).product();
        Ok(Blocks {
            axes,
            rows,
            most: windows.iter().map(largest).fold(1usize, usize::saturating_mul),
            disjoint,
            covering: disjoint && full,
            rows_per_part: per_part,
        })
    }

    /// Number of rows of windows.
    pub(crate) fn rows(&self) -> usize {
        self.rows.iter().product()
    }

    /// Number of windows in a row.
    pub(crate) fn row_len(&self) -> usize {
        self.axes[self.axes.len() - 1].len
    }

    /// Calls `f` for blocks that hold a range of rows, row by row if `single`.
    pub(crate) fn each(&self, rows: Range<usize>, single: bool, mut f: impl FnMut(&Block)) {
        let (far, near) = self.axes.split_at(self.axes.len() - 3);
        let far_strides = [0, 1, 2].map(|s| {
            let stride = |a: &Axis| if s == 0 { a.wide } else { a.narrow[s - 1] };
            far.iter().map(stride).collect::<Strides>()
        });
        let mut row = rows.start;
        while row < rows.end {
            let (place, left) = (Place::new(&self.rows, row), rows.end - row);
            let [i2, i1] = [0, 1].map(|i| place.index(far.len() + i));
            let [run2, run1] = [near[0].run(i2), near[1].run(i1)];
            let n1 = if single { 1 } else { left.min(run1.end - i1) };
            let planes = !single && n1 == near[1].len;
            let n2 = if planes { (left / n1).min(run2.end - i2) } else { 1 };
            let [wide, a, b] = [0, 1, 2].map(|s| place.offset(&far_strides[s]));
            for run0 in &near[2].runs {
                let runs = [run2, run1, run0];
                let firsts = [i2, i1, run0.first];
                let starts: [isize; 3] = std::array::from_fn(|i| runs[i].start(firsts[i]));
                let of = |f: &dyn Fn(usize) -> isize| -> [isize; 3] { std::array::from_fn(f) };
                let sum = |f: &dyn Fn(usize) -> isize| -> isize { (0..3).map(f).sum() };
                f(&Block {
                    dims: [n2, n1, run0.end - run0.first],
                    start: wide + sum(&|i| starts[i] * near[i].wide),
                    strides: of(&|i| runs[i].stride * near[i].wide),
                    counts: runs.map(|run| run.window.count),
                    // Of windows of one element the step may be any number.
                    steps: of(&|i| (runs[i].window.step as isize).wrapping_mul(near[i].wide)),
                    index: sum(&|i| starts[i] * near[i].area as isize) as usize,
                    index_strides: of(&|i| runs[i].stride * near[i].area as isize),
                    index_steps: std::array::from_fn(|i| {
                        runs[i].window.step.wrapping_mul(near[i].area)
                    }),
                    at: [0, 1].map(|s| {
                        let far = if s == 0 { a } else { b };
                        far + sum(&|i| firsts[i] as isize * near[i].narrow[s])
                    }),
                    at_strides: [0, 1].map(|s| of(&|i| near[i].narrow[s])),
                });
            }
            row += n1 * n2;
        }
    }
}
