//! Small matrix products by own code: no packing of a, no call into the library.
//!
//! Four rows of `c` by two vectors of columns live in registers while the sum runs along `k`, in
//! order: an element's bits depend on its row of `a` and column of `b` only.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as x86;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use pleach_tensor::DType;

use crate::num::Num;
use crate::vector::{Body, Entry, fused, pick};

/// `c = a·b`, by pointers to the first elements, and strides in elements.
///
/// Contract: all elements of `a` (`m × k`) and `b` (`k × n`) are valid for reads, those of `c`
/// (`m × n`) for writes and apart from each other and from `a` and `b`.
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
}

impl Matrices {
    /// `c' = b'·a'`: the same products and sums.
    fn transposed(self) -> Matrices {
        let Matrices { m, n, k, a, a_rs, a_cs, b, b_rs, b_cs, c, c_rs, c_cs } = self;
        Matrices {
            m: n,
            n: m,
            k,
            a: b,
            a_rs: b_cs,
            a_cs: b_rs,
            b: a,
            b_rs: a_cs,
            b_cs: a_rs,
            c,
            c_rs: c_cs,
            c_cs: c_rs,
        }
    }
}

/// Longest sum.
const DEPTH: usize = 256;

/// Is the product small enough? Also all empty sums, which the library need not see.
pub(crate) fn takes(dtype: DType, m: usize, n: usize, k: usize) -> bool {
    dtype.is_float() && k <= DEPTH && m.saturating_mul(n).saturating_mul(k) <= 64 * 64 * 64
}

/// The compiled product.
pub(crate) fn entry(dtype: DType) -> Option<Entry<Matrices>> {
    #[cfg(target_arch = "x86_64")]
    let own = match dtype {
        DType::F32 => fused::<Small<f32, x86::__m256>>(),
        DType::F64 => fused::<Small<f64, x86::__m256d>>(),
        _ => None,
    };
    #[cfg(not(target_arch = "x86_64"))]
    let own = None;
    own.or_else(|| match dtype {
        DType::F32 => Some(pick::<Small<f32, [f32; 8]>>()),
        DType::F64 => Some(pick::<Small<f64, [f64; 4]>>()),
        _ => None,
    })
}

/// Neighbouring elements in one register.
trait Vector<T>: Copy {
    /// Number of elements.
    const N: usize;
    fn splat(x: T) -> Self;
    /// # Safety
    /// `x` is valid for reads of `N` elements.
    unsafe fn load(x: *const T) -> Self;
    /// # Safety
    /// `x` is valid for writes of `N` elements.
    unsafe fn store(self, x: *mut T);
    /// `self·b + c`: rounded once by vector units, twice by the portable arrays.
    fn mul_add(self, b: Self, c: Self) -> Self;
}

impl<T: Num, const N: usize> Vector<T> for [T; N] {
    const N: usize = N;
    #[inline(always)]
    fn splat(x: T) -> Self {
        [x; N]
    }
    #[inline(always)]
    unsafe fn load(x: *const T) -> Self {
        // SAFETY: the caller's promise; an array has the alignment of its elements.
        unsafe { *x.cast() }
    }
    #[inline(always)]
    unsafe fn store(self, x: *mut T) {
        // SAFETY: as above.
        unsafe { *x.cast() = self }
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        std::array::from_fn(|i| self[i].mul(b[i]).add(c[i]))
    }
}

/// Vectors of 256 bits. They are reached by way of [`fused`] only, which looks for AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
macro_rules! vectors {
    ($($T:ident $V:ident $n:literal $set:ident $load:ident $store:ident $fma:ident;)*) => {$(
        impl Vector<$T> for x86::$V {
            const N: usize = $n;
            #[inline(always)]
            fn splat(x: $T) -> Self {
                // SAFETY: the machine has AVX.
                unsafe { x86::$set(x) }
            }
            #[inline(always)]
            unsafe fn load(x: *const $T) -> Self {
                // SAFETY: the caller's promise; the machine has AVX.
                unsafe { x86::$load(x) }
            }
            #[inline(always)]
            unsafe fn store(self, x: *mut $T) {
                // SAFETY: the caller's promise; the machine has AVX.
                unsafe { x86::$store(x, self) }
            }
            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: the machine has FMA.
                unsafe { x86::$fma(self, b, c) }
            }
        }
    )*};
}
#[cfg(target_arch = "x86_64")]
vectors! {
    f32 __m256 8 _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_fmadd_ps;
    f64 __m256d 4 _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_fmadd_pd;
}

/// Most columns of a panel.
const COLUMNS: usize = 16;

/// The product in panels of two vectors of columns.
struct Small<T, V>(PhantomData<(T, V)>);

impl<T: Num, V: Vector<T>> Body for Small<T, V> {
    type Args = Matrices;

    #[inline(always)]
    unsafe fn run(p: Matrices) {
        let columns = 2 * V::N;
        // Few columns would leave lanes empty; columns of a that are packed already cost nothing.
        let turn = p.n < columns && p.n < p.m && (p.n <= 4 || p.a_rs == 1);
        let p = if turn { p.transposed() } else { p };
        let mut packed = [MaybeUninit::<T>::uninit(); COLUMNS * DEPTH];
        for j in (0..p.n).step_by(columns) {
            let width = columns.min(p.n - j);
            // SAFETY: the first element of column j.
            let b = unsafe { p.b.cast::<T>().offset(j as isize * p.b_cs) };
            let (panel, stride) = if p.b_cs == 1 && width == columns {
                (b, p.b_rs)
            } else {
                for (l, row) in packed.chunks_exact_mut(columns).take(p.k).enumerate() {
                    let from = b.wrapping_offset(l as isize * p.b_rs);
                    for (c, x) in row.iter_mut().enumerate() {
                        let from = from.wrapping_offset(c as isize * p.b_cs);
                        // SAFETY: an element of b.
                        x.write(if c < width { unsafe { *from } } else { T::ZERO });
                    }
                }
                (packed.as_ptr().cast::<T>(), columns as isize)
            };
            let mut i = 0;
            while i < p.m {
                let rows = (p.m - i).min(4);
                // SAFETY: rows i.. of a and c; `panel` has k rows of two vectors.
                unsafe {
                    match rows {
                        4 => block::<T, V, 4>(&p, i, j, width, panel, stride),
                        3 => block::<T, V, 3>(&p, i, j, width, panel, stride),
                        2 => block::<T, V, 2>(&p, i, j, width, panel, stride),
                        _ => block::<T, V, 1>(&p, i, j, width, panel, stride),
                    }
                }
                i += rows;
            }
        }
    }
}

/// Rows `i .. i + R` and columns `j .. j + width` of `c`.
///
/// # Safety
/// The contract of [`Matrices`]; these rows and columns exist; `panel` points to `k` rows of two
/// vectors at distance `stride`, the columns of `b` from `j`.
#[inline(always)]
unsafe fn block<T: Num, V: Vector<T>, const R: usize>(
    p: &Matrices,
    i: usize,
    j: usize,
    width: usize,
    panel: *const T,
    stride: isize,
) {
    let mut sums = [[V::splat(T::ZERO); 2]; R];
    let mut rows = [p.a.cast::<T>(); R];
    for (r, row) in rows.iter_mut().enumerate() {
        *row = row.wrapping_offset((i + r) as isize * p.a_rs);
    }
    let mut b = panel;
    for _ in 0..p.k {
        // SAFETY: a row of the panel, and below elements of a.
        let (left, right) = unsafe { (V::load(b), V::load(b.add(V::N))) };
        for r in 0..R {
            // SAFETY: as above.
            let x = V::splat(unsafe { *rows[r] });
            sums[r][0] = x.mul_add(left, sums[r][0]);
            sums[r][1] = x.mul_add(right, sums[r][1]);
            rows[r] = rows[r].wrapping_offset(p.a_cs);
        }
        b = b.wrapping_offset(stride);
    }
    for (r, sums) in sums.into_iter().enumerate() {
        let start = (i + r) as isize * p.c_rs + j as isize * p.c_cs;
        // SAFETY: the row of c from column j; `line` has room for two vectors.
        unsafe {
            let c = p.c.cast::<T>().offset(start);
            if p.c_cs == 1 && width == 2 * V::N {
                sums[0].store(c);
                sums[1].store(c.add(V::N));
            } else {
                let mut line = [T::ZERO; COLUMNS];
                sums[0].store(line.as_mut_ptr());
                sums[1].store(line.as_mut_ptr().add(V::N));
                for (q, &sum) in line.iter().enumerate().take(width) {
                    c.offset(q as isize * p.c_cs).write(sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::{Isa, compiled};

    /// Small integers, so that every order and rounding gives the same sums.
    #[test]
    fn the_portable_product_is_that_of_the_machine() {
        for (m, n, k) in [(1, 1, 1), (5, 17, 9), (16, 16, 16), (9, 3, 256), (2, 40, 0)] {
            let a: Vec<f32> = (0..m * k).map(|i| (i % 7) as f32).collect();
            let b: Vec<f32> = (0..k * n).map(|i| (i % 5) as f32).collect();
            let product = |f: Entry<Matrices>| {
                let mut c = vec![f32::NAN; m * n];
                let p = Matrices {
                    m,
                    n,
                    k,
                    a: a.as_ptr().cast(),
                    a_rs: k as isize,
                    a_cs: 1,
                    b: b.as_ptr().cast(),
                    b_rs: n as isize,
                    b_cs: 1,
                    c: c.as_mut_ptr().cast(),
                    c_rs: n as isize,
                    c_cs: 1,
                };
                // SAFETY: arrays of these lengths.
                unsafe { f(p) };
                c
            };
            let own = entry(DType::F32).expect("a product of floats");
            let want = product(own);
            assert_eq!(want, product(compiled::<Small<f32, [f32; 8]>>(Isa::Portable)));
            let sum = |i, j| (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum::<f32>();
            assert!((0..m * n).all(|i| want[i] == sum(i / n, i % n)));
        }
    }
}
