//! The transforms of F(2×2, 3×3), a channel a lane, and what brings images to lanes and back.

use std::mem::MaybeUninit;

use crate::gemm::Lanes;
use crate::num::Num;

/// Numbers of a transformed tile, so products of matrices.
pub(super) const PARTS: usize = 16;
/// Places of an image that are in lanes at once: a block of 128 tiles in a row, with those around it.
const PLACES: usize = 4 * 258;
/// Bytes of the widest vector.
const VECTOR: usize = 64;

/// Memory on the stack, from the beginning of a line of the cache.
#[repr(align(64))]
#[allow(dead_code, reason = "only its place is used")]
pub(super) struct Lines<T>(pub(super) T);

/// Room for [`PLACES`] vectors.
pub(super) type Stage = MaybeUninit<Lines<[u8; PLACES * VECTOR]>>;

/// An array `[channels, images, rows, columns]`, by its first element and strides in elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image<T> {
    pub(super) at: *mut T,
    pub(super) dims: [usize; 4],
    pub(super) strides: [isize; 4],
}

/// `f` of every column, then of every row.
#[inline(always)]
pub(super) fn both<V: Lanes, const A: usize, const B: usize>(
    x: [[V; A]; A],
    f: impl Fn([V; A]) -> [V; B],
) -> [[V; B]; B] {
    let mut down = [[x[0][0]; A]; B];
    for j in 0..A {
        let mut column = [x[0][0]; A];
        for i in 0..A {
            column[i] = x[i][j];
        }
        let column = f(column);
        for i in 0..B {
            down[i][j] = column[i];
        }
    }
    let mut all = [[x[0][0]; B]; B];
    for i in 0..B {
        all[i] = f(down[i]);
    }
    all
}

/// Of a tile of the image: `Bᵀ`.
#[inline(always)]
pub(super) fn image<V: Lanes>([a, b, c, d]: [V; 4]) -> [V; 4] {
    [a.sub(c), b.add(c), c.sub(b), b.sub(d)]
}

/// Of a tile of products to the result: `Aᵀ`.
#[inline(always)]
pub(super) fn result<V: Lanes>([a, b, c, d]: [V; 4]) -> [V; 2] {
    [a.add(b).add(c), b.sub(c).sub(d)]
}

/// Of a gradient of the result: `A`.
#[inline(always)]
pub(super) fn adjoint_of_result<V: Lanes>([a, b]: [V; 2]) -> [V; 4] {
    [a, a.add(b), a.sub(b), V::splat(V::T::ZERO).sub(b)]
}

fn half<V: Lanes>() -> V {
    V::splat(V::T::ONE.div(V::T::ONE.add(V::T::ONE)))
}

/// Of a weight: `G`.
#[inline(always)]
pub(super) fn weight<V: Lanes>([a, b, c]: [V; 3]) -> [V; 4] {
    let (zero, half) = (V::splat(V::T::ZERO), half::<V>());
    let ends = a.add(c);
    [a, ends.add(b).mul_add(half, zero), ends.sub(b).mul_add(half, zero), c]
}

/// Of sums of products to the gradient of a weight: `Gᵀ`.
#[inline(always)]
pub(super) fn adjoint_of_weight<V: Lanes>([a, b, c, d]: [V; 4]) -> [V; 3] {
    let (zero, half) = (V::splat(V::T::ZERO), half::<V>());
    let (sum, difference) = (b.add(c), b.sub(c));
    [sum.mul_add(half, a), difference.mul_add(half, zero), sum.mul_add(half, d)]
}

/// Writes a part of an image, a place a vector of channels, row by row; zeros where there is no image.
/// In lanes that have no channel are zeros.
///
/// # Safety
/// The image is valid for reads, its channels from `channel` on, up to `channels` of them; at `to` is
/// room for `size` vectors.
#[inline(always)]
pub(super) unsafe fn gather<V: Lanes>(
    x: &Image<V::T>,
    (channel, channels): (usize, usize),
    image: usize,
    corner: [isize; 2],
    size: [usize; 2],
    to: *mut V::T,
) {
    let live = channels.min(V::N);
    let zero = V::splat(V::T::ZERO);
    let [_, _, height, width] = x.dims;
    // Columns that the image has.
    let first = usize::try_from(-corner[1]).unwrap_or(0).min(size[1]);
    let end = usize::try_from(width as isize - corner[1]).unwrap_or(0).clamp(first, size[1]);
    for row in 0..size[0] {
        let to = to.wrapping_add(row * size[1] * V::N);
        let at = corner[0] + row as isize;
        let inside = at >= 0 && at < height as isize && first < end;
        let outside =
            if live < V::N || !inside { [0..size[1], 0..0] } else { [0..first, end..size[1]] };
        for place in outside.into_iter().flatten() {
            // SAFETY: a place of this row.
            unsafe { zero.store(to.add(place * V::N)) };
        }
        if inside {
            let place = [channel as isize, image as isize, at, corner[1] + first as isize];
            let from = (0..4).fold(x.at, |p, i| p.wrapping_offset(place[i] * x.strides[i]));
            let to = to.wrapping_add(first * V::N);
            let strides = [x.strides[0], x.strides[3]];
            // SAFETY: columns of the image, and their places.
            unsafe { turn::<V>(from, strides, [live, end - first], to) };
        }
    }
}

/// Writes columns of channels as places of lanes.
///
/// # Safety
/// `live ≤ N` channels of `len` columns at these strides are valid for reads; at `to` is room for `len`
/// vectors.
#[inline(always)]
unsafe fn turn<V: Lanes>(
    from: *const V::T,
    [down, across]: [isize; 2],
    [live, len]: [usize; 2],
    to: *mut V::T,
) {
    let side = V::SQUARE;
    for i in (0..live).step_by(side) {
        let from = from.wrapping_offset(i as isize * down);
        let to = to.wrapping_add(i);
        if across == 1 && live - i >= side && len >= side {
            let rows: [isize; 8] = std::array::from_fn(|k| k as isize * down);
            for j in (0..len).step_by(side) {
                // The last square may cover a part of the one before it.
                let j = j.min(len - side);
                // SAFETY: a square, and its place.
                unsafe {
                    V::transpose(from.add(j), &rows[..side], to.add(j * V::N), V::N as isize)
                };
            }
            continue;
        }
        for k in 0..side.min(live - i) {
            for j in 0..len {
                let at = k as isize * down + j as isize * across;
                // SAFETY: an element, and its place.
                unsafe { *to.add(j * V::N + k) = *from.offset(at) };
            }
        }
    }
}

/// The reverse of [`gather`]: writes places of lanes to a part of an image, but for those outside.
///
/// # Safety
/// The image is valid for writes, its channels from `channel` on, up to `channels` of them; at `from`
/// are `size` vectors.
#[inline(always)]
pub(super) unsafe fn scatter<V: Lanes>(
    y: &Image<V::T>,
    (channel, channels): (usize, usize),
    image: usize,
    corner: [usize; 2],
    size: [usize; 2],
    from: *const V::T,
) {
    let (live, side) = (channels.min(V::N), V::SQUARE);
    let [_, _, height, width] = y.dims;
    let rows = size[0].min(height - corner[0]);
    let len = size[1].min(width - corner[1]);
    let [down, across] = [y.strides[0], y.strides[3]];
    let places: [isize; 8] = std::array::from_fn(|k| (k * V::N) as isize);
    for row in 0..rows {
        let place = [channel, image, corner[0] + row, corner[1]];
        let to = (0..4).fold(y.at, |p, i| p.wrapping_offset(place[i] as isize * y.strides[i]));
        let from = from.wrapping_add(row * size[1] * V::N);
        for i in (0..live).step_by(side) {
            let (to, from) = (to.wrapping_offset(i as isize * down), from.wrapping_add(i));
            if across == 1 && live - i >= side && len >= side {
                for j in (0..len).step_by(side) {
                    let j = j.min(len - side);
                    // SAFETY: a square, and its place.
                    unsafe { V::transpose(from.add(j * V::N), &places[..side], to.add(j), down) };
                }
                continue;
            }
            for k in 0..side.min(live - i) {
                for j in 0..len {
                    let at = k as isize * down + j as isize * across;
                    // SAFETY: an element, and its place.
                    unsafe { *to.offset(at) = *from.add(j * V::N + k) };
                }
            }
        }
    }
}

/// Where transformed tiles lie: a matrix of tiles by channels for each part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix16<T> {
    pub(super) at: *mut T,
    /// From a tile to the next.
    pub(super) row: usize,
    /// From a part to the next.
    pub(super) part: usize,
}

impl<T> Matrix16<T> {
    /// A row of vectors of one matrix from this place on.
    #[inline(always)]
    pub(super) fn ptr(&self, part: usize, tile: usize, channel: usize) -> *mut T {
        self.at.wrapping_add(part * self.part + tile * self.row + channel)
    }
}

/// Transforms the tiles of a block of an image: `A × A` elements each, that begin two places apart,
/// the first at `corner` of every image.
///
/// # Safety
/// The image is valid for reads; the matrices have room for all tiles, and vectors of channels.
#[inline(always)]
pub(super) unsafe fn spread<V: Lanes, const A: usize>(
    x: &Image<V::T>,
    (first, channels): (usize, usize),
    (images, tiles): (std::ops::Range<usize>, [usize; 2]),
    corner: [isize; 2],
    to: &Matrix16<V::T>,
    f: impl Fn([V; A]) -> [V; 4] + Copy,
) {
    let mut stage = Stage::uninit();
    let stage = stage.as_mut_ptr().cast::<V::T>();
    let size = [2 * tiles[0] + A - 2, 2 * tiles[1] + A - 2];
    let zero = V::splat(V::T::ZERO);
    for c in (0..channels).step_by(V::N) {
        let mut tile = 0;
        for image in images.clone() {
            // SAFETY: these channels exist; the stage has room for the places of a block.
            unsafe { gather::<V>(x, (first + c, channels - c), image, corner, size, stage) };
            for row in 0..tiles[0] {
                for column in 0..tiles[1] {
                    let from = stage.wrapping_add((2 * row * size[1] + 2 * column) * V::N);
                    let mut x = [[zero; A]; A];
                    for (i, x) in x.iter_mut().enumerate() {
                        for (j, x) in x.iter_mut().enumerate() {
                            // SAFETY: a place of the stage.
                            *x = unsafe { V::load(from.add((i * size[1] + j) * V::N)) };
                        }
                    }
                    let all = both(x, f);
                    for (i, row) in all.iter().enumerate() {
                        for (j, part) in row.iter().enumerate() {
                            // SAFETY: a place of this tile.
                            unsafe { part.store(to.ptr(4 * i + j, tile, c)) };
                        }
                    }
                    tile += 1;
                }
            }
        }
    }
}

/// The reverse, for results: 2 × 2 of every tile, to all images of the block.
///
/// # Safety
/// The matrices hold the tiles; the image is valid for writes.
#[inline(always)]
pub(super) unsafe fn collect<V: Lanes>(
    from: &Matrix16<V::T>,
    (first, channels): (usize, usize),
    (images, tiles): (std::ops::Range<usize>, [usize; 2]),
    corner: [usize; 2],
    y: &Image<V::T>,
) {
    let mut stage = Stage::uninit();
    let stage = stage.as_mut_ptr().cast::<V::T>();
    let size = [2 * tiles[0], 2 * tiles[1]];
    let zero = V::splat(V::T::ZERO);
    for c in (0..channels).step_by(V::N) {
        let mut tile = 0;
        for image in images.clone() {
            for row in 0..tiles[0] {
                for column in 0..tiles[1] {
                    let mut all = [[zero; 4]; 4];
                    for (i, row) in all.iter_mut().enumerate() {
                        for (j, part) in row.iter_mut().enumerate() {
                            // SAFETY: a place of this tile.
                            *part = unsafe { V::load(from.ptr(4 * i + j, tile, c)) };
                        }
                    }
                    let y = both(all, result::<V>);
                    let to = stage.wrapping_add((2 * row * size[1] + 2 * column) * V::N);
                    for (i, row) in y.iter().enumerate() {
                        for (j, y) in row.iter().enumerate() {
                            // SAFETY: a place of the stage.
                            unsafe { y.store(to.add((i * size[1] + j) * V::N)) };
                        }
                    }
                    tile += 1;
                }
            }
            // SAFETY: these channels exist; all places of the stage were written.
            unsafe { scatter::<V>(y, (first + c, channels - c), image, corner, size, stage) };
        }
    }
}
