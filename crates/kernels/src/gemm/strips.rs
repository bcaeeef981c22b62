//! Products with a matrix whose rows have long runs of neighbours: read where they are, each at a place
//! of its own. So are convolutions of images that lie side by side: no window is copied.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::blocks::{DEPTH, Lines, ROWS, STRIDE, parts};
use super::borders::Borders;
use super::lanes::Lanes;
use super::pack::{Table, pack};
use super::product::Matrices;
use super::side::Side;
use crate::num::Num;
use crate::vector::Body;

/// A block of a product whose operands may run along several axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nested {
    /// The block, with pointers to the elements `[0, 0]` of all of `a` and `b`, and of the block in `c`.
    pub(super) p: Matrices,
    /// First row and column of the block.
    pub(super) at: [usize; 2],
    /// Rows and columns of `a` and `b`. Valid while the product runs.
    pub(super) sides: *const [[Side; 2]; 2],
    /// Where `b` is known to be 0. Valid while the product runs.
    pub(super) borders: *const Borders,
}

/// A term of a sum: the column of `a`, from the first of a block, and where the row of `b` is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub(super) a: usize,
    pub(super) b: isize,
}

/// The product in strips of columns that lie side by side. Contract: that of [`Matrices`], where
/// `sides` give the places of elements of `a` and `b`; `c_cs == 1`; runs of columns of `b`, and the
/// block, begin and end at multiples of a vector. The bits are those of the product by tiles: terms of a
/// border are left out where all of `a` is finite, as they change no sum that begins with 0.
pub(super) struct Strips<V>(PhantomData<V>);

impl<V: Lanes> Body for Strips<V> {
    type Args = Nested;

    #[inline(always)]
    unsafe fn run(Nested { p, at: [row, column], sides, borders }: Nested) {
        // SAFETY: both are valid while the product runs.
        let [[rows_of_a, columns_of_a], [rows_of_b, columns_of_b]] = unsafe { &*sides };
        // SAFETY: see above.
        let borders = unsafe { &*borders };
        let (a, b, c) = (p.a.cast::<V::T>(), p.b.cast::<V::T>(), p.c.cast::<V::T>());
        let mut packed = MaybeUninit::<Lines<[u64; ROWS * STRIDE]>>::uninit();
        let packed = packed.as_mut_ptr().cast::<V::T>();
        let (mut rows, mut along_a) = (Table::new(), Table::new());
        let mut places = [MaybeUninit::uninit(); DEPTH];
        for (l, k) in parts(p.k, DEPTH, 1) {
            let places = rows_of_b.places(l, &mut places[..k]);
            along_a.fill(columns_of_a, l, k);
            for (i, m) in parts(p.m, ROWS, 1) {
                rows.fill(rows_of_a, row + i, m);
                // SAFETY: `k ≤ DEPTH` columns of `m ≤ ROWS` rows of a; a vector past the end of a row
                // ends before the next.
                unsafe { pack::<V>(a, rows.part(0, m), along_a.part(0, k), packed, STRIDE) };
                let finite = !borders.is_empty()
                    && (0..m).all(|i| {
                        // SAFETY: a row that was packed.
                        let row = unsafe { std::slice::from_raw_parts(packed.add(i * STRIDE), k) };
                        row.iter().all(|&x| x.sub(x) == V::T::ZERO)
                    });
                let mut terms = borders.terms(places, l, finite);
                let mut j = 0;
                while j < p.n {
                    let (place, run) = columns_of_b.run_from(column + j);
                    let run = if finite { run.min(borders.run_from(column + j)) } else { run };
                    let vectors = run.min(p.n - j) / V::N;
                    let wide = match vectors {
                        // Rather two strips of about equal width than one of a single vector.
                        n if n == V::widest() + 1 && n > 2 => n - 1,
                        n => n.clamp(1, V::widest()),
                    };
                    let strip = Strip {
                        m,
                        a: packed.cast_const(),
                        b: b.wrapping_offset(place),
                        terms: terms.at(column + j),
                        c: c.wrapping_offset(i as isize * p.c_rs).wrapping_add(j),
                        c_rs: p.c_rs,
                        add: p.add || l > 0,
                    };
                    // SAFETY: these columns exist, as many as `wide` vectors take.
                    unsafe {
                        match wide {
                            4 if V::ROWS[3] > 0 => strip.run::<V, 4>(),
                            3 if V::ROWS[2] > 0 => strip.run::<V, 3>(),
                            2 => strip.run::<V, 2>(),
                            _ => strip.run::<V, 1>(),
                        }
                        if l + k == p.k && !p.next.is_nothing() {
                            let sides = [m, wide * V::N];
                            p.next.from(i, 0).change(strip.c.cast(), p.c_rs, j, sides);
                        }
                    }
                    j += wide * V::N;
                }
            }
        }
    }
}

/// Columns of a product that lie side by side.
struct Strip<'a, T> {
    m: usize,
    /// Rows at distance [`STRIDE`].
    a: *const T,
    b: *const T,
    terms: &'a [Term],
    c: *mut T,
    c_rs: isize,
    add: bool,
}

impl<T: Num> Strip<'_, T> {
    /// All rows, in tiles as equal as can be.
    ///
    /// # Safety
    /// The columns take `C` vectors; the elements exist.
    #[inline(always)]
    unsafe fn run<V: Lanes<T = T>, const C: usize>(&self) {
        let most = V::ROWS[C - 1];
        let mut tiles = self.m.div_ceil(most);
        let mut i = 0;
        while tiles > 0 {
            let rows = (self.m - i).div_ceil(tiles);
            // SAFETY: rows `i .. i + rows` exist.
            unsafe {
                match rows {
                    8 if most >= 8 => self.tile::<V, 8, C>(i),
                    7 if most >= 7 => self.tile::<V, 7, C>(i),
                    6 if most >= 6 => self.tile::<V, 6, C>(i),
                    5 if most >= 5 => self.tile::<V, 5, C>(i),
                    4 => self.tile::<V, 4, C>(i),
                    3 => self.tile::<V, 3, C>(i),
                    2 => self.tile::<V, 2, C>(i),
                    _ => self.tile::<V, 1, C>(i),
                }
            }
            i += rows;
            tiles -= 1;
        }
    }

    /// Rows `i .. i + R`.
    ///
    /// # Safety
    /// As for [`Strip::run`]; the rows exist.
    #[inline(always)]
    unsafe fn tile<V: Lanes<T = T>, const R: usize, const C: usize>(&self, i: usize) {
        let load = |x: *const T| -> [V; C] {
            // SAFETY: elements of the columns.
            std::array::from_fn(|v| unsafe { V::load(x.wrapping_add(v * V::N)) })
        };
        let a = self.a.wrapping_add(i * STRIDE);
        let c = |r: usize| self.c.wrapping_offset((i + r) as isize * self.c_rs);
        let mut sums = [[V::splat(T::ZERO); C]; R];
        if self.add {
            for (r, sums) in sums.iter_mut().enumerate() {
                *sums = load(c(r));
            }
        }
        for term in self.terms {
            let row = load(self.b.wrapping_offset(term.b));
            let a = a.wrapping_add(term.a);
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: an element of a.
                let x = V::splat(unsafe { *a.wrapping_add(r * STRIDE) });
                for (sum, &y) in sums.iter_mut().zip(&row) {
                    *sum = x.mul_add(y, *sum);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                // SAFETY: elements of a row of c.
                unsafe { sum.store(c(r).wrapping_add(v * V::N)) };
            }
        }
    }
}
