//! A few elements at a time, as arrays that the compiler keeps in vector registers.
//!
//! Loops over them are written out: closures that are not inlined are compiled for no instruction set.

/// Elements at a time.
pub(crate) const LANES: usize = 16;

/// `n` elements at distance `D`, or `stride` if that is 0, and then anything.
///
/// # Safety
/// Those elements are valid for reads; if `WHOLE`, `LANES` are.
#[inline(always)]
pub(crate) unsafe fn take<T: Copy, const D: isize, const WHOLE: bool>(
    x: *const T,
    stride: isize,
    n: usize,
) -> [T; LANES] {
    let stride = if D == 0 { stride } else { D };
    let last = if WHOLE { LANES } else { n } - 1;
    // SAFETY: the caller's promise, here and below.
    let mut out = [unsafe { *x }; LANES];
    for (l, out) in out.iter_mut().enumerate() {
        // SAFETY: as above.
        *out = unsafe { *x.offset((l.min(last) as isize).wrapping_mul(stride)) };
    }
    out
}

/// Writes the first `n` of some elements, `stride` apart.
///
/// # Safety
/// The places are valid for writes, and `n <= N`.
#[inline(always)]
pub(crate) unsafe fn put<T: Copy, const N: usize>(y: *mut T, stride: isize, n: usize, x: [T; N]) {
    // SAFETY: the caller's promise, for every branch.
    unsafe {
        if stride != 1 {
            (0..n).for_each(|l| *y.offset(l as isize * stride) = x[l]);
        } else if n == N {
            y.cast::<[T; N]>().write_unaligned(x);
        } else {
            // Pieces of lengths that are known: each is one store or two.
            let mut at = 0;
            for len in [16, 8, 4, 2, 1] {
                if n & len != 0 {
                    y.add(at).copy_from_nonoverlapping(x.as_ptr().add(at), len);
                    at += len;
                }
            }
        }
    }
}

/// Calls `f(first, elements, whole)` for pieces of `n` lanes: whole ones, then the rest, which is
/// `whole` too if as many elements as of a whole one may be read from there: `room` says so.
macro_rules! pieces {
    ($n:expr, $room:expr, |$first:ident, $count:ident, $whole:ident| $body:expr) => {{
        let n = $n;
        let mut $first = 0;
        while $first < n {
            let $count = (n - $first).min($crate::lanes::LANES);
            if $count == $crate::lanes::LANES || $room($first) {
                const $whole: bool = true;
                $body
            } else {
                const $whole: bool = false;
                $body
            }
            $first += $crate::lanes::LANES;
        }
    }};
}
pub(crate) use pieces;

/// The end of the elements of a slice, if all from the first to the last are its own: so far may be
/// read by mistake.
pub(crate) fn end_of<T>(slice: &crate::Slice, base: *const T) -> *const T {
    if slice.is_contiguous() { base.wrapping_add(slice.numel()) } else { std::ptr::null() }
}
