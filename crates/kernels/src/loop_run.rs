//! Elementwise loops, executed.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::Pool;
use crate::bind::Mem;
use crate::copy::{for_size, load, store};
use crate::loop_plan::{Bits, Constant, Fold, Loc, LoopPlan, MAX_STREAMS, Mode, SCRATCH, Stream};
use crate::program::{Failure, Step};
use crate::reduce_order::{BLOCK, LANES, LinesArgs};
use crate::space::{Place, offset_of};
use crate::tile_fn::{MAX_ARGS, TileArgs};

/// The tile buffer, on the stack of the thread that runs a task.
#[repr(align(64))]
struct Scratch<const N: usize>([MaybeUninit<u8>; N]);

/// Memory of a task: the tile buffer, and element 0 of the current tile in each stream.
struct Tile {
    scratch: *mut u8,
    streams: [MaybeUninit<*mut u8>; MAX_STREAMS],
    numbers: *const Bits,
    /// Where the current tile begins.
    place: Place,
}

impl Tile {
    /// # Safety
    /// `loc` comes from the plan whose scratch and streams these are.
    #[inline(always)]
    unsafe fn at(&self, loc: Loc) -> *mut u8 {
        match loc {
            // SAFETY: the plan has as many bytes of scratch as its slots take.
            Loc::Slot(byte) => unsafe { self.scratch.add(byte as usize) },
            // SAFETY: `locate` has written those that the plan has.
            Loc::Stream(i) => unsafe { self.streams[usize::from(i)].assume_init() },
            // SAFETY: the plan has as many numbers. Nothing writes there.
            Loc::Constant(i) => unsafe { self.numbers.add(usize::from(i)).cast_mut().cast() },
        }
    }
}

impl Step for LoopPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        const SMALL: usize = 4096;
        pool.ranges(self.tiles.count, self.grain, |tiles| {
            // SAFETY: the slices were checked for this memory; tasks write different elements, and
            // read what they write only at the same elements.
            unsafe {
                if self.scratch <= SMALL {
                    self.task::<SMALL>(mem, tiles);
                } else {
                    self.task::<SCRATCH>(mem, tiles);
                }
            }
        });
        Ok(())
    }
}

impl LoopPlan {
    /// # Safety
    /// `mem` is the memory that the plan was checked for, `N >= self.scratch`, and no other task
    /// touches the elements that these tiles write.
    // Never inlined, so that a small loop does not pay for the stack of a large one.
    #[inline(never)]
    unsafe fn task<const N: usize>(&self, mem: Mem<'_>, tiles: Range<usize>) {
        debug_assert!(N >= self.scratch);
        let mut scratch = Scratch([MaybeUninit::<u8>::uninit(); N]);
        let scratch = scratch.0.as_mut_ptr().cast();
        let streams = [MaybeUninit::uninit(); MAX_STREAMS];
        let mut tile =
            Tile { scratch, streams, numbers: self.numbers.as_ptr(), place: Place::new(&[], 0) };
        let first = tiles.start;
        for constant in &self.constants {
            // SAFETY: the slot holds `len` elements.
            unsafe { fill(tile.at(constant.at), constant, self.tiles.len) };
        }
        for t in tiles {
            let (start, n) = self.tiles.range(t);
            // SAFETY: every range lies in the joined index space, whose elements were checked.
            // Slots hold `len` elements and no instruction reads the slot that it writes; streams
            // used in place are packed over each tile, and those written overlap no input. Stores
            // in place come last, when no input is read any more.
            unsafe {
                self.locate(mem, start, &mut tile);
                if !self.loads.is_empty() {
                    self.load(mem, start, n, t == first, &tile);
                }
                for op in &self.ops {
                    let mut args = [std::ptr::null(); MAX_ARGS];
                    for (arg, &loc) in args.iter_mut().zip(&op.args) {
                        *arg = tile.at(loc).cast_const();
                    }
                    (op.f)(TileArgs { n, dst: tile.at(op.dst), args });
                }
                for fold in &self.folds {
                    self.fold(mem, fold, start, n, &tile);
                }
                for &(from, o) in &self.stores {
                    let Stream { start: first, size, strides } = &self.streams[o];
                    let (dst, src) = (mem.first(*first), tile.at(from));
                    for_size!(size, T => {
                        store::<T>(dst.cast(), src.cast(), &self.tiles.dims, strides, start, n);
                    });
                }
            }
        }
    }

    /// Reduces the rows of a tile.
    ///
    /// # Safety
    /// As for [`LoopPlan::task`]; the range is whole rows, whose registers were computed.
    unsafe fn fold(&self, mem: Mem<'_>, fold: &Fold, start: usize, n: usize, tile: &Tile) {
        let (lines, Stream { start: first, size, strides }) =
            (n / self.row, &self.streams[fold.stream]);
        let mut sums = [MaybeUninit::<u64>::uninit(); BLOCK / 2];
        let out = sums.as_mut_ptr().cast();
        // SAFETY: the register is one of the plan.
        let x = unsafe { tile.at(fold.from) }.cast_const();
        let (stride, lanes) = (self.row as isize, std::hint::black_box(LANES));
        let (dims, strides) = (&self.tiles.dims[..self.lead], &strides[..self.lead]);
        // SAFETY: rows have two elements at least, so a tile has no more rows than there is room for.
        unsafe {
            (fold.lines)(LinesArgs { x, stride, n: self.row, lines, out, out_stride: 1, lanes });
            let to = mem.first(*first);
            for_size!(size, T => {
                match dims {
                    [] => *to.cast::<T>() = *out.cast::<T>(),
                    _ => store::<T>(to.cast(), out.cast(), dims, strides, start / self.row, lines),
                }
            });
        }
    }

    /// Points the streams to the elements from `start`.
    ///
    /// # Safety
    /// As for [`LoopPlan::task`]; `start` is an element of the index space.
    #[inline(always)]
    unsafe fn locate(&self, mem: Mem<'_>, start: usize, tile: &mut Tile) {
        let dims = &self.tiles.dims;
        if start == 0 {
            for (at, stream) in tile.streams.iter_mut().zip(&self.streams) {
                // SAFETY: the first element is in bounds.
                at.write(unsafe { mem.first(stream.start) });
            }
            return;
        }
        // One place for all streams.
        let deep = dims.len() > 1;
        if deep {
            tile.place.seek(dims, start);
        }
        let place = &tile.place;
        for (at, Stream { start: first, size, strides }) in
            tile.streams.iter_mut().zip(&self.streams)
        {
            let offset = if deep { place.offset(strides) } else { offset_of(dims, strides, start) };
            let offset = offset * *size as isize;
            // SAFETY: the element is in bounds.
            at.write(unsafe { mem.first(*first).offset(offset) });
        }
    }

    /// Loads the inputs that are not read where they are.
    ///
    /// # Safety
    /// As for [`LoopPlan::task`]; the range lies in the index space.
    unsafe fn load(&self, mem: Mem<'_>, start: usize, n: usize, first: bool, tile: &Tile) {
        for &(input, mode) in &self.loads {
            let Stream { start: begin, size, strides } = &self.streams[input];
            let dst = match mode {
                Mode::Direct => continue,
                Mode::Once(_) if !first => continue,
                Mode::Once(at) | Mode::Load(at) => at,
            };
            // A scalar fills the whole slot: later tiles of the task may be longer.
            let scalar = strides.iter().all(|&s| s == 0);
            let (dims, n) = match mode {
                Mode::Once(_) if scalar => (&[usize::MAX][..], self.tiles.len),
                _ => (&self.tiles.dims[..], n),
            };
            let strides = if dims.len() == 1 { &strides[strides.len() - 1..] } else { strides };
            let start = if scalar { 0 } else { start };
            for_size!(size, T => {
                // SAFETY: the slot holds `len` elements, apart from all buffers; the source's
                // elements were checked. All elements of a scalar are its first.
                unsafe {
                    let src = mem.first(*begin).cast();
                    load::<T>(tile.at(dst).cast(), src, dims, strides, start, n);
                }
            });
        }
    }
}

/// # Safety
/// `dst` is valid for writes of `n` elements, aligned.
unsafe fn fill(dst: *mut u8, constant: &Constant, n: usize) {
    let value = &constant.value;
    for_size!(value.size, T => {
        // SAFETY: the caller's promise; the element is at the beginning of its space.
        unsafe {
            let x = value.bytes.as_ptr().cast::<T>().read();
            (0..n).for_each(|i| dst.cast::<T>().add(i).write(x));
        }
    });
}
