//! The vectors of AVX2 and AVX-512.

use std::arch::x86_64::*;

use super::lanes::Lanes;

/// What all vectors have in common. `mask` gives the mask of the first lanes by their number.
macro_rules! lanes {
    ($($V:ident of $T:ident, $n:literal, rows $rows:expr, mask $M:ty = $mask:ident,
       $set:ident $load:ident $store:ident $add:ident $sub:ident $fma:ident $load_some:expr, $store_some:ident,
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
        _mm256_add_ps _mm256_sub_ps _mm256_fmadd_ps
        _mm256_maskload_ps, _mm256_maskstore_ps, square 8 transpose8;
    __m256d of f64, 4, rows [8, 6, 0, 0], mask __m256i = mask4,
        _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd
        _mm256_add_pd _mm256_sub_pd _mm256_fmadd_pd
        _mm256_maskload_pd, _mm256_maskstore_pd, square 4 transpose4;
    __m512 of f32, 16, rows [8, 8, 8, 6], mask __mmask16 = mask16,
        _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps
        _mm512_add_ps _mm512_sub_ps _mm512_fmadd_ps
        |x, mask| _mm512_maskz_loadu_ps(mask, x), _mm512_mask_storeu_ps, square 8 transpose8;
    __m512d of f64, 8, rows [8, 8, 8, 6], mask __mmask8 = mask_of_8,
        _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd
        _mm512_add_pd _mm512_sub_pd _mm512_fmadd_pd
        |x, mask| _mm512_maskz_loadu_pd(mask, x), _mm512_mask_storeu_pd, square 4 transpose4;
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
