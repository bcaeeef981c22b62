//! The vectors of AVX2 and AVX-512.

use std::arch::x86_64::*;

use super::lanes::{Lanes, read_bits, write_bits};

/// What all vectors have in common. `mask` gives the mask of the first lanes by their number.
macro_rules! lanes {
    ($($V:ident of $T:ident, $n:literal, rows $rows:expr, mask $M:ty = $mask:ident,
       $set:ident $load:ident $store:ident $add:ident $sub:ident $mul:ident $fma:ident $low:ident $without:ident $write_bits:ident $read_bits:ident $load_some:expr, $store_some:ident,
       square $square:literal $transpose:ident;)*) => {$(
        impl Lanes for $V {
            type T = $T;
            type Mask = $M;
            const N: usize = $n;
            const ROWS: [usize; 4] = $rows;
            const SQUARE: usize = $square;
            const STORES_PARTS: bool = $n * size_of::<$T>() == 64;
            #[inline(always)]
            fn splat(x: $T) -> Self {
                // SAFETY: the machine has the instruction set.
                unsafe { $set(x) }
            }
            #[inline(always)]
            fn first(count: usize) -> $M {
                $mask(count.min($n))
            }
            #[inline(always)]
            fn prefetch(x: *const $T) {
                // SAFETY: a hint reads nothing.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(x.cast()) };
            }
            #[inline(always)]
            unsafe fn load(x: *const $T) -> Self {
                // SAFETY: the caller's promise; the machine has the instruction set.
                unsafe { $load(x) }
            }
            #[inline(always)]
            unsafe fn load_some(x: *const $T, mask: $M) -> Self {
                // SAFETY: as above; lanes outside of the mask are not touched.
                unsafe { $load_some(x, mask) }
            }
            #[inline(always)]
            unsafe fn store(self, x: *mut $T) {
                // SAFETY: as above.
                unsafe { $store(x, self) }
            }
            #[inline(always)]
            unsafe fn store_some(self, x: *mut $T, mask: $M) {
                // SAFETY: as above; lanes outside of the mask are not touched.
                unsafe { $store_some(x, mask, self) }
            }
            #[inline(always)]
            fn add(self, b: Self) -> Self {
                // SAFETY: the machine has the instruction set.
                unsafe { $add(self, b) }
            }
            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                // SAFETY: the machine has the instruction set.
                unsafe { $sub(self, b) }
            }
            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                // SAFETY: the machine has the instruction set.
                unsafe { $mul(self, b) }
            }
            #[inline(always)]
            fn low(self) -> u32 {
                $low(self)
            }
            #[inline(always)]
            fn without(self, bits: u32) -> Self {
                $without(self, bits)
            }
            #[inline(always)]
            unsafe fn write_bits(bits: u32, to: *mut u8, count: usize) {
                // SAFETY: the caller's promise.
                unsafe { $write_bits(to, bits, count) }
            }
            #[inline(always)]
            unsafe fn read_bits(from: *const u8, count: usize) -> u32 {
                // SAFETY: the caller's promise.
                unsafe { $read_bits(from, count) }
            }
            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: the machine has the instruction set.
                unsafe { $fma(self, b, c) }
            }
            #[inline(always)]
            unsafe fn transpose(from: *const $T, rows: &[isize], to: *mut $T, to_rs: isize) {
                // SAFETY: the caller's promise; the machine has the instruction set.
                unsafe { $transpose(from, rows, to, to_rs) }
            }
        }
    )*};
}

lanes! {
    __m256 of f32, 8, rows [8, 6, 0, 0], mask __m256i = mask8,
        _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps
        _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_fmadd_ps low_256ps without_256ps write_bits read_bits
        _mm256_maskload_ps, _mm256_maskstore_ps, square 8 transpose8;
    __m256d of f64, 4, rows [8, 6, 0, 0], mask __m256i = mask4,
        _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd
        _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_fmadd_pd low_256pd without_256pd write_bits read_bits
        _mm256_maskload_pd, _mm256_maskstore_pd, square 4 transpose4;
    __m512 of f32, 16, rows [8, 8, 8, 6], mask __mmask16 = mask16,
        _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps
        _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_fmadd_ps low_512ps without_512ps write_bits_512 read_bits_512
        |x, mask| _mm512_maskz_loadu_ps(mask, x), _mm512_mask_storeu_ps, square 8 transpose8;
    __m512d of f64, 8, rows [8, 8, 8, 6], mask __mmask8 = mask_of_8,
        _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd
        _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_fmadd_pd low_512pd without_512pd write_bits_512 read_bits_512
        |x, mask| _mm512_maskz_loadu_pd(mask, x), _mm512_mask_storeu_pd, square 4 transpose4;
}

/// The functions of [`Lanes::low`] and [`Lanes::without`] of vectors with masks.
macro_rules! low_by_mask {
    ($($V:ident $M:ty, $low:ident $without:ident $zero:ident $compare:ident $keep:ident;)*) => {$(
        #[inline(always)]
        fn $low(x: $V) -> u32 {
            // SAFETY: vectors are made only on machines that have the instruction set.
            u32::from(unsafe { $compare::<_CMP_LE_OQ>(x, $zero()) })
        }
        #[inline(always)]
        fn $without(x: $V, bits: u32) -> $V {
            // SAFETY: as above.
            unsafe { $keep(!bits as $M, x) }
        }
    )*};
}

low_by_mask! {
    __m512 __mmask16, low_512ps without_512ps _mm512_setzero_ps _mm512_cmp_ps_mask _mm512_maskz_mov_ps;
    __m512d __mmask8, low_512pd without_512pd _mm512_setzero_pd _mm512_cmp_pd_mask _mm512_maskz_mov_pd;
}

/// [`write_bits`] of at most 16.
///
/// # Safety
/// `to` is valid for writes of `count` elements.
#[inline(always)]
unsafe fn write_bits_512(to: *mut u8, bits: u32, count: usize) {
    // SAFETY: the caller's promise; the machine has the instruction set.
    unsafe {
        let bytes = _mm_maskz_set1_epi8(bits as __mmask16, 1);
        match count {
            16 => _mm_storeu_si128(to.cast(), bytes),
            _ => _mm_mask_storeu_epi8(to.cast(), mask16(count), bytes),
        }
    }
}

/// [`read_bits`] of at most 16.
///
/// # Safety
/// `from` is valid for reads of `count` elements, 0 or 1 each.
#[inline(always)]
unsafe fn read_bits_512(from: *const u8, count: usize) -> u32 {
    // SAFETY: as above.
    unsafe {
        let bytes = _mm_maskz_loadu_epi8(mask16(count), from.cast());
        u32::from(_mm_test_epi8_mask(bytes, bytes))
    }
}

#[inline(always)]
fn low_256ps(x: __m256) -> u32 {
    // SAFETY: vectors are made only on machines that have the instruction set.
    unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(x, _mm256_setzero_ps())) as u32 }
}

#[inline(always)]
fn without_256ps(x: __m256, bits: u32) -> __m256 {
    // SAFETY: as above.
    unsafe {
        let lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        let own = _mm256_and_si256(_mm256_set1_epi32(bits as i32), lane);
        _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(own, lane)), x)
    }
}

#[inline(always)]
fn low_256pd(x: __m256d) -> u32 {
    // SAFETY: as above.
    unsafe { _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_LE_OQ>(x, _mm256_setzero_pd())) as u32 }
}

#[inline(always)]
fn without_256pd(x: __m256d, bits: u32) -> __m256d {
    // SAFETY: as above.
    unsafe {
        let lane = _mm256_setr_epi64x(1, 2, 4, 8);
        let own = _mm256_and_si256(_mm256_set1_epi64x(i64::from(bits)), lane);
        _mm256_andnot_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(own, lane)), x)
    }
}

/// `n ≤ 8` lanes.
#[inline(always)]
fn mask8(n: usize) -> __m256i {
    // SAFETY: vectors are made only on machines that have the instruction set.
    unsafe {
        let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), lane)
    }
}

/// `n ≤ 4` lanes.
#[inline(always)]
fn mask4(n: usize) -> __m256i {
    // SAFETY: as above.
    unsafe { _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3)) }
}

/// `n ≤ 16` lanes.
#[inline(always)]
fn mask16(n: usize) -> __mmask16 {
    ((1_u32 << n) - 1) as __mmask16
}

/// `n ≤ 8` lanes.
#[inline(always)]
fn mask_of_8(n: usize) -> __mmask8 {
    ((1_u32 << n) - 1) as __mmask8
}

/// Columns 0 to 3 of the halves of four rows, as rows; columns 4 to 7 are in the upper halves.
///
/// # Safety
/// The machine has AVX2; eight elements of four rows are valid for reads.
#[inline(always)]
unsafe fn quads(from: *const f32, rows: &[isize]) -> [__m256; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let row = |i: usize| _mm256_loadu_ps(from.offset(rows[i]));
        let (a, b, c, d) = (row(0), row(1), row(2), row(3));
        let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
        let (ef, gh) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
        [
            _mm256_shuffle_ps::<0x44>(ab, cd),
            _mm256_shuffle_ps::<0xEE>(ab, cd),
            _mm256_shuffle_ps::<0x44>(ef, gh),
            _mm256_shuffle_ps::<0xEE>(ef, gh),
        ]
    }
}

/// A square of 8 × 8, transposed in registers: pairs, quads, halves.
///
/// # Safety
/// The machine has AVX2; see [`Lanes::transpose`].
#[inline(always)]
unsafe fn transpose8(from: *const f32, rows: &[isize], to: *mut f32, to_rs: isize) {
    // SAFETY: the caller's promise.
    unsafe {
        let (upper, lower) = (quads(from, &rows[..4]), quads(from, &rows[4..8]));
        for i in 0..4 {
            let (x, y, at) = (upper[i], lower[i], i as isize * to_rs);
            _mm256_storeu_ps(to.offset(at), _mm256_permute2f128_ps::<0x20>(x, y));
            _mm256_storeu_ps(to.offset(at + 4 * to_rs), _mm256_permute2f128_ps::<0x31>(x, y));
        }
    }
}

/// A square of 4 × 4.
///
/// # Safety
/// The machine has AVX2; see [`Lanes::transpose`].
#[inline(always)]
unsafe fn transpose4(from: *const f64, rows: &[isize], to: *mut f64, to_rs: isize) {
    // SAFETY: the caller's promise.
    unsafe {
        let row = |i: usize| _mm256_loadu_pd(from.offset(rows[i]));
        let (a, b, c, d) = (row(0), row(1), row(2), row(3));
        let (ab, cd) = (_mm256_unpacklo_pd(a, b), _mm256_unpacklo_pd(c, d));
        let (ef, gh) = (_mm256_unpackhi_pd(a, b), _mm256_unpackhi_pd(c, d));
        _mm256_storeu_pd(to, _mm256_permute2f128_pd::<0x20>(ab, cd));
        _mm256_storeu_pd(to.offset(to_rs), _mm256_permute2f128_pd::<0x20>(ef, gh));
        _mm256_storeu_pd(to.offset(2 * to_rs), _mm256_permute2f128_pd::<0x31>(ab, cd));
        _mm256_storeu_pd(to.offset(3 * to_rs), _mm256_permute2f128_pd::<0x31>(ef, gh));
    }
}
