//! Copies between arrays with strides.

use crate::Slice;
use crate::space::{Place, Space};

/// Expands `$body` with `$T` an unsigned integer of `$size` bytes: what a copy moves.
macro_rules! for_size {
    ($size:expr, $T:ident => $body:expr) => {
        match $size {
            1 => {
                type $T = u8;
                $body
            }
            2 => {
                type $T = u16;
                $body
            }
            4 => {
                type $T = u32;
                $body
            }
            _ => {
                type $T = u64;
                $body
            }
        }
    };
}
pub(crate) use for_size;

/// Copies `n` elements with strides.
///
/// # Safety
/// All elements on both sides are valid for the access, and the sides are apart.
#[inline(always)]
pub(crate) unsafe fn copy_row<T: Copy>(
    dst: *mut T,
    dst_stride: isize,
    src: *const T,
    src_stride: isize,
    n: usize,
) {
    // SAFETY: the caller's promise, for every branch.
    unsafe {
        match (dst_stride, src_stride) {
            (1, 1) if n >= 16 => dst.copy_from_nonoverlapping(src, n),
            (1, 0) => {
                let value = *src;
                (0..n).for_each(|i| *dst.add(i) = value);
            }
            (1, s) => (0..n as isize).for_each(|i| *dst.offset(i) = *src.offset(i * s)),
            (d, s) => (0..n as isize).for_each(|i| *dst.offset(i * d) = *src.offset(i * s)),
        }
    }
}

/// Elements `start .. start + n`, row-major over `dims`, from `src` with strides to packed `dst`.
///
/// # Safety
/// As for [`copy_row`], and the range lies within `dims`, which is not empty.
pub(crate) unsafe fn load<T: Copy>(
    dst: *mut T,
    src: *const T,
    dims: &[usize],
    strides: &[isize],
    start: usize,
    n: usize,
) {
    let rows = strides.split_last().filter(|_| n > 0 && start.is_multiple_of(dims[dims.len() - 1]));
    // SAFETY of all: the caller's promise.
    match rows {
        // SAFETY: see above.
        Some((&stride, outer)) if outer.iter().all(|&s| s == 0) => unsafe {
            repeat(dst, src, stride, dims[outer.len()].min(n), n);
        },
        // SAFETY: see above; row `start / dims[1]` is the first.
        Some((0, &[row])) => unsafe {
            spread(dst, src.offset((start / dims[1]) as isize * row), row, dims[1], n);
        },
        // SAFETY: see above; row `start / dims[1]` is the first.
        Some((&column, &[1])) if n >= dims[1] => unsafe {
            turned(dst, src.add(start / dims[1]), column, dims[1], n);
        },
        // SAFETY: see above.
        _ => unsafe {
            segments(dims, strides, start, n, |at, stride, done, len| {
                copy_row(dst.add(done), 1, src.offset(at), stride, len);
            });
        },
    }
}

/// Writes the same row of `inner` elements over `n`: what is there is copied as a whole.
///
/// # Safety
/// As for [`load`]; `inner` is not 0.
unsafe fn repeat<T: Copy>(dst: *mut T, src: *const T, stride: isize, inner: usize, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { copy_row(dst, 1, src, stride, inner) };
    let mut done = inner;
    while done < n {
        let len = done.min(n - done);
        // SAFETY: whole rows that are written, and room behind them.
        unsafe { dst.add(done).copy_from_nonoverlapping(dst, len) };
        done += len;
    }
}

/// Elements that are read or written at once: of a short row, the next row overwrites what is too much.
const AT_ONCE: usize = 8;

/// Writes rows of `inner` equal elements, `n` in all; the next row's is `stride` further.
///
/// # Safety
/// As for [`load`]; `inner` is not 0.
unsafe fn spread<T: Copy>(dst: *mut T, src: *const T, stride: isize, inner: usize, n: usize) {
    let (mut from, mut done) = (src, 0);
    while done < n {
        // SAFETY: an element of the source.
        let value = unsafe { *from };
        let end = n.min(done + inner);
        let mut at = done;
        while at < end {
            if at + AT_ONCE <= n {
                // SAFETY: room for so many; an array has the alignment of its elements.
                unsafe { dst.add(at).cast::<[T; AT_ONCE]>().write([value; AT_ONCE]) };
                at += AT_ONCE;
            } else {
                // SAFETY: room for one.
                unsafe { dst.add(at).write(value) };
                at += 1;
            }
        }
        (from, done) = (from.wrapping_offset(stride), end);
    }
}

/// Writes rows of `inner` elements, `n` in all, of neighbours that are a column at distance `column`: what
/// lies in a line of the cache is read together, for columns may be so far apart that few lines stay.
///
/// # Safety
/// As for [`load`]; `inner` is not 0.
unsafe fn turned<T: Copy>(dst: *mut T, src: *const T, column: isize, inner: usize, n: usize) {
    let rows = n / inner;
    for first in (0..rows).step_by(AT_ONCE) {
        let some = AT_ONCE.min(rows - first);
        for j in 0..inner {
            let from = src.wrapping_add(first).wrapping_offset(j as isize * column);
            let to = dst.wrapping_add(first * inner + j);
            // SAFETY of both: the caller's promise.
            if some == AT_ONCE {
                // SAFETY: see above; an array has the alignment of its elements.
                let x = unsafe { from.cast::<[T; AT_ONCE]>().read() };
                for (i, &x) in x.iter().enumerate() {
                    // SAFETY: see above.
                    unsafe { to.add(i * inner).write(x) };
                }
            } else {
                for i in 0..some {
                    // SAFETY: see above.
                    unsafe { to.add(i * inner).write(*from.add(i)) };
                }
            }
        }
    }
    let (done, last) = (rows * inner, src.wrapping_add(rows));
    // SAFETY: the caller's promise: a part of a row.
    unsafe { copy_row(dst.add(done), 1, last, column, n - done) };
}

/// The opposite of [`load`].
///
/// # Safety
/// As for [`load`].
pub(crate) unsafe fn store<T: Copy>(
    dst: *mut T,
    src: *const T,
    dims: &[usize],
    strides: &[isize],
    start: usize,
    n: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        segments(dims, strides, start, n, |at, stride, done, len| {
            copy_row(dst.offset(at), stride, src.add(done), 1, len);
        });
    }
}

/// Calls `f(offset, stride, elements before, length)` for each piece of a row in a range.
#[inline(always)]
fn segments(
    dims: &[usize],
    strides: &[isize],
    start: usize,
    n: usize,
    mut f: impl FnMut(isize, isize, usize, usize),
) {
    let Some((&inner, outer)) = dims.split_last() else { return };
    let stride = strides[outer.len()];
    let mut place = Place::new(outer, start / inner);
    let (mut column, mut done) = (start % inner, 0);
    while done < n {
        let len = (inner - column).min(n - done);
        let at = place.offset(&strides[..outer.len()]) + column as isize * stride;
        f(at, stride, done, len);
        place.advance(outer);
        (column, done) = (0, done + len);
    }
}

/// Copies `src` over `dst`: equal shapes and element sizes.
///
/// # Safety
/// The pointers are element `[0, 0, …]` of arrays with these lengths and strides, valid for the
/// access and apart.
pub(crate) unsafe fn copy_slice(dst: *mut u8, to: &Slice, src: *const u8, from: &Slice) {
    let space = Space::new(&to.dims, &[&to.strides, &from.strides]);
    // SAFETY: the caller's promise.
    unsafe { copy_space(dst, src, &space, to.dtype.size()) }
}

/// Copies elements of `size` bytes over a space of two operands, destination and source.
///
/// # Safety
/// As for [`copy_slice`].
pub(crate) unsafe fn copy_space(dst: *mut u8, src: *const u8, space: &Space, size: usize) {
    let last = space.dims.len() - 1;
    let (inner, outer) = (space.dims[last], &space.dims[..last]);
    if inner == 0 {
        return;
    }
    let [to, from] = [&space.strides[0], &space.strides[1]];
    let mut place = Place::new(outer, 0);
    for _ in 0..outer.iter().product() {
        let (at, of) = (place.offset(&to[..last]), place.offset(&from[..last]));
        for_size!(size, T => {
            // SAFETY: `at` and `of` are the starts of rows of the arrays.
            unsafe {
                let (dst, src) = (dst.cast::<T>().offset(at), src.cast::<T>().offset(of));
                copy_row(dst, to[last], src, from[last], inner);
            }
        });
        place.advance(outer);
    }
}
