//! The elementwise loop that follows a product, on a strip of sums: see [`then`](super::then).

use std::marker::PhantomData;

use super::lanes::Lanes;
use super::then::Kind;
use crate::num::Num;
use crate::vector::{Body, Entry};

/// An operand in memory; null if there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: *mut u8,
    pub(super) strides: [isize; 2],
}

impl Place {
    /// From element `[i, j]` on.
    #[inline(always)]
    fn on<T>(self, [i, j]: [usize; 2]) -> *mut T {
        let offset = i as isize * self.strides[0] + j as isize * self.strides[1];
        self.at.cast::<T>().wrapping_offset(offset)
    }
}

/// A loop over a product, in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(super) kind: Kind,
    pub(super) operand: Place,
    pub(super) rate: *const u8,
    pub(super) out: Place,
    pub(super) f: Entry<Sums>,
}

/// What follows a product, and where in it a block begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Next {
    /// Null if nothing does; valid while the product runs.
    pub(super) placed: *const Placed,
    pub(super) at: [usize; 2],
}

impl Next {
    pub(crate) const NOTHING: Next = Next { placed: std::ptr::null(), at: [0, 0] };

    #[inline(always)]
    pub(super) fn is_nothing(self) -> bool {
        self.placed.is_null()
    }

    /// The same for a block that begins so far down and to the right.
    #[inline(always)]
    pub(super) fn from(self, i: usize, j: usize) -> Next {
        Next { at: [self.at[0] + i, self.at[1] + j], ..self }
    }

    /// Changes the sums of a strip, of which the first column is column `j` of the block.
    ///
    /// # Safety
    /// `x` are rows of sums at distance `pitch`; `placed` is not null, and its operands have these rows
    /// and columns.
    #[inline(always)]
    pub(super) unsafe fn change(self, x: *mut u8, pitch: isize, j: usize, sides: [usize; 2]) {
        let (placed, at) = (self.placed, [self.at[0], self.at[1] + j]);
        // SAFETY: the caller's promise.
        unsafe { ((*placed).f)(Sums { placed, x, pitch, at, sides }) };
    }
}

/// Rows and columns of sums (`sides`), rows at distance `pitch`, from row and column `at` of the product on.
///
/// Contract: `placed` is valid, and so are its operands at these rows and columns, for reads, and `out`
/// for writes; so are the sums for both, which are apart from all of these, or in the same places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    placed: *const Placed,
    x: *mut u8,
    pitch: isize,
    at: [usize; 2],
    sides: [usize; 2],
}

/// The loop over a strip by vectors `V`. Contract: that of [`Sums`], of elements of `V`.
pub(super) struct Finish<V>(PhantomData<V>);

impl<V: Lanes> Body for Finish<V> {
    type Args = Sums;

    #[inline(always)]
    unsafe fn run(sums: Sums) {
        // SAFETY: the caller keeps the contract.
        unsafe {
            match ((*sums.placed).kind, (*sums.placed).operand.at.is_null()) {
                (Kind::Add, _) => Self::rows::<ADD>(sums),
                (Kind::Relu, false) => Self::rows::<{ ADD | RELU }>(sums),
                (Kind::Relu, true) => Self::rows::<RELU>(sums),
                (Kind::Choose, _) => Self::rows::<CHOOSE>(sums),
                (Kind::Descend, _) => Self::rows::<DESCEND>(sums),
            }
        }
    }
}

/// What is done with a vector of sums.
const ADD: u8 = 1;
const RELU: u8 = 2;
const CHOOSE: u8 = 4;
const DESCEND: u8 = 8;

impl<V: Lanes> Finish<V> {
    /// # Safety
    /// The contract of the type; `WHAT` is what the loop does.
    #[inline(always)]
    unsafe fn rows<const WHAT: u8>(sums: Sums) {
        // SAFETY: the contract.
        let Placed { operand, rate, out, .. } = unsafe { *sums.placed };
        let [rows, width] = sums.sides;
        let rate = match WHAT {
            // SAFETY: the contract: one number.
            DESCEND => V::splat(unsafe { *rate.cast::<V::T>() }),
            _ => V::splat(V::T::ZERO),
        };
        for r in 0..rows {
            let row = sums.x.cast::<V::T>().wrapping_offset(r as isize * sums.pitch);
            let at = [sums.at[0] + r, sums.at[1]];
            let b = operand.on::<V::T>(at);
            // One number for the row.
            let one = WHAT & ADD != 0 && operand.strides[1] == 0;
            // SAFETY: the contract: an element of the operand.
            let repeated = V::splat(if one { unsafe { *b } } else { V::T::ZERO });
            let mut j = 0;
            while j < width {
                let (count, to) = ((width - j).min(V::N), row.wrapping_add(j));
                // SAFETY: the contract: `count` elements of a row of sums, and of the operands there.
                unsafe {
                    let mut x = some::<V>(to, count);
                    if WHAT & ADD != 0 {
                        x = x.add(if one { repeated } else { some::<V>(b.add(j), count) });
                    }
                    if WHAT & RELU != 0 {
                        let low = x.low();
                        if !out.at.is_null() {
                            V::write_bits(low, out.on::<u8>(at).add(j), count);
                        }
                        x = x.without(low);
                    }
                    if WHAT == CHOOSE {
                        x = x.without(V::read_bits(operand.on::<u8>(at).add(j), count));
                    }
                    if WHAT == DESCEND {
                        let w = some::<V>(b.add(j), count);
                        put(w.sub(x.mul(rate)), out.on::<V::T>(at).add(j), count);
                    } else {
                        put(x, to, count);
                    }
                }
                j += V::N;
            }
        }
    }
}

/// Lanes that are in the product.
///
/// # Safety
/// `x` is valid for reads of `count ≤ N` elements.
#[inline(always)]
unsafe fn some<V: Lanes>(x: *const V::T, count: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe { if count == V::N { V::load(x) } else { V::load_some(x, V::first(count)) } }
}

/// # Safety
/// `to` is valid for writes of `count ≤ N` elements.
#[inline(always)]
unsafe fn put<V: Lanes>(x: V, to: *mut V::T, count: usize) {
    // SAFETY: the caller's promise.
    unsafe { if count == V::N { x.store(to) } else { x.store_some(to, V::first(count)) } }
}
