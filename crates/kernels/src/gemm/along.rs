//! Products of rows and columns that are both contiguous in long runs: vectors along the sum. So is the
//! gradient of a convolution's weight, of images that lie side by side.
//!
//! Of every element of `c` as many partial sums are kept as 64 bytes hold, whatever the vectors, each
//! in the order of `k`; in the end they are added by halves.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::blocks::{Lines as Aligned, parts};
use super::lanes::Lanes;
use super::strips::Nested;
use crate::num::Num;
use crate::vector::Body;

/// Rows and columns of a block, whose partial sums stay in the second cache.
const BLOCK: [usize; 2] = [24, 40];
/// Terms of a block: its rows and columns stay in the first cache while they are used, or nearly.
const TERMS: usize = 640;
/// Pieces of them that are contiguous in both operands.
const PIECES: usize = 32;

/// Partial sums of an element: a multiple of all vectors' lengths.
const fn partial<T>() -> usize {
    64 / size_of::<T>()
}

/// Terms that are contiguous in both operands: where they are, and how many.
#[derive(Clone, Copy, Debug)]
struct Piece {
    a: isize,
    b: isize,
    len: usize,
}

/// The product by partial sums. Contract: that of [`Matrices`](super::product::Matrices), where `sides`
/// give the places of elements of `a` and `b`; runs of columns of `a` and rows of `b` are contiguous and
/// as long as multiples of the partial sums of an element.
pub(super) struct Along<V>(PhantomData<V>);

impl<V: Lanes> Body for Along<V> {
    type Args = Nested;

    #[inline(always)]
    unsafe fn run(Nested { p, at: [row, column], sides, .. }: Nested) {
        // SAFETY: valid while the product runs.
        let [[rows_of_a, columns_of_a], [rows_of_b, columns_of_b]] = unsafe { &*sides };
        let lanes = partial::<V::T>();
        let mut sums = MaybeUninit::<Aligned<[u8; BLOCK[0] * BLOCK[1] * 64]>>::uninit();
        let sums = sums.as_mut_ptr().cast::<V::T>();
        let mut rows = [MaybeUninit::uninit(); BLOCK[0]];
        let mut columns = [MaybeUninit::uninit(); BLOCK[1]];
        let mut pieces = [Piece { a: 0, b: 0, len: 0 }; PIECES];
        let most = if V::widest() > 2 { [6, 4] } else { [4, 2] };
        for (j, n) in parts(p.n, BLOCK[1], 1) {
            let columns = columns_of_b.places(column + j, &mut columns[..n]);
            for (i, m) in parts(p.m, BLOCK[0], 1) {
                let rows = rows_of_a.places(row + i, &mut rows[..m]);
                let mut l = 0;
                while l < p.k || l == 0 {
                    let (first, from) = (l == 0, l);
                    let mut count = 0;
                    while l < p.k && l - from < TERMS && count < PIECES {
                        let (a, in_a) = columns_of_a.run_from(l);
                        let (b, in_b) = rows_of_b.run_from(l);
                        let len = in_a.min(in_b).min(from + TERMS - l).min(p.k - l);
                        pieces[count] = Piece { a, b, len };
                        (l, count) = (l + len, count + 1);
                    }
                    for (q, w) in parts(n, most[1], 1) {
                        for (r, h) in parts(m, most[0], 1) {
                            let tile = Tile {
                                a: p.a.cast::<V::T>(),
                                rows: &rows[r..r + h],
                                b: p.b.cast::<V::T>(),
                                columns: &columns[q..q + w],
                                pieces: &pieces[..count],
                                sums: sums.wrapping_add((r * n + q) * lanes),
                                stride: n * lanes,
                                first,
                            };
                            // SAFETY: rows and columns that exist, and room for their sums.
                            unsafe { tile.all::<V>() };
                        }
                    }
                    if p.k == 0 {
                        break;
                    }
                }
                let c =
                    p.c.cast::<V::T>().wrapping_offset(i as isize * p.c_rs + j as isize * p.c_cs);
                for (r, q) in (0..m).flat_map(|r| (0..n).map(move |q| (r, q))) {
                    // SAFETY: the partial sums of an element were written; an element of c.
                    unsafe {
                        let sum = total(sums.add((r * n + q) * lanes));
                        let to = c.wrapping_offset(r as isize * p.c_rs + q as isize * p.c_cs);
                        to.write(if p.add { (*to).add(sum) } else { sum });
                    }
                }
            }
        }
    }
}

/// The sum of the partial sums of an element.
///
/// # Safety
/// They are valid for reads and writes.
#[inline(always)]
unsafe fn total<T: Num>(line: *mut T) -> T {
    let mut half = partial::<T>() / 2;
    // SAFETY: the caller's promise.
    unsafe {
        while half > 0 {
            for i in 0..half {
                *line.add(i) = (*line.add(i)).add(*line.add(i + half));
            }
            half /= 2;
        }
        *line
    }
}

/// Rows and columns whose partial sums fit in registers.
struct Tile<'a, T> {
    a: *const T,
    rows: &'a [isize],
    b: *const T,
    columns: &'a [isize],
    pieces: &'a [Piece],
    /// The partial sums of the first element; those of a row are `stride` from those of the row before.
    sums: *mut T,
    stride: usize,
    /// Are these the first terms?
    first: bool,
}

impl<T: Num> Tile<'_, T> {
    /// # Safety
    /// The rows and columns exist, and there is room for their sums.
    #[inline(always)]
    unsafe fn all<V: Lanes<T = T>>(&self) {
        for at in (0..partial::<T>()).step_by(V::N) {
            // SAFETY: the caller's promise.
            unsafe {
                match self.columns.len() {
                    4 if V::widest() > 2 => self.columns::<V, 4>(at),
                    3 if V::widest() > 2 => self.columns::<V, 3>(at),
                    2 => self.columns::<V, 2>(at),
                    _ => self.columns::<V, 1>(at),
                }
            }
        }
    }

    /// # Safety
    /// As for [`Tile::all`].
    #[inline(always)]
    unsafe fn columns<V: Lanes<T = T>, const C: usize>(&self, at: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.rows.len() {
                6 if V::widest() > 2 => self.tile::<V, 6, C>(at),
                5 if V::widest() > 2 => self.tile::<V, 5, C>(at),
                4 => self.tile::<V, 4, C>(at),
                3 => self.tile::<V, 3, C>(at),
                2 => self.tile::<V, 2, C>(at),
                _ => self.tile::<V, 1, C>(at),
            }
        }
    }

    /// Adds the terms to the partial sums from number `at` on, as many as a vector holds.
    ///
    /// # Safety
    /// As for [`Tile::all`]; there are `R` rows and `C` columns.
    #[inline(always)]
    unsafe fn tile<V: Lanes<T = T>, const R: usize, const C: usize>(&self, at: usize) {
        let lanes = partial::<T>();
        let place = |r: usize, q: usize| self.sums.wrapping_add(r * self.stride + q * lanes + at);
        let mut sums = [[V::splat(T::ZERO); C]; R];
        if !self.first {
            for (r, sums) in sums.iter_mut().enumerate() {
                for (q, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: partial sums that were written.
                    *sum = unsafe { V::load(place(r, q)) };
                }
            }
        }
        for piece in self.pieces {
            let (a, b) = (self.a.wrapping_offset(piece.a), self.b.wrapping_offset(piece.b));
            let rows: [*const T; R] = std::array::from_fn(|r| a.wrapping_offset(self.rows[r]));
            let columns: [*const T; C] =
                std::array::from_fn(|q| b.wrapping_offset(self.columns[q]));
            let mut l = at;
            while l < piece.len {
                let y: [V; C] = std::array::from_fn(|q| {
                    // SAFETY: a vector of the piece.
                    unsafe { V::load(columns[q].wrapping_add(l)) }
                });
                for (sums, row) in sums.iter_mut().zip(&rows) {
                    // SAFETY: see above.
                    let x = unsafe { V::load(row.wrapping_add(l)) };
                    for (sum, &y) in sums.iter_mut().zip(&y) {
                        *sum = x.mul_add(y, *sum);
                    }
                }
                l += lanes;
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (q, sum) in sums.iter().enumerate() {
                // SAFETY: room for partial sums.
                unsafe { sum.store(place(r, q)) };
            }
        }
    }
}
