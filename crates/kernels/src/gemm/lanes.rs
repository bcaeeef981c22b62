//! Vectors of neighbouring elements, as matrix products and what is made of them need them.

use crate::num::Num;

/// Neighbouring elements in one register. Methods of vector units are called only in functions that
/// are compiled for the instruction set, on machines that have it.
pub(crate) trait Lanes: Copy {
    /// The element type.
    type T: Num;
    /// Which lanes take part.
    type Mask: Copy;
    /// Number of elements.
    const N: usize;
    /// Rows that a tile of one to four vectors of columns may have: as many sums as fit in registers
    /// beside a row of `b` and an element of `a`. At most 8; 0 where no tile is so wide.
    const ROWS: [usize; 4];
    /// Side of the square blocks that [`Lanes::transpose`] takes.
    const SQUARE: usize;
    /// Is a store of a part of a vector about as fast as one of a whole? It may take a dozen times as
    /// long.
    const STORES_PARTS: bool;
    /// Vectors of columns of the widest tile.
    fn widest() -> usize {
        Self::ROWS.iter().rposition(|&rows| rows > 0).map_or(0, |last| last + 1)
    }
    fn splat(x: Self::T) -> Self;
    /// The first `count` lanes, all of them if `count ≥ N`.
    fn first(count: usize) -> Self::Mask;
    /// A hint that the line at `x`, which need not be valid, is used soon.
    #[inline(always)]
    fn prefetch(_x: *const Self::T) {}
    /// # Safety
    /// `x` is valid for reads of `N` elements.
    unsafe fn load(x: *const Self::T) -> Self;
    /// The lanes of the mask, 0 in the others.
    ///
    /// # Safety
    /// `x` is valid for reads of the elements of the mask.
    unsafe fn load_some(x: *const Self::T, mask: Self::Mask) -> Self;
    /// # Safety
    /// `x` is valid for writes of `N` elements.
    unsafe fn store(self, x: *mut Self::T);
    /// Writes the lanes of the mask.
    ///
    /// # Safety
    /// `x` is valid for writes of the elements of the mask.
    unsafe fn store_some(self, x: *mut Self::T, mask: Self::Mask);
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    /// `self·b + c`: rounded once by vector units, twice by the portable arrays.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// `to[j][i] = from[i][j]` for a square of `SQUARE` rows, of `from` at these places, of `to` at
    /// this distance.
    ///
    /// # Safety
    /// The rows of `from` are valid for reads, those of `to` for writes.
    unsafe fn transpose(from: *const Self::T, rows: &[isize], to: *mut Self::T, to_rs: isize);
}

impl<T: Num, const N: usize> Lanes for [T; N] {
    type T = T;
    type Mask = usize;
    const N: usize = N;
    const ROWS: [usize; 4] = [4, 4, 0, 0];
    const SQUARE: usize = 4;
    const STORES_PARTS: bool = false;
    #[inline(always)]
    fn splat(x: T) -> Self {
        [x; N]
    }
    #[inline(always)]
    fn first(count: usize) -> usize {
        count.min(N)
    }
    #[inline(always)]
    unsafe fn load(x: *const T) -> Self {
        // SAFETY: the caller's promise; an array has the alignment of its elements.
        unsafe { *x.cast() }
    }
    #[inline(always)]
    unsafe fn load_some(x: *const T, mask: usize) -> Self {
        // SAFETY: the caller's promise.
        std::array::from_fn(|i| if i < mask { unsafe { *x.add(i) } } else { T::ZERO })
    }
    #[inline(always)]
    unsafe fn store(self, x: *mut T) {
        // SAFETY: as for `load`.
        unsafe { *x.cast() = self }
    }
    #[inline(always)]
    unsafe fn store_some(self, x: *mut T, mask: usize) {
        for (i, &value) in self.iter().enumerate().take(mask) {
            // SAFETY: the caller's promise.
            unsafe { x.add(i).write(value) }
        }
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        std::array::from_fn(|i| self[i].add(b[i]))
    }
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        std::array::from_fn(|i| self[i].sub(b[i]))
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        std::array::from_fn(|i| self[i].mul(b[i]).add(c[i]))
    }
    #[inline(always)]
    unsafe fn transpose(from: *const T, rows: &[isize], to: *mut T, to_rs: isize) {
        for (i, &row) in rows.iter().enumerate() {
            for j in 0..Self::SQUARE as isize {
                // SAFETY: the caller's promise.
                unsafe { *to.offset(j * to_rs + i as isize) = *from.offset(row + j) }
            }
        }
    }
}
