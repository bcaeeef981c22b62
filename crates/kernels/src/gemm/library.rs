//! The library `gemm`, beside which own kernels are tested and timed.

use gemm::Parallelism;

/// A matrix in a slice: its first element's place, and strides, in elements.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Place of element `[0, 0]`.
    pub offset: usize,
    /// Distance of rows.
    pub rows: usize,
    /// Distance of columns.
    pub columns: usize,
}

impl Layout {
    /// Are all elements of an `m × n` matrix inside of a slice of this length?
    fn fits(self, m: usize, n: usize, len: usize) -> bool {
        if m == 0 || n == 0 {
            return true;
        }
        let last = (m - 1).checked_mul(self.rows).zip((n - 1).checked_mul(self.columns));
        let last = last.and_then(|(i, j)| self.offset.checked_add(i)?.checked_add(j));
        last.is_some_and(|last| last < len)
    }
}

/// `c = a·b` of `[m, n, k]` by the library, on the calling thread; false, and nothing is done, if a
/// matrix does not fit its slice or `c`'s elements share places. For tests and timings: plans never
/// call it.
pub fn library_gemm(
    [m, n, k]: [usize; 3],
    (c, at_c): (&mut [f32], Layout),
    (a, at_a): (&[f32], Layout),
    (b, at_b): (&[f32], Layout),
) -> bool {
    let apart = at_c.columns >= 1 && at_c.rows >= n * at_c.columns
        || at_c.rows >= 1 && at_c.columns >= m * at_c.rows;
    let fit = at_c.fits(m, n, c.len()) && at_a.fits(m, k, a.len()) && at_b.fits(k, n, b.len());
    if !(apart && fit) {
        return false;
    }
    // SAFETY: all elements are inside of their slices, c is exclusively borrowed and its elements
    // are apart.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr().wrapping_add(at_c.offset),
            at_c.columns as isize,
            at_c.rows as isize,
            false,
            a.as_ptr().wrapping_add(at_a.offset),
            at_a.columns as isize,
            at_a.rows as isize,
            b.as_ptr().wrapping_add(at_b.offset),
            at_b.columns as isize,
            at_b.rows as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
    true
}
