//! A group of rows.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use crate::gemm::Lanes;
use crate::num::{Float, Num};
use crate::pieces::{PIECE, across, larger, peak};
use crate::vector::{Body, Fused, Machine, Plain};

/// Most rows of a group of few classes.
pub(super) const LINES: usize = 64;
/// So few classes are vectors of rows.
const FEW: usize = 32;
/// Pieces that are added up one after the other.
const BLOCK: usize = 64;

/// What rows have one after the other: where the first is, and the distance in elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) at: *mut u8,
    pub(super) step: isize,
}

impl Line {
    #[inline(always)]
    fn row<T>(self, i: usize) -> *mut T {
        self.at.cast::<T>().wrapping_offset(i as isize * self.step)
    }
}

/// Rows one after the other.
///
/// Contract: `classes` elements of every `x` are valid for reads, there is one at least, and labels, of 64
/// bits if `wide` or of 32, are less; every `y` is valid for a write, every `dy` for a read, and every `dx`
/// for writes of `classes` elements; what is written is apart from all else.
#[derive(Debug)]
pub(crate) struct Run {
    pub(super) classes: usize,
    pub(super) lines: usize,
    pub(super) x: Line,
    pub(super) labels: Line,
    pub(super) wide: bool,
    pub(super) y: Option<Line>,
    /// `dy`, what came for `y`, and `dx`.
    pub(super) gradient: Option<[Line; 2]>,
}

impl Run {
    /// # Safety
    /// The contract; row `i` exists.
    #[inline(always)]
    unsafe fn label(&self, i: usize) -> usize {
        // SAFETY: the caller's promise.
        unsafe {
            if self.wide {
                *self.labels.row::<i64>(i) as usize
            } else {
                *self.labels.row::<i32>(i) as usize
            }
        }
    }
}

/// Rows by vectors `V`. Contract: that of [`Run`], to which the argument points.
pub(crate) struct Rows<V>(PhantomData<V>);

impl<V: Lanes> Body for Rows<V>
where
    V::T: Float,
{
    type Args = *const Run;

    #[inline(always)]
    unsafe fn run(run: *const Run) {
        // SAFETY: the caller keeps the contract.
        unsafe { Self::on::<Plain>(&*run) }
    }
    #[inline(always)]
    unsafe fn run_fused(run: *const Run) {
        // SAFETY: the caller keeps the contract.
        unsafe { Self::on::<Fused>(&*run) }
    }
}

impl<V: Lanes> Rows<V>
where
    V::T: Float,
{
    /// # Safety
    /// The contract of [`Run`].
    #[inline(always)]
    unsafe fn on<M: Machine>(run: &Run) {
        // Here and below no closures and adapters but the smallest: what is not inlined is compiled without
        // the instruction set.
        // SAFETY: the caller keeps the contract.
        unsafe {
            if run.classes <= FEW {
                for first in (0..run.lines).step_by(LINES) {
                    Self::columns::<M>(run, first);
                }
            } else {
                for l in 0..run.lines {
                    Self::row::<M>(run, l);
                }
            }
        }
    }

    /// A group of rows from `first` on, of few classes: a column for each class. Rows are turned in squares,
    /// of which the last may do some classes again.
    ///
    /// # Safety
    /// The contract of [`Run`], of at most [`FEW`] classes; `first` is a row.
    #[inline(always)]
    unsafe fn columns<M: Machine>(run: &Run, first: usize) {
        let (classes, lines) = (run.classes, LINES.min(run.lines - first));
        // Whole vectors of any kind. The length is not known before, or loops would be unrolled and
        // become no vectors.
        let (n, side) = (lines.next_multiple_of(PIECE), V::SQUARE);
        let mut columns = MaybeUninit::<[V::T; FEW * LINES]>::uninit();
        let to = columns.as_mut_ptr().cast::<V::T>();
        let mut places = [0; 8];
        for (i, place) in places.iter_mut().enumerate() {
            *place = i as isize * run.x.step;
        }
        for part in (0..n).step_by(side) {
            let x = run.x.row::<V::T>(first + part).cast_const();
            if part + side <= lines && classes >= side {
                for j in (0..classes).step_by(side) {
                    let j = j.min(classes - side);
                    // SAFETY: a square of rows, and its place.
                    unsafe {
                        let to = to.add(j * n + part);
                        V::transpose(x.add(j), &places[..side], to, n as isize);
                    }
                }
                continue;
            }
            for l in 0..side {
                for j in 0..classes {
                    let exists = part + l < lines;
                    let at = x.wrapping_offset(l as isize * run.x.step).wrapping_add(j);
                    // SAFETY: an element of the row, if that exists, and its place.
                    unsafe {
                        to.add(j * n + part + l).write(if exists { *at } else { V::T::ZERO });
                    }
                }
            }
        }
        // SAFETY: as many elements are written.
        let columns = unsafe { std::slice::from_raw_parts_mut(to, classes * n) };
        let (mut most, mut sums) = ([V::T::LOWEST; LINES], [V::T::ZERO; LINES]);
        for at in (0..n).step_by(PIECE) {
            let mut piece = [V::T::LOWEST; PIECE];
            for column in columns.chunks_exact(n) {
                for (most, &x) in piece.iter_mut().zip(&column[at..at + PIECE]) {
                    *most = larger(x, *most);
                }
            }
            for most in &mut piece {
                *most = peak(*most);
            }
            for column in columns.chunks_exact_mut(n) {
                for (x, &most) in column[at..at + PIECE].iter_mut().zip(&piece) {
                    *x = x.sub(most);
                }
            }
            most[at..at + PIECE].copy_from_slice(&piece);
        }
        for x in columns.iter_mut() {
            *x = x.exp::<M>();
        }
        for at in (0..n).step_by(PIECE) {
            let mut piece = [V::T::ZERO; PIECE];
            for column in columns.chunks_exact(n) {
                for (sum, &x) in piece.iter_mut().zip(&column[at..at + PIECE]) {
                    *sum = sum.add(x);
                }
            }
            sums[at..at + PIECE].copy_from_slice(&piece);
        }
        let sums = &mut sums[..n];
        if let Some(y) = run.y {
            let mut logs = [V::T::ZERO; LINES];
            for (log, sum) in logs[..n].iter_mut().zip(sums.iter()) {
                *log = sum.ln::<M>();
            }
            for l in 0..lines {
                let row = first + l;
                // SAFETY: the element of the label, and the place of the result.
                unsafe {
                    let x = *run.x.row::<V::T>(row).add(run.label(row));
                    y.row::<V::T>(row).write(x.sub(most[l]).sub(logs[l]));
                }
            }
        }
        let Some([dy, dx]) = run.gradient else { return };
        // Labels as numbers, which few classes are: comparisons are vectors then.
        let zeros = [V::T::ZERO; LINES];
        let (mut came, mut labels) = (zeros, zeros);
        let (came, labels) = (&mut came[..n], &mut labels[..n]);
        for l in 0..lines {
            // SAFETY: elements of a row.
            unsafe {
                came[l] = *dy.row(first + l);
                labels[l] = V::T::from_f64(run.label(first + l) as f64);
            }
        }
        for (sum, &came) in sums.iter_mut().zip(came.iter()) {
            *sum = came.div(*sum).neg();
        }
        for (j, column) in columns.chunks_exact_mut(n).enumerate() {
            let class = V::T::from_f64(j as f64);
            let of_rows = sums.iter().zip(came.iter().zip(labels.iter()));
            for (x, (&factor, (&came, &label))) in column.iter_mut().zip(of_rows) {
                let own = if label == class { came } else { V::T::ZERO };
                *x = x.mul(factor).add(own);
            }
        }
        for (i, place) in places.iter_mut().enumerate() {
            *place = (i * n) as isize;
        }
        for part in (0..lines).step_by(side) {
            let dx_row = dx.row::<V::T>(first + part);
            let from = columns.as_ptr().wrapping_add(part);
            if part + side <= lines && classes >= side {
                for j in (0..classes).step_by(side) {
                    let j = j.min(classes - side);
                    // SAFETY: a square of columns, and its place in the rows.
                    unsafe {
                        let to = dx_row.add(j);
                        V::transpose(from.add(j * n), &places[..side], to, dx.step);
                    }
                }
                continue;
            }
            for l in 0..side.min(lines - part) {
                for j in 0..classes {
                    // SAFETY: an element of the row.
                    unsafe {
                        let to = dx_row.wrapping_offset(l as isize * dx.step);
                        to.add(j).write(*from.add(j * n + l));
                    }
                }
            }
        }
    }

    /// Writes the value of row `l`, if it is asked for.
    ///
    /// # Safety
    /// The contract of [`Run`], of which `l` is a row.
    #[inline(always)]
    unsafe fn value<M: Machine>(run: &Run, l: usize, x: V::T, sum: V::T) {
        if let Some(y) = run.y {
            // SAFETY: the place of the value.
            unsafe { y.row::<V::T>(l).write(x.sub(sum.ln::<M>())) };
        }
    }

    /// Many classes: vectors of a row.
    ///
    /// # Safety
    /// The contract of [`Run`], of which `l` is a row.
    #[inline(always)]
    unsafe fn row<M: Machine>(run: &Run, l: usize) {
        // SAFETY: the contract.
        let label = unsafe { run.label(l) };
        // SAFETY: the contract.
        let x = unsafe { std::slice::from_raw_parts(run.x.row::<V::T>(l), run.classes) };
        let (pieces, rest) = x.as_chunks::<PIECE>();
        let mut most = [V::T::LOWEST; PIECE];
        for x in pieces {
            for (most, &x) in most.iter_mut().zip(x) {
                *most = larger(x, *most);
            }
        }
        for (most, &x) in most.iter_mut().zip(rest) {
            *most = larger(x, *most);
        }
        let most = peak(across(most, larger));
        let mut last = [V::T::LOWEST; PIECE];
        last[..rest.len()].copy_from_slice(rest);
        for x in &mut last {
            *x = x.sub(most);
        }
        for x in &mut last[..PIECE.min(std::hint::black_box(PIECE))] {
            *x = x.exp::<M>();
        }
        last[rest.len()..].fill(V::T::ZERO);
        let Some([dy, dx]) = run.gradient else {
            let mut sum = across(last, V::T::add);
            for block in pieces.chunks(BLOCK) {
                let mut sums = [V::T::ZERO; PIECE];
                for x in block {
                    for (sum, &x) in sums.iter_mut().zip(x) {
                        *sum = sum.add(x.sub(most).exp::<M>());
                    }
                }
                sum = sum.add(across(sums, V::T::add));
            }
            // SAFETY: a row.
            unsafe { Self::value::<M>(run, l, x[label].sub(most), sum) };
            return;
        };
        // SAFETY: what came, and the row of the gradient, which is apart. Every element is written
        // before it is read.
        let (dy, dx) = unsafe {
            let dx = dx.row::<V::T>(l);
            dx.copy_from_nonoverlapping(x.as_ptr(), x.len());
            (*dy.row::<V::T>(l), std::slice::from_raw_parts_mut(dx, x.len()))
        };
        let (pieces, rest) = dx.as_chunks_mut::<PIECE>();
        let mut sum = across(last, V::T::add);
        for block in pieces.chunks_mut(BLOCK) {
            let mut sums = [V::T::ZERO; PIECE];
            for x in block {
                for (sum, x) in sums.iter_mut().zip(x) {
                    *x = x.sub(most).exp::<M>();
                    *sum = sum.add(*x);
                }
            }
            sum = sum.add(across(sums, V::T::add));
        }
        let len = rest.len();
        rest.copy_from_slice(&last[..len]);
        // SAFETY: a row.
        unsafe { Self::value::<M>(run, l, x[label].sub(most), sum) };
        let factor = dy.div(sum);
        for x in dx.iter_mut() {
            *x = x.mul(factor).neg();
        }
        dx[label] = dx[label].add(dy);
    }
}
