//! Convolutions with windows of 3 × 3 that are next to each other, by Winograd's F(2×2, 3×3).
//!
//! A tile of 2 × 2 results comes of 4 × 4 elements of the image by
//! `y = Aᵀ[(G·g·Gᵀ) ⊙ (Bᵀ·d·B)]A`: 16 products a channel instead of 36. Over all channels and tiles
//! these are 16 matrix products. Tiles are transformed with a channel in a lane, so images of any size
//! take whole vectors; a block of tiles stays in the second cache. The gradient of the weight is the
//! exact adjoint, `Gᵀ[Σ (A·dy·Aᵀ) ⊙ (Bᵀ·d·B)]G`.
//!
//! Results differ from those of direct sums by a few roundings more: about 1e-6 of the largest
//! element in `f32`. The order of every sum follows from the shapes alone.
//!
//! | file | holds |
//! |---|---|
//! | `transform.rs` | tiles and their transforms, in lanes |
//! | `convolve.rs` | the convolution |
//! | `weight.rs` | the gradient of the weight |

mod convolve;
mod transform;
mod weight;

use std::ops::Range;

use pleach_tensor::DType;

use crate::program::Step;
use crate::{Fault, Slice, WinogradOp, check};
use transform::{Image, PARTS};

/// Bytes of all matrices of a block of tiles, on the stack.
const BUDGET: usize = 512 << 10;
/// Elements between matrices, so that they begin in different places of a cache.
const GAP: usize = 16;
/// The same, with the space between matrices: room for a block.
const ROOM: usize = BUDGET + 2 * PARTS * GAP * 8;
/// Most tiles of a block.
const MOST: usize = 128;

/// A length rounded up to whole lines of the cache, as many elements as the widest vector has at most.
fn whole(len: usize) -> usize {
    len.next_multiple_of(16)
}

/// An axis in parts as equal as can be in multiples of a unit; one empty part if it has no length.
#[derive(Clone, Copy, Debug)]
struct Parts {
    len: usize,
    part: usize,
}

impl Parts {
    fn new(len: usize, most: usize, unit: usize) -> Parts {
        let count = len.div_ceil(most.max(1)).max(1);
        Parts { len, part: len.div_ceil(count).next_multiple_of(unit).max(1) }
    }

    fn count(self) -> usize {
        self.len.div_ceil(self.part).max(1)
    }

    fn range(self, i: usize) -> Range<usize> {
        i * self.part..self.len.min((i + 1) * self.part)
    }
}

/// How images are cut into blocks of tiles: along images, rows and columns of tiles.
#[derive(Clone, Copy, Debug)]
struct Tiling([Parts; 3]);

/// Some tiles of some images.
#[derive(Clone, Debug)]
struct Block {
    images: Range<usize>,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Tiling {
    /// Of results of these lengths (images, rows, columns), with at most so many tiles a block.
    fn new([images, rows, columns]: [usize; 3], most: usize) -> Tiling {
        let columns = Parts::new(columns.div_ceil(2), most, 1);
        let rows = Parts::new(rows.div_ceil(2), most / columns.part, 1);
        let one = if rows.count() * columns.count() == 1 { rows.part * columns.part } else { most };
        Tiling([Parts::new(images, most / one, 1), rows, columns])
    }

    /// Number of blocks; none if there are no results.
    fn count(self) -> usize {
        let [images, rows, columns] = self.0;
        let empty = self.0.iter().any(|parts| parts.len == 0);
        if empty { 0 } else { images.count() * rows.count() * columns.count() }
    }

    fn block(self, i: usize) -> Block {
        let [images, rows, columns] = self.0;
        let (i, column) = (i / columns.count(), i % columns.count());
        let (image, row) = (i / rows.count(), i % rows.count());
        Block { images: images.range(image), rows: rows.range(row), columns: columns.range(column) }
    }

    /// Tiles of the largest block.
    fn most(self) -> usize {
        self.0.iter().map(|parts| parts.part).product()
    }
}

impl Block {
    /// Rows and columns of tiles.
    fn tiles(&self) -> [usize; 2] {
        [self.rows.len(), self.columns.len()]
    }

    /// Number of tiles of all images.
    fn len(&self) -> usize {
        self.images.len() * self.rows.len() * self.columns.len()
    }

    /// The first row and column of results.
    fn corner(&self) -> [usize; 2] {
        [2 * self.rows.start, 2 * self.columns.start]
    }
}

/// Most tiles of a block whose matrices have, together, so many columns.
fn tiles(columns: usize, size: usize) -> usize {
    (BUDGET / PARTS / size / columns.max(1)).clamp(1, MOST)
}

impl WinogradOp {
    /// Zeros before and after rows and columns.
    pub fn padding(self) -> [[usize; 2]; 2] {
        match self {
            WinogradOp::Convolve { padding } | WinogradOp::Weight { padding } => padding,
        }
    }

    /// Elements of working memory for operands of these lengths: of an image, and of a weight or a
    /// gradient of results.
    pub fn work(self, x: &[usize], other: &[usize], dtype: DType) -> usize {
        match self {
            WinogradOp::Convolve { .. } => convolve::work(x, other),
            WinogradOp::Weight { .. } => weight::work(x, other, dtype.size()),
        }
    }
}

/// The checked instruction.
pub(crate) fn plan(
    op: WinogradOp,
    [x, other]: [&Slice; 2],
    work: &Slice,
    y: &Slice,
) -> Result<Box<dyn Step>, Fault> {
    let dtype = y.dtype;
    if !dtype.is_wide() {
        return Err(Fault::Unsupported { dtype });
    }
    [x, other, work].into_iter().try_for_each(|s| check::dtype(s, dtype))?;
    for s in [x, other, y] {
        let rank = s.dims.len();
        if rank != 4 {
            return Err(Fault::Axis { axes: vec![0, 1, 2, 3], rank });
        }
    }
    // Weight and results, whichever is what.
    let (w, results) = match op {
        WinogradOp::Convolve { .. } => (other, y),
        WinogradOp::Weight { .. } => (y, other),
    };
    let [channels, images, ..] = x.dims[..] else { unreachable!("four axes") };
    let outputs = w.dims[0];
    check::shape(w, &[outputs, channels, 3, 3])?;
    let length = |axis: usize| -> Option<usize> {
        let [before, after] = op.padding()[axis];
        x.dims[2 + axis].checked_add(before)?.checked_add(after)?.checked_sub(2)
    };
    let windows = Fault::Windows { dims: x.dims.to_vec() };
    let (Some(rows), Some(columns)) = (length(0), length(1)) else { return Err(windows) };
    if op.padding().concat().iter().any(|&zeros| zeros > 2) {
        return Err(windows);
    }
    check::shape(results, &[outputs, images, rows, columns])?;
    check::shape(work, &[op.work(&x.dims, &other.dims, dtype)])?;
    if !work.is_contiguous() {
        return Err(Fault::Shape { expected: work.dims.to_vec(), got: vec![] });
    }
    Ok(match op {
        WinogradOp::Convolve { padding } => {
            Box::new(convolve::ConvolvePlan::new(padding, x, other, work, y))
        }
        WinogradOp::Weight { padding } => {
            Box::new(weight::WeightPlan::new(padding, x, other, work, y))
        }
    })
}

/// A checked slice of four axes in the memory of a run.
fn image<T>(slice: &Slice, at: *mut u8) -> Image<T> {
    let mut image = Image { at: at.cast(), dims: [0; 4], strides: [0; 4] };
    image.dims.copy_from_slice(&slice.dims);
    image.strides.copy_from_slice(&slice.strides);
    image
}
