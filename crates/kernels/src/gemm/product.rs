//! A product by register tiles, operands read where they are.
//!
//! A tile of `c` of a few rows by one or two vectors of columns stays in registers while the sum
//! runs along `k`, in order: an element of `a` is broadcast, a row of `b` is one or two loads. The
//! bits of an element of `c` depend on its row of `a` and column of `b` only, not on the tile.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::finish::Next;
use super::lanes::Lanes;
use crate::num::Num;
use crate::vector::Body;

/// `c = a·b`, or `c + a·b`, by pointers to the first elements, and strides in elements.
///
/// Contract: all elements of `a` (`m × k`) and `b` (`k × n`) are valid for reads, those of `c`
/// (`m × n`) for writes (for reads too if `add`) and apart from each other and from `a` and `b`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrices {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) a: *const u8,
    pub(crate) a_rs: isize,
    pub(crate) a_cs: isize,
    pub(crate) b: *const u8,
    pub(crate) b_rs: isize,
    pub(crate) b_cs: isize,
    pub(crate) c: *mut u8,
    pub(crate) c_rs: isize,
    pub(crate) c_cs: isize,
    /// Is the product added to what `c` holds?
    pub(crate) add: bool,
    /// What becomes of `c` right after it is written; its rows are contiguous then.
    pub(crate) next: Next,
}

/// The product by tiles. Contract: that of [`Matrices`], and `b_cs == 1`.
pub(crate) struct Tiles<V>(PhantomData<V>);

impl<V: Lanes> Body for Tiles<V> {
    type Args = Matrices;

    #[inline(always)]
    unsafe fn run(p: Matrices) {
        let mut j = 0;
        while j < p.n {
            let vectors = wide::<V>((p.n - j).div_ceil(V::N), p.c_cs == 1);
            let width = (p.n - j).min(vectors * V::N);
            // SAFETY: columns `j .. j + width` exist.
            unsafe {
                match (vectors, width.is_multiple_of(V::N)) {
                    (4, true) if V::ROWS[3] > 0 => strip::<V, 4, false>(&p, j, width),
                    (4, false) if V::ROWS[3] > 0 => strip::<V, 4, true>(&p, j, width),
                    (3, true) if V::ROWS[2] > 0 => strip::<V, 3, false>(&p, j, width),
                    (3, false) if V::ROWS[2] > 0 => strip::<V, 3, true>(&p, j, width),
                    (2, true) => strip::<V, 2, false>(&p, j, width),
                    (2, false) => strip::<V, 2, true>(&p, j, width),
                    (_, true) => strip::<V, 1, false>(&p, j, width),
                    (_, false) => strip::<V, 1, true>(&p, j, width),
                }
                if !p.next.is_nothing() {
                    let c = p.c.cast::<V::T>().add(j);
                    p.next.change(c.cast(), p.c_rs, j, [p.m, width]);
                }
            }
            j += width;
        }
    }
}

/// Vectors of the next strip, of so many that are left: the widest, but for a single one after it.
/// Strips of columns that lie apart have tiles of as many rows as a square of [`Lanes::transpose`].
#[inline(always)]
fn wide<V: Lanes>(left: usize, dense: bool) -> usize {
    let widest = if dense { V::widest() } else { V::widest().min(3) };
    if left == widest + 1 && widest > 2 { widest - 1 } else { left.min(widest) }
}

/// All rows of columns `j .. j + width`, in tiles of rows as equal as can be; where columns of `c` are
/// contiguous, in squares first.
///
/// # Safety
/// The contract of [`Tiles`]; these columns exist and take `C` vectors, the last one in part if
/// `MASKED`.
#[inline(always)]
unsafe fn strip<V: Lanes, const C: usize, const MASKED: bool>(
    p: &Matrices,
    j: usize,
    width: usize,
) {
    let most = V::ROWS[C - 1];
    let squares = p.c_cs != 1 && p.c_rs == 1 && most >= V::SQUARE;
    let mut tiles = p.m.div_ceil(most);
    let mut i = 0;
    while i < p.m {
        let left = p.m - i;
        let rows = if squares && left >= V::SQUARE { V::SQUARE } else { left.div_ceil(tiles) };
        // SAFETY: rows `i .. i + rows` exist.
        unsafe {
            match rows {
                8 if most >= 8 => tile::<V, 8, C, MASKED>(p, i, j, width),
                7 if most >= 7 => tile::<V, 7, C, MASKED>(p, i, j, width),
                6 if most >= 6 => tile::<V, 6, C, MASKED>(p, i, j, width),
                5 if most >= 5 => tile::<V, 5, C, MASKED>(p, i, j, width),
                4 => tile::<V, 4, C, MASKED>(p, i, j, width),
                3 => tile::<V, 3, C, MASKED>(p, i, j, width),
                2 => tile::<V, 2, C, MASKED>(p, i, j, width),
                _ => tile::<V, 1, C, MASKED>(p, i, j, width),
            }
        }
        i += rows;
        tiles = tiles.saturating_sub(1).max(1);
    }
}

/// Most elements of a tile.
const TILE: usize = 6 * 64;

/// Rows `i .. i + R` of columns `j .. j + width`.
///
/// # Safety
/// As for [`strip`]; the rows exist.
#[inline(always)]
unsafe fn tile<V: Lanes, const R: usize, const C: usize, const MASKED: bool>(
    p: &Matrices,
    i: usize,
    j: usize,
    width: usize,
) {
    let last = V::first(width - (C - 1) * V::N);
    let load = |x: *const V::T| -> [V; C] {
        std::array::from_fn(|v| {
            let x = x.wrapping_add(v * V::N);
            // SAFETY: elements of the columns.
            unsafe { if MASKED && v == C - 1 { V::load_some(x, last) } else { V::load(x) } }
        })
    };
    let mut a = p.a.cast::<V::T>().wrapping_offset(i as isize * p.a_rs);
    let mut b = p.b.cast::<V::T>().wrapping_add(j);
    let c = p.c.cast::<V::T>().wrapping_offset(i as isize * p.c_rs + j as isize * p.c_cs);
    let dense = p.c_cs == 1;
    let row_of_c = |r: usize| c.wrapping_offset(r as isize * p.c_rs);
    let mut sums = [[V::splat(V::T::ZERO); C]; R];
    let mut aside = MaybeUninit::<[V::T; TILE]>::uninit();
    let aside = aside.as_mut_ptr().cast::<V::T>();
    if p.add {
        // The rows of the tile below, which is next.
        for r in R..2 * R {
            for v in 0..C {
                V::prefetch(row_of_c(r).wrapping_add(v * V::N));
            }
        }
    }
    // Loops over rows and vectors are kept short, so that they are unrolled and sums stay in registers.
    if p.add && dense {
        for (r, sums) in sums.iter_mut().enumerate() {
            *sums = load(row_of_c(r));
        }
    } else if p.add {
        // SAFETY: `R` rows of `width` elements of c; a tile has room for them.
        unsafe {
            match R == V::SQUARE && p.c_rs == 1 {
                true => turn::<V>((c, p.c_cs), width, aside, C * V::N),
                false => copy(R, width, (c, p.c_rs, p.c_cs), (aside, (C * V::N) as isize, 1)),
            }
        };
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: a row of the tile; lanes that were not written are not used.
            unsafe {
                let row = aside.add(r * C * V::N);
                for (v, sum) in sums.iter_mut().enumerate() {
                    let x = row.add(v * V::N);
                    *sum = if v == C - 1 { V::load_some(x, last) } else { V::load(x) };
                }
            }
        }
    }
    for _ in 0..p.k {
        let row = load(b);
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: an element of a.
            let x = V::splat(unsafe { *a.wrapping_offset(r as isize * p.a_rs) });
            for (sum, &y) in sums.iter_mut().zip(&row) {
                *sum = x.mul_add(y, *sum);
            }
        }
        a = a.wrapping_offset(p.a_cs);
        b = b.wrapping_offset(p.b_rs);
    }
    // Vectors from here on are written by way of memory aside.
    let direct = if dense { C - usize::from(MASKED && !V::STORES_PARTS) } else { 0 };
    for (r, sums) in sums.iter().enumerate() {
        for (v, sum) in sums.iter().enumerate() {
            let to = row_of_c(r).wrapping_add(v * V::N);
            // SAFETY: elements of a row of c, or of the tile.
            unsafe {
                if v >= direct {
                    sum.store(aside.add((r * C + v) * V::N));
                } else if MASKED && v == C - 1 {
                    sum.store_some(to, last);
                } else {
                    sum.store(to);
                }
            }
        }
    }
    if R == V::SQUARE && p.c_rs == 1 && !dense {
        // SAFETY: the tile, and its columns of c.
        unsafe { turn_back::<V>(aside, C * V::N, width, (c, p.c_cs)) };
    } else if direct < C {
        let done = direct * V::N;
        let to = (c.wrapping_offset(done as isize * p.c_cs), p.c_rs, p.c_cs);
        // SAFETY: the columns of the tile that are not written yet.
        unsafe { copy(R, width - done, (aside.add(done), (C * V::N) as isize, 1), to) };
    }
}

/// Writes columns of neighbours, at distance `cs`, as rows at distance `rs`.
///
/// # Safety
/// `SQUARE` elements of `width` columns are valid for reads; at `to` there is room for the rows.
#[inline(always)]
pub(super) unsafe fn turn<V: Lanes>(
    (from, cs): (*const V::T, isize),
    width: usize,
    to: *mut V::T,
    rs: usize,
) {
    let side = V::SQUARE;
    let across = width / side * side;
    for j in (0..across).step_by(side) {
        let columns: [isize; 8] = std::array::from_fn(|i| (j + i) as isize * cs);
        // SAFETY: a square, and its place.
        unsafe { V::transpose(from, &columns[..side], to.add(j), rs as isize) };
    }
    for j in across..width {
        for i in 0..side {
            // SAFETY: elements of a column, and their places.
            unsafe { *to.add(i * rs + j) = *from.offset(j as isize * cs + i as isize) };
        }
    }
}

/// Writes rows at distance `rs` as columns of neighbours, at distance `cs`.
///
/// # Safety
/// `SQUARE` rows of `width` elements are valid for reads, the columns at `to` for writes.
#[inline(always)]
unsafe fn turn_back<V: Lanes>(
    from: *const V::T,
    rs: usize,
    width: usize,
    (to, cs): (*mut V::T, isize),
) {
    let side = V::SQUARE;
    let across = width / side * side;
    let rows: [isize; 8] = std::array::from_fn(|i| (i * rs) as isize);
    for j in (0..across).step_by(side) {
        // SAFETY: a square, and its place.
        unsafe { V::transpose(from.add(j), &rows[..side], to.offset(j as isize * cs), cs) };
    }
    for j in across..width {
        for i in 0..side {
            // SAFETY: elements of a column, and their places.
            unsafe { *to.offset(j as isize * cs + i as isize) = *from.add(i * rs + j) };
        }
    }
}

/// Copies `m` rows of `n` elements from one place and distances of rows and columns to others.
///
/// # Safety
/// All elements of the first are valid for reads, those of the second for writes.
#[inline(never)]
pub(super) unsafe fn copy<T: Num>(
    m: usize,
    n: usize,
    (from, from_rs, from_cs): (*const T, isize, isize),
    (to, to_rs, to_cs): (*mut T, isize, isize),
) {
    let (mut from, mut to) = (from, to);
    for _ in 0..m {
        let (mut x, mut y, mut left) = (from, to, n);
        // SAFETY of all: the caller's promise.
        if from_cs == 1 && to_cs == 1 {
            while left >= 4 {
                // SAFETY: see above; an array has the alignment of its elements.
                unsafe { *y.cast::<[T; 4]>() = *x.cast::<[T; 4]>() };
                (x, y, left) = (x.wrapping_add(4), y.wrapping_add(4), left - 4);
            }
        }
        while left > 0 {
            // SAFETY: see above.
            unsafe { *y = *x };
            (x, y, left) = (x.wrapping_offset(from_cs), y.wrapping_offset(to_cs), left - 1);
        }
        (from, to) = (from.wrapping_offset(from_rs), to.wrapping_offset(to_rs));
    }
}
