//! A large product in blocks that stay in the caches, with operands packed where that pays or where
//! their rows or columns run along several axes.
//!
//! Blocks of `k` are added one after the other, so the order of a sum is that of `k`, as without
//! blocks: a partial sum is as wide in memory as in a register.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::finish::Next;
use super::lanes::Lanes;
use super::pack::{Table, pack};
use super::product::Matrices;
use super::side::Side;
use crate::vector::{Body, Entry};

/// Longest sum of a block: rows of `a` of one tile stay in the first cache, and `c` is read again
/// only so often.
pub(super) const DEPTH: usize = 512;
/// The same where rows of `a` are neighbours, of which a tile takes but a part of every line.
const SHALLOW: usize = 192;
/// Bytes of packed panels of `b`, on the stack: with the rows of `a` they stay in the second cache.
const PANELS: usize = 256 << 10;
/// Rows of a block.
pub(super) const ROWS: usize = 48;
/// Distance of packed rows of `a` in elements: rows of one tile begin in different places of a cache.
pub(super) const STRIDE: usize = DEPTH + 16;

/// Most blocks of packed rows of `a`, neighbours in memory, that stay while columns go on.
const fn kept(size: usize) -> usize {
    STRIDE * size_of::<u64>() / (SHALLOW * size)
}

/// Memory that begins with a line of the cache, as a vector that crosses two takes twice as long, and
/// has room for a vector that goes past its end.
#[repr(align(64))]
#[allow(dead_code, reason = "only its place is used")]
pub(super) struct Lines<T>(T, [u8; 64]);

/// A product and how it is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocked {
    /// The block, with pointers to the elements `[0, 0]` of all of `a` and `b`, and of the block in `c`.
    pub(super) p: Matrices,
    /// First row and column of the block.
    pub(super) at: [usize; 2],
    /// Rows and columns of `a` and `b`. Valid while the product runs.
    pub(super) sides: *const [[Side; 2]; 2],
    /// The product by tiles.
    pub(super) tiles: Entry<Matrices>,
    /// Are blocks of `a` copied to rows too?
    pub(super) pack_a: bool,
}

/// The product in blocks, with `b` packed in panels as wide as the widest tile. Contract: that of
/// [`Matrices`], where `sides` give the places of elements of `a` and `b`; if not `pack_a`, the
/// strides of `a` do too.
pub(super) struct Panels<V>(PhantomData<V>);

impl<V: Lanes> Body for Panels<V> {
    type Args = Blocked;

    #[inline(always)]
    unsafe fn run(Blocked { p, at: [row, column], sides, tiles, pack_a }: Blocked) {
        // SAFETY: valid while the product runs.
        let [[rows_of_a, columns_of_a], [rows_of_b, columns_of_b]] = unsafe { &*sides };
        let wide = V::widest() * V::N;
        let most = PANELS / size_of::<V::T>() / DEPTH;
        let shallow = pack_a && rows_of_a.run().1 == 1 && p.c_cs == 1;
        let depth = if shallow { SHALLOW } else { DEPTH };
        // Do copies of rows stay while columns go on?
        let keeps =
            shallow && rows_of_a.is_straight() && p.m.div_ceil(ROWS) <= kept(size_of::<V::T>());
        let mut panels = MaybeUninit::<Lines<[u8; PANELS]>>::uninit();
        let panels = panels.as_mut_ptr().cast::<V::T>();
        let mut packed = MaybeUninit::<Lines<[u64; ROWS * STRIDE]>>::uninit();
        let packed = packed.as_mut_ptr().cast::<V::T>();
        let (mut rows, mut columns) = (Table::new(), Table::new());
        let (mut along_a, mut along_b) = (Table::new(), Table::new());
        let (a, b, c) = (p.a.cast::<V::T>(), p.b.cast::<V::T>(), p.c.cast::<V::T>());
        for (l, k) in parts(p.k, depth, 1) {
            let last = l + k == p.k;
            along_b.fill(rows_of_b, l, k);
            if pack_a {
                along_a.fill(columns_of_a, l, k);
            }
            for (j, n) in parts(p.n, most, wide) {
                columns.fill(columns_of_b, column + j, n);
                for q in (0..n).step_by(wide) {
                    let part = columns.part(q, wide.min(n - q));
                    // SAFETY: `k ≤ DEPTH` rows of these columns of b; the panels have room for
                    // `most` columns, and a vector more.
                    unsafe { pack::<V>(b, along_b.part(0, k), part, panels.add(q * k), wide) };
                }
                for (block, (i, m)) in parts(p.m, ROWS, 1).enumerate() {
                    let from = (row + i) as isize * p.a_rs + l as isize * p.a_cs;
                    let mut a_at = (a.wrapping_offset(from), (p.a_rs, p.a_cs));
                    if pack_a {
                        let packed =
                            packed.wrapping_add(if keeps { block * ROWS * depth } else { 0 });
                        rows.fill(rows_of_a, row + i, m);
                        let (down, across) = (rows.part(0, m), along_a.part(0, k));
                        // Neighbours stay neighbours.
                        let (lines, runs, stride, strides) = match down.are_neighbours() {
                            true => (across, down, ROWS, (1, ROWS as isize)),
                            false => (down, across, STRIDE, (STRIDE as isize, 1)),
                        };
                        if !keeps || j == 0 {
                            // SAFETY: `k ≤ DEPTH` columns of `m ≤ ROWS` rows of a; a vector past the
                            // end of a line ends before the next.
                            unsafe { pack::<V>(a, lines, runs, packed, stride) };
                        }
                        a_at = (packed.cast_const(), strides);
                    }
                    for q in (0..n).step_by(wide) {
                        let c = c.wrapping_offset(i as isize * p.c_rs + (j + q) as isize * p.c_cs);
                        let block = Matrices {
                            m,
                            n: wide.min(n - q),
                            k,
                            a: a_at.0.cast(),
                            a_rs: a_at.1.0,
                            a_cs: a_at.1.1,
                            b: panels.wrapping_add(q * k).cast(),
                            b_rs: wide as isize,
                            b_cs: 1,
                            c: c.cast(),
                            add: p.add || l > 0,
                            next: if last { p.next.from(i, j + q) } else { Next::NOTHING },
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
pub(super) fn parts(len: usize, most: usize, unit: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = len.div_ceil(most).max(1);
    let part = len.div_ceil(count).next_multiple_of(unit).max(1);
    (0..len.max(1)).step_by(part).map(move |at| (at, part.min(len - at)))
}
