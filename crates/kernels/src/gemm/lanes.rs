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
    fn mul(self, b: Self) -> Self;
    /// Bit `i`: lane `i` is 0 or less.
    fn low(self) -> u32;
    /// 0 in the lanes of these bits.
    fn without(self, bits: u32) -> Self;
    /// Writes the bits of `count ≤ N` lanes as truth values.
    ///
    /// # Safety
    /// `to` is valid for writes of as many.
    #[inline(always)]
    unsafe fn write_bits(bits: u32, to: *mut u8, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { write_bits(to, bits, count) }
    }
    /// The truth values of `count ≤ N` lanes, as bits.
    ///
    /// # Safety
    /// `from` is valid for reads of as many, 0 or 1 each.
    #[inline(always)]
    unsafe fn read_bits(from: *const u8, count: usize) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { read_bits(from, count) }
    }
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
    fn mul(self, b: Self) -> Self {
        std::array::from_fn(|i| self[i].mul(b[i]))
    }
    #[inline(always)]
    fn low(self) -> u32 {
        self.iter().enumerate().fold(0, |bits, (i, x)| bits | u32::from(*x <= T::ZERO) << i)
    }
    #[inline(always)]
    fn without(self, bits: u32) -> Self {
        std::array::from_fn(|i| if bits >> i & 1 == 0 { self[i] } else { T::ZERO })
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

/// Writes bits as truth values.
///
/// # Safety
/// `to` is valid for writes of `count` elements, at most 32.
#[inline(always)]
pub(super) unsafe fn write_bits(to: *mut u8, bits: u32, count: usize) {
    let mut at = 0;
    while at < count {
        // Byte `i` keeps bit `i`; what is not 0 becomes 1.
        let ones = u64::from(bits >> at & 0xff) * 0x0101_0101_0101_0101;
        let bytes = (ones & 0x8040_2010_0804_0201) + 0x7f7f_7f7f_7f7f_7f7f;
        let bytes = (bytes >> 7 & 0x0101_0101_0101_0101).to_le_bytes();
        // SAFETY: the caller's promise.
        unsafe {
            if count - at >= 8 {
                to.add(at).cast::<[u8; 8]>().write(bytes);
            } else {
                for (i, byte) in bytes.iter().enumerate().take(count - at) {
                    to.add(at + i).write(*byte);
                }
            }
        }
        at += 8;
    }
}

/// Truth values as bits.
///
/// # Safety
/// `from` is valid for reads of `count` elements, at most 32, 0 or 1 each.
#[inline(always)]
pub(super) unsafe fn read_bits(from: *const u8, count: usize) -> u32 {
    let (mut at, mut bits) = (0, 0);
    while at < count {
        let mut bytes = [0; 8];
        // SAFETY: the caller's promise.
        unsafe {
            if count - at >= 8 {
                bytes = from.add(at).cast::<[u8; 8]>().read();
            } else {
                for (i, byte) in bytes.iter_mut().enumerate().take(count - at) {
                    *byte = *from.add(at + i);
                }
            }
        }
        // Byte `i` goes to bit `56 + i`, where no other comes to lie.
        let ones = u64::from_le_bytes(bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= (ones as u32) << at;
        at += 8;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_values_are_bits_and_back() {
        for count in 0..=32 {
            for seed in [0_u32, 1, 0x8000_0001, 0xdead_beef, 0x1234_5678, u32::MAX] {
                let bits = (u64::from(seed) & ((1 << count) - 1)) as u32;
                let mut bytes = [7_u8; 40];
                // SAFETY: room for 40.
                let back = unsafe {
                    write_bits(bytes.as_mut_ptr(), seed, count);
                    read_bits(bytes.as_ptr(), count)
                };
                assert_eq!(back, bits);
                let want = |i: usize| if i < count { (bits >> i & 1) as u8 } else { 7 };
                assert!((0..40).all(|i| bytes[i] == want(i)), "{count} {seed:x} {bytes:?}");
            }
        }
    }
}
