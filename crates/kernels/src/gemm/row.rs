//! A row times a matrix: memory is read once, in the order in which it lies.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::lanes::Lanes;
use super::product::Matrices;
use crate::num::Num;
use crate::vector::Body;

/// Columns of `c` that stay in the first cache while rows of `b` are added.
const COLUMNS: usize = 2048;

/// `c[0, ..] = Σ a[0, l]·b[l, ..]`, four rows of `b` at a time. The bits are those of a product by
/// tiles. Contract: that of [`Matrices`], `m == 1`, `b_cs == 1`, `c_cs == 1`.
pub(super) struct Rows<V>(PhantomData<V>);

impl<V: Lanes> Body for Rows<V> {
    type Args = Matrices;

    #[inline(always)]
    unsafe fn run(p: Matrices) {
        for j in (0..p.n).step_by(COLUMNS) {
            let n = COLUMNS.min(p.n - j);
            let b = p.b.cast::<V::T>().wrapping_add(j);
            let c = p.c.cast::<V::T>().wrapping_add(j);
            let mut l = 0;
            while l < p.k || l == 0 {
                let a = p.a.cast::<V::T>().wrapping_offset(l as isize * p.a_cs);
                let b = b.wrapping_offset(l as isize * p.b_rs);
                let (a, b, add) = ((a, p.a_cs), (b, p.b_rs), p.add || l > 0);
                // SAFETY: these rows and columns exist.
                l += unsafe {
                    match p.k - l {
                        0 => add_rows::<V, 0>(a, b, c, n, add).max(1),
                        1 => add_rows::<V, 1>(a, b, c, n, add),
                        2 => add_rows::<V, 2>(a, b, c, n, add),
                        3 => add_rows::<V, 3>(a, b, c, n, add),
                        _ => add_rows::<V, 4>(a, b, c, n, add),
                    }
                };
            }
        }
    }
}

/// Adds `L` rows of `b`, or writes their sum. Answers `L`.
///
/// # Safety
/// `L` elements of a and rows of b of length `n` at these distances are valid for reads, `n`
/// elements of c for reads and writes.
#[inline(always)]
unsafe fn add_rows<V: Lanes, const L: usize>(
    (a, a_cs): (*const V::T, isize),
    (b, b_rs): (*const V::T, isize),
    c: *mut V::T,
    n: usize,
    add: bool,
) -> usize {
    let from: [*const V::T; L] = std::array::from_fn(|l| b.wrapping_offset(l as isize * b_rs));
    let x: [V; L] = std::array::from_fn(|l| {
        // SAFETY: an element of a.
        V::splat(unsafe { *a.wrapping_offset(l as isize * a_cs) })
    });
    let zero = V::splat(V::T::ZERO);
    let mut j = 0;
    while j + V::N <= n {
        // SAFETY: `N` columns from j.
        unsafe {
            let mut sum = if add { V::load(c.add(j)) } else { zero };
            for l in 0..L {
                sum = x[l].mul_add(V::load(from[l].add(j)), sum);
            }
            sum.store(c.add(j));
        }
        j += V::N;
    }
    if j < n {
        let mask = V::first(n - j);
        // SAFETY: the columns of the mask.
        unsafe {
            let mut sum = if add { V::load_some(c.add(j), mask) } else { zero };
            for l in 0..L {
                sum = x[l].mul_add(V::load_some(from[l].add(j), mask), sum);
            }
            sum.store_some(c.add(j), mask);
        }
    }
    L
}

/// Terms of a sum between two that are rounded to elements of `c`.
const TERMS: usize = 1024;
/// Lanes of a sum: those of 64 bytes, whatever the vectors, so that bits do not depend on them.
const fn lanes<T>() -> usize {
    64 / size_of::<T>()
}

/// `c[0, j] = Σ a[0, l]·b[l, j]` where the columns of `b` are contiguous: lanes along `k`. Contract:
/// that of [`Matrices`], `m == 1`, `b_rs == 1`.
pub(super) struct Dots<V>(PhantomData<V>);

impl<V: Lanes> Body for Dots<V> {
    type Args = Matrices;

    #[inline(always)]
    unsafe fn run(p: Matrices) {
        let mut copy = [const { MaybeUninit::<V::T>::uninit() }; TERMS];
        let (b, c) = (p.b.cast::<V::T>(), p.c.cast::<V::T>());
        let mut l = 0;
        while l < p.k || l == 0 {
            let k = TERMS.min(p.k - l);
            let mut a = p.a.cast::<V::T>().wrapping_offset(l as isize * p.a_cs);
            if p.a_cs != 1 {
                for (i, to) in copy.iter_mut().enumerate().take(k) {
                    // SAFETY: an element of a.
                    to.write(unsafe { *a.wrapping_offset(i as isize * p.a_cs) });
                }
                a = copy.as_ptr().cast();
            }
            let b = b.wrapping_add(l);
            let add = p.add || l > 0;
            let mut j = 0;
            while j < p.n {
                let b = b.wrapping_offset(j as isize * p.b_cs);
                let c = c.wrapping_offset(j as isize * p.c_cs);
                // SAFETY: `k` terms; these columns exist.
                j += unsafe {
                    match p.n - j {
                        1..4 => sums::<V, 1>(a, (b, p.b_cs), k, (c, p.c_cs), add),
                        _ => sums::<V, 4>(a, (b, p.b_cs), k, (c, p.c_cs), add),
                    }
                };
            }
            l += k.max(1);
        }
    }
}

/// Sums of `k` terms for `J` columns. Answers `J`.
///
/// # Safety
/// `k` elements at `a` and of `J` columns of b are valid for reads, `J` elements of c for writes,
/// and for reads if `add`.
#[allow(clippy::needless_range_loop, reason = "one number indexes memory, vectors and sums")]
#[inline(always)]
unsafe fn sums<V: Lanes, const J: usize>(
    a: *const V::T,
    (b, b_cs): (*const V::T, isize),
    k: usize,
    (c, c_cs): (*mut V::T, isize),
    add: bool,
) -> usize {
    let columns: [*const V::T; J] = std::array::from_fn(|j| b.wrapping_offset(j as isize * b_cs));
    let lanes = lanes::<V::T>();
    let vectors = lanes / V::N;
    let mut sums = [[V::splat(V::T::ZERO); MOST]; J];
    let mut l = 0;
    while l + lanes <= k {
        for v in 0..vectors.min(MOST) {
            let at = l + v * V::N;
            // SAFETY: `lanes` terms from l.
            let x = unsafe { V::load(a.add(at)) };
            for j in 0..J {
                // SAFETY: as above.
                sums[j][v] = x.mul_add(unsafe { V::load(columns[j].add(at)) }, sums[j][v]);
            }
        }
        l += lanes;
    }
    for v in 0..vectors.min(MOST) {
        let at = l + v * V::N;
        if at < k {
            let mask = V::first(k - at);
            // SAFETY: the terms of the mask.
            let x = unsafe { V::load_some(a.add(at), mask) };
            for j in 0..J {
                // SAFETY: as above.
                let y = unsafe { V::load_some(columns[j].add(at), mask) };
                sums[j][v] = x.mul_add(y, sums[j][v]);
            }
        }
    }
    for (j, sums) in sums.iter().enumerate() {
        let mut line = [V::T::ZERO; 16];
        for (v, sum) in sums.iter().enumerate().take(vectors) {
            // SAFETY: a line holds 64 bytes or more.
            unsafe { sum.store(line.as_mut_ptr().add(v * V::N)) };
        }
        let mut half = lanes / 2;
        while half > 0 {
            for i in 0..half {
                line[i] = line[i].add(line[i + half]);
            }
            half /= 2;
        }
        let to = c.wrapping_offset(j as isize * c_cs);
        // SAFETY: an element of c.
        unsafe { to.write(if add { (*to).add(line[0]) } else { line[0] }) };
    }
    J
}

/// Most vectors in 64 bytes.
const MOST: usize = 2;
