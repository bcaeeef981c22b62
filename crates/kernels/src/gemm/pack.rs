//! Copies of blocks of a matrix, whatever its axes in memory, to rows that lie close together.

use std::mem::MaybeUninit;

use super::blocks::DEPTH;
use super::lanes::Lanes;
use super::side::Side;

/// Places of up to [`DEPTH`] rows or columns, and how many from each on are neighbours.
#[derive(Debug)]
pub(super) struct Table {
    at: [MaybeUninit<isize>; DEPTH],
    run: [MaybeUninit<u16>; DEPTH],
    /// How many are written.
    len: usize,
}

/// Part of a [`Table`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Places<'a> {
    at: &'a [isize],
    run: &'a [u16],
}

impl Table {
    #[inline(always)]
    pub(super) fn new() -> Table {
        let (at, run) =
            ([const { MaybeUninit::uninit() }; DEPTH], [const { MaybeUninit::uninit() }; DEPTH]);
        Table { at, run, len: 0 }
    }

    /// Rows, or columns, from number `start` on.
    #[inline]
    pub(super) fn fill(&mut self, side: &Side, start: usize, len: usize) {
        let at = side.places(start, &mut self.at[..len]);
        let mut run = 0;
        for i in (0..len).rev() {
            let joined = i + 1 < len && at[i + 1] == at[i] + 1;
            run = if joined { run + 1 } else { 1 };
            self.run[i].write(run);
        }
        self.len = len;
    }

    /// Number `from` and the next.
    #[inline(always)]
    pub(super) fn part(&self, from: usize, len: usize) -> Places<'_> {
        // SAFETY: the first `len` of both are written.
        let (at, run) = unsafe {
            (self.at[..self.len].assume_init_ref(), self.run[..self.len].assume_init_ref())
        };
        Places { at: &at[from..from + len], run: &run[from..from + len] }
    }
}

impl Places<'_> {
    /// Do all of them lie side by side?
    #[inline(always)]
    pub(super) fn are_neighbours(&self) -> bool {
        self.run.first().is_some_and(|&run| usize::from(run) >= self.at.len())
    }
}

/// Rows ahead of the one that is copied of which lines are asked for: they lie apart, so the machine
/// does not foresee them.
const AHEAD: usize = 4;
/// Shorter runs of neighbours along columns are copied by squares, if there are runs along rows.
const SHORT: u16 = 8;

/// Writes rows of a matrix at distance `stride`. The vector after a row's end may be overwritten, but
/// not in rows that were written.
///
/// # Safety
/// `x` plus a place of a row and a place of a column is valid for reads; at `to` there is room for
/// the rows and a vector.
#[inline(always)]
pub(super) unsafe fn pack<V: Lanes>(
    x: *const V::T,
    rows: Places<'_>,
    columns: Places<'_>,
    to: *mut V::T,
    stride: usize,
) {
    let (m, n) = (rows.at.len(), columns.at.len());
    let (side, mut i) = (V::SQUARE, 0);
    let short = n > 0 && columns.run[0] < SHORT && usize::from(columns.run[0]) < n;
    while i < m {
        let to = to.wrapping_add(i * stride);
        let run = usize::from(rows.run[i]).min(m - i) / side * side;
        if short && run > 0 {
            // SAFETY: `run` rows that are neighbours.
            unsafe { squares::<V>(x.offset(rows.at[i]), run, columns.at, to, stride) };
            i += run;
            continue;
        }
        let from = x.wrapping_offset(rows.at[i]);
        let ahead = x.wrapping_offset(rows.at[(i + AHEAD).min(m - 1)]);
        let mut j = 0;
        while j < n {
            let (at, run) = (columns.at[j], usize::from(columns.run[j]).min(n - j));
            let (from, ahead, to) =
                (from.wrapping_offset(at), ahead.wrapping_offset(at), to.wrapping_add(j));
            let mut v = 0;
            while v + V::N <= run {
                V::prefetch(ahead.wrapping_add(v));
                // SAFETY: a vector of the run, and its place.
                unsafe { V::load(from.add(v)).store(to.add(v)) };
                v += V::N;
            }
            // SAFETY of both: what is left of the run; room for a vector, of which the next run
            // overwrites the rest.
            if run == 1 {
                // SAFETY: see above.
                unsafe { to.write(*from) };
            } else if v < run {
                // SAFETY: see above.
                unsafe { V::load_some(from.add(v), V::first(run - v)).store(to.add(v)) };
            }
            j += run;
        }
        i += 1;
    }
}

/// Rows that are neighbours in memory, a multiple of `SQUARE`: columns that may lie far apart are
/// walked down, a few at a time.
///
/// # Safety
/// As for [`pack`]; `x` is the place of the first row.
#[inline(always)]
unsafe fn squares<V: Lanes>(
    x: *const V::T,
    rows: usize,
    columns: &[isize],
    to: *mut V::T,
    stride: usize,
) {
    let side = V::SQUARE;
    let across = columns.len() / side * side;
    for j in (0..across).step_by(side) {
        for i in (0..rows).step_by(side) {
            let to = to.wrapping_add(i * stride + j);
            // SAFETY: a square, and its place.
            unsafe { V::transpose(x.add(i), &columns[j..j + side], to, stride as isize) };
        }
    }
    for (j, &at) in columns.iter().enumerate().skip(across) {
        for i in 0..rows {
            // SAFETY: elements of a column, and their places.
            unsafe { to.add(i * stride + j).write(*x.offset(at + i as isize)) };
        }
    }
}
