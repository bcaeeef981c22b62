//! The adjoint of the largest elements of windows: what came for each is added where it was.

use std::marker::PhantomData;

use pleach_tensor::DType;

use crate::bind::Mem;
use crate::check;
use crate::copy::copy_space;
use crate::lanes::{LANES, end_of, pieces, put, take};
use crate::num::{Num, for_num};
use crate::program::{Failure, Step};
use crate::space::Space;
use crate::vector::{Body, Entry, pick};
use crate::window_blocks::{Block, Blocks};
use crate::{Fault, Pool, Slice, Strides, Window};

/// Elements written by a task.
const TASK: usize = 16_384;
/// Windows side by side at a time.
const SIDE: usize = 64;
/// Numbers that a window's elements may have.
const NUMBERS: usize = 1 << u8::BITS;

/// Windows that are alike, what came for them, and the numbers of the elements that get it.
#[derive(Clone, Copy, Debug)]
struct Args {
    block: Block,
    dy: *const u8,
    numbers: *const u8,
    /// Where these end if all up to there may be read.
    ends: [*const u8; 2],
    y: *mut u8,
}

/// Every element of every window is written: with what came, or 0.
struct Spread<T>(PhantomData<T>);
impl<T: Num> Body for Spread<T> {
    type Args = Args;
    /// Contract: the block's elements are valid for reads of `T` and `u8` and for writes of `T`; what
    /// is between elements read and up to the end of their array, if that is not null, is
    /// initialized, too.
    #[inline(always)]
    unsafe fn run(args: Args) {
        let b = &args.block;
        let near = b.at_strides[0][2] == 1 && b.at_strides[1][2] == 1;
        let pairs = (b.strides[2], b.counts[2], b.steps[2]) == (2, 2, 1);
        // SAFETY: the contract.
        unsafe {
            match (near, pairs) {
                (true, _) if b.strides[2] == 1 => side_by_side::<T>(&args),
                (true, true) => spread::<T, 1, true>(&args),
                (true, false) => spread::<T, 1, false>(&args),
                _ => spread::<T, 0, false>(&args),
            }
        }
    }
}

/// What element `k` of each window gets.
#[inline(always)]
fn got<T: Num>(came: &[T; LANES], number: &[u8; LANES], k: usize) -> [T; LANES] {
    let mut got = [T::ZERO; LANES];
    for l in 0..LANES {
        got[l] = if u32::from(number[l]) == k as u32 { came[l] } else { T::ZERO };
    }
    got
}

/// # Safety
/// The contract of [`Spread`]; windows of a row, what came for them and their numbers lie side by side.
#[inline(always)]
unsafe fn side_by_side<T: Num>(args: &Args) {
    let Args { block: b, dy, numbers, y, .. } = *args;
    let (dy, y, steps) = (dy.cast::<T>(), y.cast::<T>(), b.number_steps());
    for (i2, i1) in (0..b.dims[0]).flat_map(|i2| (0..b.dims[1]).map(move |i1| (i2, i1))) {
        let row = |strides: [isize; 3]| i2 as isize * strides[0] + i1 as isize * strides[1];
        let y = y.wrapping_offset(b.start + row(b.strides));
        let dy = dy.wrapping_offset(b.at[0] + row(b.at_strides[0]));
        let numbers = numbers.wrapping_offset(b.at[1] + row(b.at_strides[1]));
        let mut at = 0;
        while at < b.dims[2] {
            let n = (b.dims[2] - at).min(SIDE);
            let (mut came, mut number) = ([T::ZERO; SIDE], [0; SIDE]);
            for l in 0..n {
                // SAFETY: the contract. From zeros, as sums are: -0 becomes 0.
                unsafe {
                    came[l] = T::ZERO.add(*dy.add(at + l));
                    number[l] = *numbers.add(at + l);
                }
            }
            for j2 in 0..b.counts[0] {
                for j1 in 0..b.counts[1] {
                    for j0 in 0..b.counts[2] {
                        let j = [j2, j1, j0];
                        let place: isize = (0..3).map(|i| j[i] as isize * b.steps[i]).sum();
                        let k = (0..3).map(|i| j[i] * steps[i]).sum::<usize>() as u8;
                        let y = y.wrapping_offset(place + at as isize);
                        for l in 0..n {
                            let got = if number[l] == k { came[l] } else { T::ZERO };
                            // SAFETY: the contract.
                            unsafe { y.add(l).write(got) };
                        }
                    }
                }
            }
            at += n;
        }
    }
}

/// # Safety
/// The contract of [`Spread`]; `D` is 0 or the distance of what came for two windows of a row.
/// `PAIRS`: the windows' rows are pairs side by side.
#[inline(always)]
unsafe fn spread<T: Num, const D: isize, const PAIRS: bool>(args: &Args) {
    let Args { block: b, dy, numbers, ends, y } = *args;
    let (dy, end, y) = (dy.cast::<T>(), ends[0].cast::<T>(), y.cast::<T>());
    let steps = b.number_steps();
    for i2 in 0..b.dims[0] as isize {
        for i1 in 0..b.dims[1] as isize {
            let row = |strides: [isize; 3]| i2 * strides[0] + i1 * strides[1];
            let y = y.wrapping_offset(b.start + row(b.strides));
            let dy = dy.wrapping_offset(b.at[0] + row(b.at_strides[0]));
            let numbers = numbers.wrapping_offset(b.at[1] + row(b.at_strides[1]));
            let [by, d, p] = [b.strides[2], b.at_strides[0][2], b.at_strides[1][2]];
            let room = |i: usize| {
                let last = (i + LANES) as isize - 1;
                dy.wrapping_offset(last * d) < end && numbers.wrapping_offset(last * p) < ends[1]
            };
            pieces!(b.dims[2], room, |i, n, WHOLE| {
                let at = i as isize;
                // SAFETY: the contract; a whole piece is in the row or ends before the end.
                let (mut came, number) = unsafe {
                    let came = take::<T, D, WHOLE>(dy.wrapping_offset(at * d), d, n);
                    (came, take::<u8, D, WHOLE>(numbers.wrapping_offset(at * p), p, n))
                };
                for came in &mut came {
                    // From zeros, as sums are: -0 becomes 0.
                    *came = T::ZERO.add(*came);
                }
                for j2 in 0..b.counts[0] {
                    for j1 in 0..b.counts[1] {
                        let line = j2 as isize * b.steps[0] + j1 as isize * b.steps[1];
                        let y = y.wrapping_offset(at * by + line);
                        let k = j2 * steps[0] + j1 * steps[1];
                        if PAIRS {
                            let (one, two) = (got(&came, &number, k), got(&came, &number, k + 1));
                            let mut pairs = [T::ZERO; 2 * LANES];
                            for l in 0..LANES {
                                (pairs[2 * l], pairs[2 * l + 1]) = (one[l], two[l]);
                            }
                            // SAFETY: the contract.
                            unsafe { put(y, 1, 2 * n, pairs) };
                            continue;
                        }
                        for j0 in 0..b.counts[2] {
                            let one = got(&came, &number, k + j0);
                            let y = y.wrapping_offset(j0 as isize * b.steps[2]);
                            // SAFETY: the contract.
                            unsafe { put(y, by, n, one) };
                        }
                    }
                }
            });
        }
    }
}

/// What came for windows is added to zeros, window by window.
///
/// # Safety
/// The block's elements are valid for reads of `T` and `u8`, and for reads and writes of `T`.
unsafe fn add<T: Num>(args: &Args) {
    let Args { block: b, dy, numbers, y, .. } = *args;
    let (dy, y) = (dy.cast::<T>(), y.cast::<T>());
    // Where the elements of a window are.
    let (mut places, mut count) = ([0isize; NUMBERS], 0);
    for j2 in 0..b.counts[0] as isize {
        for j1 in 0..b.counts[1] as isize {
            for j0 in 0..b.counts[2] as isize {
                places[count] = j2 * b.steps[0] + j1 * b.steps[1] + j0 * b.steps[2];
                count += 1;
            }
        }
    }
    debug_assert!(b.dims[..2] == [1, 1], "a row at a time");
    for i in 0..b.dims[2] as isize {
        // SAFETY: the caller's promise; only numbers of elements of the window are followed.
        unsafe {
            let number = usize::from(*numbers.offset(b.at[1] + i * b.at_strides[1][2]));
            if number < count {
                let y = y.offset(b.start + i * b.strides[2] + places[number]);
                *y = (*y).add(*dy.offset(b.at[0] + i * b.at_strides[0][2]));
            }
        }
    }
}

/// A checked adjoint of the largest elements of windows.
#[derive(Debug)]
pub(crate) struct MaxPoolAddPlan {
    dy: Slice,
    numbers: Slice,
    y: Slice,
    blocks: Blocks,
    spread: Entry<Args>,
    /// The output, and one zero repeated over it.
    zeros: Space,
}

impl MaxPoolAddPlan {
    pub(crate) fn new(
        windows: &[Vec<Window>],
        dy: &Slice,
        numbers: &Slice,
        y: &Slice,
    ) -> Result<Self, Fault> {
        check::dtype(dy, y.dtype)?;
        check::dtype(numbers, DType::U8)?;
        let unsupported = Err(Fault::Unsupported { dtype: y.dtype });
        let spread = for_num!(y.dtype, T => pick::<Spread<T>>(), return unsupported);
        let blocks = Blocks::new(windows, y, [dy, numbers])?;
        if blocks.most > NUMBERS {
            return Err(Fault::Windows { dims: y.dims.to_vec() });
        }
        let zeros = Space::new(&y.dims, &[&y.strides, &Strides::from_elem(0, y.dims.len())]);
        let (dy, numbers, y) = (dy.clone(), numbers.clone(), y.clone());
        Ok(MaxPoolAddPlan { dy, numbers, y, blocks, spread, zeros })
    }
}

impl Step for MaxPoolAddPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        // SAFETY: the slices were checked for this memory.
        let memory = || unsafe { [mem.ptr(&self.dy), mem.ptr(&self.numbers), mem.ptr(&self.y)] };
        if !self.blocks.covering {
            let zero = 0u64;
            // SAFETY: as above. The source is one element, repeated; all bytes of a zero are 0.
            unsafe {
                let size = self.y.dtype.size();
                copy_space(memory()[2], (&raw const zero).cast(), &self.zeros, size);
            }
        }
        if self.dy.dims.contains(&0) {
            return Ok(());
        }
        // Windows that share elements are added in order: parts of the array are apart.
        let rows = if self.blocks.disjoint { 1 } else { self.blocks.rows_per_part };
        let work = self.blocks.most.saturating_mul(self.blocks.row_len()).saturating_mul(rows);
        pool.ranges(self.blocks.rows() / rows, TASK / work, |units| {
            let [dy, numbers, y] = memory();
            for_num!(
                self.y.dtype,
                T => {
                    let end = end_of(&self.dy, dy.cast::<T>().cast_const()).cast::<u8>();
                    let ends = [end, end_of(&self.numbers, numbers.cast_const())];
                    let rows = units.start * rows..units.end * rows;
                    self.blocks.each(rows, !self.blocks.disjoint, |&block| {
                        let args = Args { block, dy, numbers, ends, y };
                        // SAFETY: the windows lie within the output, whose type chose the
                        // function; tasks write different elements.
                        unsafe {
                            if self.blocks.disjoint { (self.spread)(args) } else { add::<T>(&args) }
                        }
                    });
                },
                unreachable!("checked")
            );
        });
        Ok(())
    }
}
