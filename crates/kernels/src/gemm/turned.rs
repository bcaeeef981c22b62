//! A small product whose `b` has no contiguous rows: they are written first, to a place on the stack
//! that stays in the first cache.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::lanes::Lanes;
use super::product::{Matrices, Tiles, copy, turn};
use crate::vector::Body;

/// Most elements of the copy of `b`.
const MOST: usize = 4096;

/// Distance of rows of the copy: whole vectors of any kind.
fn pitch(n: usize) -> usize {
    n.saturating_add(15) / 16 * 16
}

/// Is the copy small enough?
pub(super) fn turned_fits(k: usize, n: usize) -> bool {
    k.saturating_mul(pitch(n)) <= MOST
}

/// The product by tiles of a copy of `b`. Contract: that of [`Matrices`], and [`turned_fits`].
pub(super) struct Turned<V>(PhantomData<V>);

/// Begins with a line of the cache.
#[repr(align(64))]
struct Copy<T>([MaybeUninit<T>; MOST]);

impl<V: Lanes> Body for Turned<V> {
    type Args = Matrices;

    #[inline(always)]
    unsafe fn run(p: Matrices) {
        let mut to = Copy([const { MaybeUninit::<V::T>::uninit() }; MOST]);
        let (to, from) = (to.0.as_mut_ptr().cast::<V::T>(), p.b.cast::<V::T>());
        let (pitch, side) = (pitch(p.n), V::SQUARE);
        let squares = if p.b_rs == 1 { p.k / side * side } else { 0 };
        for l in (0..squares).step_by(side) {
            // SAFETY: `side` rows of b, neighbours in memory, and their place.
            unsafe { turn::<V>((from.add(l), p.b_cs), p.n, to.add(l * pitch), pitch) };
        }
        let rest = (from.wrapping_offset(squares as isize * p.b_rs), p.b_rs, p.b_cs);
        let to_rest = (to.wrapping_add(squares * pitch), pitch as isize, 1);
        // SAFETY: the rows that are left, and their place.
        unsafe { copy(p.k - squares, p.n, rest, to_rest) };
        let b = to.cast_const().cast();
        // SAFETY: the contract; rows of the copy are contiguous.
        unsafe { Tiles::<V>::run(Matrices { b, b_rs: pitch as isize, b_cs: 1, ..p }) }
    }
}
