//! Small matrix products by own code: no packing of a, no call into the library.
//!
//! Four rows of `c` by a vector or two of columns live in registers while the sum runs along `k`, in
//! order: an element's bits depend on its row of `a` and column of `b` only.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use pleach_tensor::DType;

use crate::num::Num;
use crate::vector::{Body, Entry, pick};

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
    dtype.is_float() && k <= DEPTH && m.saturating_mul(n).saturating_mul(k) <= 48 * 48 * 48
}

/// The compiled product.
pub(crate) fn entry(dtype: DType) -> Option<Entry<Matrices>> {
    match dtype {
        DType::F32 => Some(pick::<Small<f32, 16>>()),
        DType::F64 => Some(pick::<Small<f64, 8>>()),
        _ => None,
    }
}

/// The product in panels of `N` columns.
struct Small<T, const N: usize>(PhantomData<T>);

impl<T: Num, const N: usize> Body for Small<T, N> {
    type Args = Matrices;

    #[inline(always)]
    unsafe fn run<const FMA: bool>(p: Matrices) {
        // Few columns would leave lanes empty.
        let p = if p.n < N && p.n < p.m { p.transposed() } else { p };
        let mut packed = [[MaybeUninit::<T>::uninit(); N]; DEPTH];
        let b = p.b.cast::<T>();
        for j in (0..p.n).step_by(N) {
            let width = N.min(p.n - j);
            // SAFETY: the first element of column j.
            let b = unsafe { b.offset(j as isize * p.b_cs) };
            let (panel, stride) = if p.b_cs == 1 && width == N {
                (b, p.b_rs)
            } else {
                for (l, row) in packed.iter_mut().enumerate().take(p.k) {
                    for (c, out) in row.iter_mut().enumerate() {
                        let at = l as isize * p.b_rs + c as isize * p.b_cs;
                        // SAFETY: an element of b.
                        out.write(if c < width { unsafe { *b.offset(at) } } else { T::ZERO });
                    }
                }
                (packed.as_ptr().cast::<T>(), N as isize)
            };
            let mut i = 0;
            while i < p.m {
                let rows = (p.m - i).min(4);
                // SAFETY: rows i.. of a and c; `panel` has k rows of N elements.
                unsafe {
                    match rows {
                        4 => block::<T, 4, N, FMA>(&p, i, j, width, panel, stride),
                        3 => block::<T, 3, N, FMA>(&p, i, j, width, panel, stride),
                        2 => block::<T, 2, N, FMA>(&p, i, j, width, panel, stride),
                        _ => block::<T, 1, N, FMA>(&p, i, j, width, panel, stride),
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
/// The contract of [`Matrices`]; these rows and columns exist; `panel` points to `k` rows of `N`
/// elements at distance `stride`, the columns of `b` from `j`.
#[inline(always)]
unsafe fn block<T: Num, const R: usize, const N: usize, const FMA: bool>(
    p: &Matrices,
    i: usize,
    j: usize,
    width: usize,
    panel: *const T,
    stride: isize,
) {
    let mut sums = [[T::ZERO; N]; R];
    // SAFETY: row i of a.
    let a = unsafe { p.a.cast::<T>().offset(i as isize * p.a_rs) };
    for l in 0..p.k as isize {
        // SAFETY: row l of the panel; elements have their alignment.
        let row = unsafe { &*panel.offset(l * stride).cast::<[T; N]>() };
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: an element of a.
            let x = unsafe { *a.offset(r as isize * p.a_rs + l * p.a_cs) };
            for (sum, &y) in sums.iter_mut().zip(row) {
                *sum = x.mul_add::<FMA>(y, *sum);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        for (c, &sum) in sums.iter().enumerate().take(width) {
            let at = (i + r) as isize * p.c_rs + (j + c) as isize * p.c_cs;
            // SAFETY: an element of c.
            unsafe { p.c.cast::<T>().offset(at).write(sum) };
        }
    }
}
