//! Elementwise loops, prepared: joined axes, tiles, and a place for every register.
//!
//! A loop runs over tiles: ranges of the row-major index that fit the first-level cache. Within a
//! tile each scalar instruction is one packed loop over all elements. A register lives in a slot of
//! the tile buffer, or, to save a copy, right in the memory of an input or an output.
//!
//! ```text
//! long rows:  a tile is a piece of one row       short rows:  a tile is several whole rows
//! [ tile 0 | tile 1 | tile 2 ]                   [ tile 0 ]
//! [ tile 3 | tile 4 | tile 5 ]                   [   ″    ]
//!                                                [ tile 1 ]
//! ```

use pleach_tensor::DType;
use smallvec::SmallVec;

use crate::bind::Start;
use crate::loop_layout::Layout;
use crate::reduce_order::{BLOCK, GROUP, LANES, LinesArgs, loops};
use crate::space::{Space, by_stride};
use crate::tile_fn::TileFn;
use crate::vector::Entry;
use crate::widen::widened;
use crate::{Axes, Fault, ReduceOp, Scalar, ScalarProgram, Slice, Strides, check};

/// Most inputs and outputs of a loop.
pub(crate) const MAX_STREAMS: usize = 128;
/// Bytes of the tile buffer.
pub(crate) const SCRATCH: usize = 64 << 10;
/// What of it should be in use, for the first-level cache holds 32 KiB on common machines.
const CACHE: usize = 24 << 10;
/// Work of a task in units of one addition on one element: about 2 µs.
const TASK: usize = 30_000;

/// Where the elements of a register are during a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loc {
    /// At this byte of the tile buffer.
    Slot(u32),
    /// In the memory of this input, or (counted on) output.
    Stream(u16),
    /// This constant.
    Constant(u16),
}

/// How an input gets into its register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is read where it is.
    Direct,
    /// It is the same in every tile: loaded once a task.
    Once(Loc),
    /// It is loaded for every tile.
    Load(Loc),
}

/// An input or output.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) start: Start,
    /// Bytes of an element.
    pub(crate) size: usize,
    /// Strides over the joined axes.
    pub(crate) strides: Strides,
}

/// A scalar instruction over a tile.
#[derive(Clone, Debug)]
pub(crate) struct TileOp {
    pub(crate) f: TileFn,
    pub(crate) dst: Loc,
    pub(crate) args: SmallVec<[Loc; 4]>,
}

/// A constant that fills a slot of the tile buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Constant {
    pub(crate) value: Bits,
    pub(crate) at: Loc,
}

/// One element in memory, at the beginning of as much space as the largest takes.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct Bits {
    pub(crate) bytes: [u8; 8],
    pub(crate) size: usize,
}

impl Bits {
    pub(crate) fn new(value: Scalar) -> Bits {
        let (size, bits) = (value.dtype().size(), value.bits());
        let mut bytes = [0; 8];
        match size {
            1 => bytes[..1].copy_from_slice(&(bits as u8).to_ne_bytes()),
            2 => bytes[..2].copy_from_slice(&(bits as u16).to_ne_bytes()),
            4 => bytes[..4].copy_from_slice(&(bits as u32).to_ne_bytes()),
            _ => bytes.copy_from_slice(&bits.to_ne_bytes()),
        }
        Bits { bytes, size }
    }
}

/// How the index space is cut.
#[derive(Clone, Debug)]
pub(crate) struct Tiles {
    pub(crate) dims: Axes,
    /// Tiles in a row, or 0 if a tile is several rows.
    pub(crate) per_row: usize,
    /// Most elements of a tile.
    pub(crate) len: usize,
    pub(crate) count: usize,
}

/// Most elements of a row that a loop reduces: a block, which is joined in one way.
pub const MAX_ROW: usize = BLOCK;

/// A register that is reduced at the end of a tile, row by row.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) from: Loc,
    pub(crate) stream: usize,
    pub(crate) lines: Entry<LinesArgs>,
}

/// A checked loop.
#[derive(Debug)]
pub(crate) struct LoopPlan {
    pub(crate) tiles: Tiles,
    /// Tiles of a task.
    pub(crate) grain: usize,
    /// Inputs, then outputs.
    pub(crate) streams: Vec<Stream>,
    /// The inputs that are not read where they are: (input, how).
    pub(crate) loads: Vec<(usize, Mode)>,
    /// Constants that are read as they are.
    pub(crate) numbers: Vec<Bits>,
    /// Constants that fill slots.
    pub(crate) constants: Vec<Constant>,
    pub(crate) ops: Vec<TileOp>,
    /// Outputs written at the end of a tile: (from, stream).
    pub(crate) stores: Vec<(Loc, usize)>,
    /// Registers that are reduced then, the elements of a row, and of how many axes rows there are.
    pub(crate) folds: Vec<Fold>,
    pub(crate) row: usize,
    pub(crate) lead: usize,
    /// Bytes of the tile buffer in use.
    pub(crate) scratch: usize,
}

impl LoopPlan {
    pub(crate) fn new(
        program: &ScalarProgram,
        inputs: &[Slice],
        outputs: &[Slice],
    ) -> Result<LoopPlan, Fault> {
        LoopPlan::reducing(program, inputs, outputs, &[])
    }

    /// A loop of which results are reduced, too: the last outputs of the program.
    pub(crate) fn with_rows(
        program: &ScalarProgram,
        inputs: &[Slice],
        outputs: &[Slice],
        reduced: &[(ReduceOp, Slice)],
    ) -> Result<LoopPlan, Fault> {
        let wide = widened(program, &program.registers()?);
        LoopPlan::reducing(wide.as_ref().unwrap_or(program), inputs, outputs, reduced)
    }

    fn reducing(
        program: &ScalarProgram,
        inputs: &[Slice],
        written: &[Slice],
        reduced: &[(ReduceOp, Slice)],
    ) -> Result<LoopPlan, Fault> {
        let whole = written.first().or(inputs.first()).map_or(&[][..], |slice| &slice.dims);
        let spread = reduced.iter().map(|(_, slice)| spread(slice, whole));
        let outputs =
            written.iter().cloned().map(Ok).chain(spread).collect::<Result<Vec<_>, _>>()?;
        let outputs = &outputs[..];
        let types = check_loop(program, inputs, outputs)?;
        let all: Vec<&Slice> = inputs.iter().chain(outputs).collect();
        // Elements are independent: walk in the order of the first output's memory; rows as they are.
        let order = match outputs.first() {
            Some(y) if reduced.is_empty() => by_stride(&y.dims, &y.strides),
            Some(y) => (0..y.dims.len()).collect(),
            None => Axes::new(),
        };
        let dims: Axes = order.iter().map(|&i| outputs[0].dims[i]).collect();
        let strides: Vec<Strides> =
            all.iter().map(|s| order.iter().map(|&i| s.strides[i]).collect()).collect();
        let refs: Vec<&[isize]> = strides.iter().map(|s| &s[..]).collect();
        let space = Space::new(&dims, &refs);
        let numel = if outputs.is_empty() { 0 } else { space.numel() };
        let (row, lead) = match reduced {
            [] => (1, 0),
            [(_, first), ..] => rows(&space.dims, whole, first.dims.len())?,
        };

        // The longest tile whose slots fit, for preference into the cache.
        let width = types.iter().map(|t| t.size()).max().unwrap_or(1);
        let cached = [1024, 512, 256].map(|len| (len, CACHE));
        let larger = [256, 128, 64, 32, 16].map(|len| (len, SCRATCH));
        let many = Some((GROUP * row, CACHE)).filter(|(len, _)| *len > 1024);
        let long = [1024, 512].map(|len| (len, SCRATCH));
        let lengths: SmallVec<[(usize, usize); 11]> = match reduced {
            [] => cached.into_iter().chain(larger).collect(),
            // Rows are reduced side by side, so many of them; long ones may need many slots.
            _ => many.into_iter().chain(cached).chain(larger).chain(long).collect(),
        };
        let fitting =
            lengths.into_iter().filter(|(len, _)| *len >= row).find_map(|(len, budget)| {
                let tiles = match reduced {
                    [] => Tiles::new(&space.dims, numel, len),
                    _ => Tiles::of_rows(&space.dims, numel, row, len),
                };
                let layout = Layout::new(program, &types, inputs, outputs, &space, &tiles);
                let bytes = (tiles.len * width).next_multiple_of(64);
                (layout.slots * bytes <= budget).then_some((tiles, layout, bytes))
            });
        let (tiles, mut layout, bytes) = fitting.ok_or(Fault::TooManyRegisters)?;
        layout.scale(bytes);

        let weight: usize = program.instrs.iter().map(|i| i.op.weight()).sum();
        let grain = (TASK / (weight + all.len()).max(1) / tiles.len.max(1)).max(1);
        let stream = |(slice, strides): (&&Slice, Strides)| Stream {
            start: Start::of(slice),
            size: slice.dtype.size(),
            strides,
        };
        let loads = layout.modes.into_iter().enumerate();
        let first = inputs.len() + written.len();
        let (folded, stores) = layout.stores.into_iter().partition::<Vec<_>, _>(|s| s.1 >= first);
        let fold = |(from, stream): (Loc, usize)| {
            let (op, slice) = &reduced[stream - first];
            let loops = loops(*op, slice.dtype).ok_or(Fault::Unsupported { dtype: slice.dtype })?;
            let lines = if row < LANES { loops.short } else { loops.lines };
            Ok(Fold { from, stream, lines })
        };
        Ok(LoopPlan {
            tiles,
            grain,
            streams: all.iter().zip(space.strides).map(stream).collect(),
            loads: loads.filter(|(_, mode)| *mode != Mode::Direct).collect(),
            numbers: layout.numbers,
            constants: layout.constants,
            ops: layout.ops,
            stores,
            folds: folded.into_iter().map(fold).collect::<Result<_, Fault>>()?,
            row,
            lead,
            scratch: layout.slots * bytes,
        })
    }
}

/// Is this a loop that can reduce results as they come? See [`Kernel::LoopReduce`](crate::Kernel::LoopReduce).
pub fn loop_reduces(
    program: &ScalarProgram,
    inputs: &[Slice],
    outputs: &[Slice],
    reduced: &[(ReduceOp, Slice)],
) -> bool {
    LoopPlan::with_rows(program, inputs, outputs, reduced).is_ok()
}

/// A slice without the last axes, as one that repeats its elements along them.
fn spread(slice: &Slice, dims: &[usize]) -> Result<Slice, Fault> {
    let lead = slice.dims.len();
    if lead >= dims.len() {
        return Err(Fault::Shape { expected: dims.to_vec(), got: slice.dims.to_vec() });
    }
    check::shape(slice, &dims[..lead])?;
    let mut all = slice.clone();
    all.dims = Axes::from_slice(dims);
    all.strides.resize(dims.len(), 0);
    Ok(all)
}

/// The elements of a row, whose axes are those from `lead` on, and how many of the joined axes are before
/// them.
fn rows(joined: &[usize], dims: &[usize], lead: usize) -> Result<(usize, usize), Fault> {
    let row = dims[lead..].iter().product();
    let (mut inner, mut before) = (1, joined.len());
    while inner < row && before > 0 {
        before -= 1;
        inner *= joined[before];
    }
    let fits = (2..=MAX_ROW).contains(&row) && inner == row;
    fits.then_some((row, before))
        .ok_or(Fault::Shape { expected: dims.to_vec(), got: dims.to_vec() })
}

/// Number, lengths and element types of the slices against the program; the registers' types.
pub(crate) fn check_loop(
    program: &ScalarProgram,
    inputs: &[Slice],
    outputs: &[Slice],
) -> Result<Vec<DType>, Fault> {
    let types = program.registers()?;
    for (expected, got) in
        [(program.inputs.len(), inputs.len()), (program.outputs.len(), outputs.len())]
    {
        if expected != got {
            return Err(Fault::Count { expected, got });
        }
    }
    if inputs.len() + outputs.len() > MAX_STREAMS {
        return Err(Fault::TooManyRegisters);
    }
    for (slice, &dtype) in inputs.iter().zip(&types) {
        check::dtype(slice, dtype)?;
    }
    for (slice, reg) in outputs.iter().zip(&program.outputs) {
        check::dtype(slice, types[reg.at()])?;
    }
    if let Some(first) = outputs.first() {
        inputs.iter().chain(outputs).try_for_each(|s| check::shape(s, &first.dims))?;
    }
    Ok(types)
}

impl Tiles {
    fn new(dims: &[usize], numel: usize, len: usize) -> Tiles {
        let inner = dims.last().copied().unwrap_or(1);
        let dims = Axes::from_slice(dims);
        if numel == 0 {
            return Tiles { dims, per_row: 1, len: 1, count: 0 };
        }
        let rows = numel / inner;
        if rows == 1 || inner >= len / 2 {
            // Pieces of about equal length, whole cache lines if they are long.
            let per_row = inner.div_ceil(len);
            let len = inner.div_ceil(per_row).next_multiple_of(len.min(64)).min(inner);
            let per_row = inner.div_ceil(len);
            return Tiles { dims, per_row, len, count: rows * per_row };
        }
        let rows_per_tile = (len / inner).min(rows);
        let (len, count) = (rows_per_tile * inner, rows.div_ceil(rows_per_tile));
        Tiles { dims, per_row: 0, len, count }
    }

    /// Tiles of whole rows of `row` elements, along any axes, of at most `len`, which is no less than a row.
    /// Long ones are tiles by themselves: a number for each row is one for the tile then.
    fn of_rows(dims: &[usize], numel: usize, row: usize, len: usize) -> Tiles {
        let (several, rows) = ((len / row).max(1), numel / row);
        if row >= len / 2 && dims.last() == Some(&row) && rows > 0 {
            return Tiles { dims: Axes::from_slice(dims), per_row: 1, len: row, count: rows };
        }
        let several = several.min(rows).max(1);
        let count = rows.div_ceil(several);
        Tiles { dims: Axes::from_slice(dims), per_row: 0, len: several * row, count }
    }

    /// First element (row-major) and number of elements of a tile.
    #[inline]
    pub(crate) fn range(&self, tile: usize) -> (usize, usize) {
        if self.count == 1 {
            return (0, self.len);
        }
        let inner = self.dims[self.dims.len() - 1];
        if self.per_row == 0 {
            let numel: usize = self.dims.iter().product();
            let start = tile * self.len;
            return (start, self.len.min(numel - start));
        }
        let (row, column) = (tile / self.per_row, tile % self.per_row * self.len);
        (row * inner + column, self.len.min(inner - column))
    }

    /// Are the elements of every tile packed, under these strides?
    pub(crate) fn packed(&self, strides: &[isize]) -> bool {
        if self.per_row > 0 {
            return strides.last() == Some(&1) || self.dims.last() == Some(&1);
        }
        let mut want = 1;
        self.dims.iter().zip(strides).rev().all(|(&n, &s)| {
            let good = s == want;
            want *= n as isize;
            good
        })
    }

    /// Is there one number for all elements of a tile, under these strides?
    pub(crate) fn one(&self, strides: &[isize]) -> bool {
        strides.iter().all(|&s| s == 0) || self.per_row > 0 && strides.last() == Some(&0)
    }

    /// Are all tiles equal, under these strides?
    pub(crate) fn constant(&self, strides: &[isize]) -> bool {
        let (inner, outer) = strides.split_last().unwrap_or((&0, &[]));
        outer.iter().all(|&s| s == 0) && (self.per_row == 0 || *inner == 0)
    }
}
