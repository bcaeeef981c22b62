//! A large product in blocks that stay in the caches, with rows of `b` packed where that pays.
//!
//! Blocks of `k` are added one after the other, so the order of a sum is that of `k`, as without
//! blocks: a partial sum is as wide in memory as in a register.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::lanes::Lanes;
use super::product::Matrices;
use crate::vector::{Body, Entry};

/// Longest sum of a block: rows of `a` of one tile stay in the first cache, and `c` is read again
/// only so often.
const DEPTH: usize = 512;
/// Bytes of packed panels of `b`, on the stack: with the rows of `a` they stay in the second cache.
const PANELS: usize = 256 << 10;
/// Rows of a block.
const ROWS: usize = 48;
/// Rows ahead of the one that is copied of which lines are asked for: they lie apart, so the machine
/// does not foresee them.
const AHEAD: isize = 4;
/// Distance of packed rows of `a` in elements: rows of one tile begin in different places of a cache.
const STRIDE: usize = DEPTH + 16;

/// Memory that begins with a line of the cache: a vector that crosses two takes twice as long.
#[repr(align(64))]
struct Lines<T>(#[allow(dead_code, reason = "only its place is used")] T);

/// A product and how it is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocked {
    pub(super) p: Matrices,
    /// The product by tiles.
    pub(super) tiles: Entry<Matrices>,
    /// Are blocks of `a` copied to rows too?
    pub(super) pack_a: bool,
}

/// The product in blocks, with `b` packed in panels as wide as the widest tile. Contract: that of
/// [`Matrices`].
pub(super) struct Panels<V>(PhantomData<V>);

impl<V: Lanes> Body for Panels<V> {
    type Args = Blocked;

    #[inline(always)]
    unsafe fn run(Blocked { p, tiles, pack_a }: Blocked) {
        let wide = V::widest() * V::N;
        let most = PANELS / size_of::<V::T>() / DEPTH;
        let mut panels = MaybeUninit::<Lines<[u8; PANELS]>>::uninit();
        let panels = panels.as_mut_ptr().cast::<V::T>();
        let mut rows = MaybeUninit::<Lines<[u64; ROWS * STRIDE]>>::uninit();
        let rows = rows.as_mut_ptr().cast::<V::T>();
        let (a, b, c) = (p.a.cast::<V::T>(), p.b.cast::<V::T>(), p.c.cast::<V::T>());
        for (l, k) in parts(p.k, DEPTH, 1) {
            for (j, n) in parts(p.n, most, wide) {
                let b = b.wrapping_offset(l as isize * p.b_rs + j as isize * p.b_cs);
                // SAFETY: `k ≤ DEPTH` rows of these columns of b; the panels have room for `most`.
                unsafe { pack_panels::<V>(b, (p.b_rs, p.b_cs), k, n, panels) };
                for (i, m) in parts(p.m, ROWS, 1) {
                    let mut a = (
                        a.wrapping_offset(i as isize * p.a_rs + l as isize * p.a_cs),
                        (p.a_rs, p.a_cs),
                    );
                    if pack_a {
                        // SAFETY: `k` columns of `m ≤ ROWS` rows of a.
                        unsafe { pack::<V>(a.0, a.1, m, k, rows, STRIDE) };
                        a = (rows.cast_const(), (STRIDE as isize, 1));
                    }
                    for q in (0..n).step_by(wide) {
                        let c = c.wrapping_offset(i as isize * p.c_rs + (j + q) as isize * p.c_cs);
                        let block = Matrices {
                            m,
                            n: wide.min(n - q),
                            k,
                            a: a.0.cast(),
                            a_rs: a.1.0,
                            a_cs: a.1.1,
                            b: panels.wrapping_add(q * k).cast(),
                            b_rs: wide as isize,
                            b_cs: 1,
                            c: c.cast(),
                            add: p.add || l > 0,
                            ..p
                        };
                        // SAFETY: a block of the product; the panel holds its part of b.
                        unsafe { tiles(block) };
                    }
                }
            }
        }
    }
}

/// Beginnings and lengths of parts of at most `most`, as equal as can be in multiples of `unit`. One
/// empty part if `len` is 0.
fn parts(len: usize, most: usize, unit: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = len.div_ceil(most).max(1);
    let part = len.div_ceil(count).next_multiple_of(unit).max(1);
    (0..len.max(1)).step_by(part).map(move |at| (at, part.min(len - at)))
}

/// Writes `k` rows of `n` columns to panels as wide as the widest tile, one after the other.
///
/// # Safety
/// The elements of `b` are valid for reads; at `to` there is room for `k` rows of `n` columns, rounded
/// up to panels.
#[inline(always)]
unsafe fn pack_panels<V: Lanes>(
    b: *const V::T,
    (b_rs, b_cs): (isize, isize),
    k: usize,
    n: usize,
    to: *mut V::T,
) {
    let wide = V::widest() * V::N;
    let full = if b_cs == 1 { n / wide * wide } else { 0 };
    for l in 0..k {
        // Row by row: memory is read in the order in which it lies.
        let from = b.wrapping_offset(l as isize * b_rs);
        for q in (0..full).step_by(wide) {
            for v in (0..wide).step_by(V::N) {
                V::prefetch(from.wrapping_offset(AHEAD * b_rs).wrapping_add(q + v));
                // SAFETY: a vector of a row of b, and of the panel.
                unsafe { V::load(from.add(q + v)).store(to.add(q * k + l * wide + v)) };
            }
        }
    }
    for q in (full..n).step_by(wide) {
        let b = b.wrapping_offset(q as isize * b_cs);
        // SAFETY: the columns of this panel.
        unsafe { pack::<V>(b, (b_rs, b_cs), k, wide.min(n - q), to.add(q * k), wide) };
    }
}

/// Writes `m` rows of `n` elements, at distance `stride`.
///
/// # Safety
/// The elements at `from` are valid for reads, those of the rows at `to` for writes.
#[inline(always)]
unsafe fn pack<V: Lanes>(
    from: *const V::T,
    (rs, cs): (isize, isize),
    m: usize,
    n: usize,
    to: *mut V::T,
    stride: usize,
) {
    let side = V::SQUARE;
    let (deep, across) = if rs == 1 { (m / side * side, n / side * side) } else { (0, 0) };
    for j in (0..across).step_by(side) {
        for i in (0..deep).step_by(side) {
            let from = from.wrapping_offset(j as isize * cs + i as isize);
            // SAFETY: a square, and its place.
            unsafe { V::transpose(from, cs, to.add(i * stride + j), stride as isize) };
        }
    }
    let vectors = if cs == 1 { n / V::N * V::N } else { 0 };
    for i in 0..m {
        let from = from.wrapping_offset(i as isize * rs);
        // SAFETY of both: elements of a row, and their places.
        for j in (0..vectors).step_by(V::N) {
            V::prefetch(from.wrapping_offset(AHEAD * rs).wrapping_add(j));
            // SAFETY: see above.
            unsafe { V::load(from.add(j)).store(to.add(i * stride + j)) };
        }
        let done = vectors.max(if i < deep { across } else { 0 });
        for j in done..n {
            // SAFETY: see above.
            unsafe { to.add(i * stride + j).write(*from.wrapping_offset(j as isize * cs)) };
        }
    }
}
