//! The largest element of every window: its place, or its value and its number in the window.

use std::marker::PhantomData;

use pleach_tensor::DType;

use crate::bind::Mem;
use crate::check;
use crate::lanes::{LANES, end_of, pieces, put, take};
use crate::num::for_any;
use crate::program::{Failure, Step};
use crate::vector::{Body, Entry, pick};
use crate::window_blocks::{Block, Blocks};
use crate::{Fault, Pool, Slice, Window};

/// Elements read by a task.
const TASK: usize = 16_384;

/// How the largest element of a window is named.
trait Key: Copy + 'static {
    /// How much a name grows from element to element of a window.
    fn steps(block: &Block) -> [usize; 3];
    /// The name, of what it grew by; `first` is the row-major index of the window's first element.
    fn name(grown: u32, first: isize) -> Self;
}

/// By its number in the window.
impl Key for u8 {
    fn steps(block: &Block) -> [usize; 3] {
        block.number_steps()
    }

    #[inline(always)]
    fn name(grown: u32, _: isize) -> u8 {
        grown as u8
    }
}

/// By its row-major index over the axes that have windows.
impl Key for i64 {
    fn steps(block: &Block) -> [usize; 3] {
        block.index_steps
    }

    #[inline(always)]
    fn name(grown: u32, first: isize) -> i64 {
        first as i64 + i64::from(grown)
    }
}

/// Windows that are alike, and where their largest elements go.
#[derive(Clone, Copy, Debug)]
struct Args {
    block: Block,
    /// The array, and where it ends if all up to there may be read.
    x: *const u8,
    end: *const u8,
    /// Where values go, if anywhere, and names.
    values: *mut u8,
    keys: *mut u8,
}

struct Largest<T, K>(PhantomData<(T, K)>);
impl<T: Copy + PartialOrd + 'static, K: Key> Body for Largest<T, K> {
    type Args = Args;
    /// Contract: the block's elements are valid for reads of `T`, and for writes of `T` (if `values`
    /// is not null) and `K`; if `end` is not null, what is between elements and up to it is
    /// initialized, too.
    #[inline(always)]
    unsafe fn run(args: Args) {
        // SAFETY: the contract.
        unsafe {
            match args.block.strides[2] {
                1 => block::<T, K, 1>(&args),
                2 => block::<T, K, 2>(&args),
                _ => block::<T, K, 0>(&args),
            }
        }
    }
}

/// # Safety
/// The contract of [`Largest`]; `D` is 0 or the distance of two windows of a row.
#[inline(always)]
unsafe fn block<T: Copy + PartialOrd, K: Key, const D: isize>(args: &Args) {
    let Args { block: b, x, end, values, keys } = *args;
    let (x, end) = (x.cast::<T>(), end.cast::<T>());
    let (values, keys) = (values.cast::<T>(), keys.cast::<K>());
    // A piece that begins here ends before the end of the array?
    let reach = b.reach() + (LANES as isize - 1) * b.strides[2];
    for i2 in 0..b.dims[0] as isize {
        for i1 in 0..b.dims[1] as isize {
            let row = |strides: [isize; 3]| i2 * strides[0] + i1 * strides[1];
            let from = x.wrapping_offset(b.start + row(b.strides));
            let [v, k] = [0, 1].map(|s| b.at[s] + row(b.at_strides[s]));
            let first = b.index as isize + row(b.index_strides);
            let [by, vs, ks] = [b.strides[2], b.at_strides[0][2], b.at_strides[1][2]];
            let room = |i: usize| by >= 0 && from.wrapping_offset(i as isize * by + reach) < end;
            pieces!(b.dims[2], room, |i, n, WHOLE| {
                let at = i as isize;
                // SAFETY: the contract; a whole piece is in the row or ends before the end.
                unsafe {
                    let (value, grown) =
                        largest::<T, K, D, WHOLE>(from.wrapping_offset(at * by), n, &b);
                    if !values.is_null() {
                        put(values.offset(v + at * vs), vs, n, value);
                    }
                    let mut first = first.wrapping_add(at.wrapping_mul(b.index_strides[2]));
                    let mut names = [K::name(0, 0); LANES];
                    for l in 0..LANES {
                        names[l] = K::name(grown[l], first);
                        first = first.wrapping_add(b.index_strides[2]);
                    }
                    put(keys.offset(k + at * ks), ks, n, names);
                }
            });
        }
    }
}

/// The largest elements of `n` windows of a row that begin at `x`, and how much their names grew.
///
/// # Safety
/// Their elements are valid for reads; if `WHOLE`, those of `LANES` windows are.
#[inline(always)]
unsafe fn largest<T: Copy + PartialOrd, K: Key, const D: isize, const WHOLE: bool>(
    x: *const T,
    n: usize,
    b: &Block,
) -> ([T; LANES], [u32; LANES]) {
    let (steps, by, mut best) = (K::steps(b), b.strides[2], [0u32; LANES]);
    // SAFETY: the caller's promise.
    let mut value = unsafe { take::<T, D, WHOLE>(x, by, n) };
    // From element to element by addition: products with checks would take longer than comparing.
    let (mut x2, mut grown2) = (x, 0u32);
    for _ in 0..b.counts[0] {
        let (mut x1, mut grown1) = (x2, grown2);
        for _ in 0..b.counts[1] {
            let (mut x0, mut grown0) = (x1, grown1);
            for _ in 0..b.counts[2] {
                // SAFETY: the caller's promise: an element of each window.
                let candidate = unsafe { take::<T, D, WHOLE>(x0, by, n) };
                for l in 0..LANES {
                    let nan = candidate[l].partial_cmp(&candidate[l]).is_none();
                    let larger = (candidate[l] > value[l]) | nan;
                    value[l] = if larger { candidate[l] } else { value[l] };
                    let mask = u32::from(larger).wrapping_neg();
                    best[l] = (grown0 & mask) | (best[l] & !mask);
                }
                x0 = x0.wrapping_offset(b.steps[2]);
                grown0 = grown0.wrapping_add(steps[2] as u32);
            }
            x1 = x1.wrapping_offset(b.steps[1]);
            grown1 = grown1.wrapping_add(steps[1] as u32);
        }
        x2 = x2.wrapping_offset(b.steps[0]);
        grown2 = grown2.wrapping_add(steps[0] as u32);
    }
    (value, best)
}

/// A checked maximum over windows.
#[derive(Debug)]
pub(crate) struct MaxPoolPlan {
    x: Slice,
    values: Option<Slice>,
    keys: Slice,
    blocks: Blocks,
    largest: Entry<Args>,
}

impl MaxPoolPlan {
    /// The places of the largest elements.
    pub(crate) fn places(windows: &[Vec<Window>], x: &Slice, y: &Slice) -> Result<Self, Fault> {
        check::dtype(y, DType::I64)?;
        let blocks = Blocks::new(windows, x, [y, y])?;
        let lead = x.dims.len() - windows.len();
        if x.dims[lead..].iter().product::<usize>() > u32::MAX as usize {
            return Err(Fault::Windows { dims: x.dims.to_vec() });
        }
        let largest = for_any!(x.dtype, T => pick::<Largest<T, i64>>());
        Ok(MaxPoolPlan { x: x.clone(), values: None, keys: y.clone(), blocks, largest })
    }

    /// The largest elements, and their numbers.
    pub(crate) fn values(
        windows: &[Vec<Window>],
        x: &Slice,
        y: &Slice,
        numbers: &Slice,
    ) -> Result<Self, Fault> {
        check::dtype(y, x.dtype)?;
        check::dtype(numbers, DType::U8)?;
        let blocks = Blocks::new(windows, x, [y, numbers])?;
        if blocks.most > 1 << u8::BITS {
            return Err(Fault::Windows { dims: x.dims.to_vec() });
        }
        let largest = for_any!(x.dtype, T => pick::<Largest<T, u8>>());
        let (x, values, keys) = (x.clone(), Some(y.clone()), numbers.clone());
        Ok(MaxPoolPlan { x, values, keys, blocks, largest })
    }
}

impl Step for MaxPoolPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        if self.keys.dims.contains(&0) {
            return Ok(());
        }
        let grain = TASK / self.blocks.most.saturating_mul(self.blocks.row_len());
        pool.ranges(self.blocks.rows(), grain, |rows| {
            // SAFETY: the slices were checked for this memory.
            let [x, keys] = [&self.x, &self.keys].map(|s| unsafe { mem.ptr(s) });
            let values = self.values.as_ref();
            // SAFETY: as above.
            let values = values.map_or(std::ptr::null_mut(), |s| unsafe { mem.ptr(s) });
            let end = for_any!(self.x.dtype, T => end_of(&self.x, x.cast::<T>()).cast::<u8>());
            self.blocks.each(rows, false, |&block| {
                // SAFETY: the windows lie within the array, whose type chose the function; tasks
                // write different rows.
                unsafe { (self.largest)(Args { block, x, end, values, keys }) };
            });
        });
        Ok(())
    }
}
