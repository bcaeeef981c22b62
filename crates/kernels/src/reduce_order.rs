//! The order in which a reduction joins elements: fixed by shape, vectorizable, accurate.
//!
//! Along the innermost axis elements go in blocks of [`BLOCK`]; a block joins [`LANES`] interleaved
//! sequences, then those pairwise; blocks are joined pairwise, in a tree. Across rows, 64 rows are
//! joined one after the other, then 64 such sums, then those. So the error of a sum of `n` numbers
//! grows like `log n`, or like `n/64²`, not like `n`.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use pleach_tensor::DType;

use crate::ReduceOp;
use crate::gemm::{Lanes, for_lanes};
use crate::num::{Num, for_num};
use crate::vector::{Body, Entry, Isa, compiled, pick};

/// Elements of a block.
pub(crate) const BLOCK: usize = 1024;
/// Interleaved sequences of a block.
pub(crate) const LANES: usize = 32;
/// Lines whose sequences are joined together.
pub(crate) const GROUP: usize = 16;
/// Sequences of a line that are left when lines go on side by side.
const SIDE: usize = 8;
/// Columns that are reduced side by side.
pub(crate) const COLUMNS: usize = 256;
/// Rows, or sums of rows, that are joined one after the other.
pub(crate) const ROWS: usize = 64;

/// What joins two elements.
pub(crate) trait Join<T>: 'static {
    const START: T;
    /// Does it choose between values? Unrolled choices become no vectors.
    const CHOOSES: bool;
    fn join(a: T, b: T) -> T;
}

macro_rules! joins {
    ($($name:ident $start:ident $f:ident $chooses:literal;)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $name;
        impl<T: Num> Join<T> for $name {
            const START: T = T::$start;
            const CHOOSES: bool = $chooses;
            #[inline(always)]
            fn join(a: T, b: T) -> T { a.$f(b) }
        }
    )*};
}
joins! {
    Sum ZERO add false;
    Max LOWEST max true;
    Min HIGHEST min true;
    Prod ONE mul false;
}

/// `n ≤ BLOCK` packed elements, reduced into `out`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockArgs {
    pub(crate) x: *const u8,
    pub(crate) n: usize,
    pub(crate) out: *mut u8,
}

/// `lines` lines of `n ≤ BLOCK` packed elements, at distance `stride` (elements), each reduced into an
/// element of `out`; these are `out_stride` apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinesArgs {
    pub(crate) x: *const u8,
    pub(crate) stride: isize,
    pub(crate) n: usize,
    pub(crate) lines: usize,
    pub(crate) out: *mut u8,
    pub(crate) out_stride: isize,
    /// [`LANES`].
    pub(crate) lanes: usize,
}

/// `rows` rows of `n` packed elements, at distance `stride` (elements), joined into `acc`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowsArgs {
    pub(crate) acc: *mut u8,
    pub(crate) x: *const u8,
    pub(crate) n: usize,
    pub(crate) rows: usize,
    pub(crate) stride: isize,
}

struct Block<T, J>(PhantomData<(T, J)>);
impl<T: Num, J: Join<T>> Body for Block<T, J> {
    type Args = BlockArgs;
    /// Contract: `x` is valid for reads of `n` elements, `out` for a write of one.
    #[inline(always)]
    unsafe fn run(args: BlockArgs) {
        // SAFETY: the contract.
        let x = unsafe { std::slice::from_raw_parts(args.x.cast::<T>(), args.n) };
        // SAFETY: the contract.
        unsafe { args.out.cast::<T>().write(block::<T, J>(x)) };
    }
}

/// The elements of a block, joined.
#[inline(always)]
fn block<T: Num, J: Join<T>>(x: &[T]) -> T {
    if x.len() < LANES {
        return x.iter().fold(J::START, |sum, &x| J::join(sum, x));
    }
    let mut acc = lanes::<T, J>(x);
    halve::<T, J>(&mut acc, LANES, 1);
    acc[0]
}

/// The interleaved sequences of a block.
#[inline(always)]
fn lanes<T: Num, J: Join<T>>(x: &[T]) -> [T; LANES] {
    let mut acc = [J::START; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (acc, &x) in acc.iter_mut().zip(chunk) {
            *acc = J::join(*acc, x);
        }
    }
    for (acc, &x) in acc.iter_mut().zip(rest) {
        *acc = J::join(*acc, x);
    }
    acc
}

struct Lines<T, J>(PhantomData<(T, J)>);
impl<T: Num, J: Join<T>> Body for Lines<T, J> {
    type Args = LinesArgs;
    /// Contract: the lines are valid for reads, the elements of `out` for writes.
    #[inline(always)]
    unsafe fn run(args: LinesArgs) {
        let line = |i: usize| {
            let x = args.x.cast::<T>().wrapping_offset(i as isize * args.stride);
            // SAFETY: the contract: a line.
            unsafe { std::slice::from_raw_parts(x, args.n) }
        };
        let put = |i: usize, value: T| {
            // SAFETY: the contract.
            unsafe { args.out.cast::<T>().offset(i as isize * args.out_stride).write(value) };
        };
        let groups = args.lines / GROUP;
        for group in 0..groups {
            let values = if args.n < LANES {
                let mut acc = [J::START; GROUP];
                let places = std::array::from_fn(|l| line(group * GROUP + l).as_ptr());
                for i in 0..args.n {
                    // SAFETY: the contract: element `i` of a line.
                    unsafe { join_column::<T, J, GROUP>(&mut acc, &places, i) };
                }
                acc
            } else {
                side_by_side::<T, J>(|l| line(group * GROUP + l), args.lanes)
            };
            for (l, value) in values.into_iter().enumerate() {
                put(group * GROUP + l, value);
            }
        }
        (groups * GROUP..args.lines).for_each(|i| put(i, block::<T, J>(line(i))));
    }
}

/// Lines reduced as [`block`] does it, together from where [`SIDE`] sequences are left of each. `width`
/// is `LANES`, but the compiler does not know, and so makes vectors of choices.
#[inline(always)]
fn side_by_side<'a, T: Num, J: Join<T>>(
    line: impl Fn(usize) -> &'a [T],
    width: usize,
) -> [T; GROUP] {
    let width = if J::CHOOSES { width } else { LANES };
    let mut side = [[J::START; GROUP]; SIDE];
    for l in 0..GROUP {
        let mut acc = [J::START; LANES];
        if J::CHOOSES {
            line(l).chunks(width).for_each(|chunk| join_all::<T, J>(&mut acc, chunk));
        } else {
            acc = lanes::<T, J>(line(l));
        }
        halve::<T, J>(&mut acc, width, SIDE);
        for (side, &x) in side.iter_mut().zip(&acc) {
            side[l] = x;
        }
    }
    halve::<T, J>(side.as_flattened_mut(), width * SIDE * GROUP / LANES, GROUP);
    side[0]
}

/// Joins the upper half of `width` elements to the lower, and so on until `left` are left.
#[inline(always)]
fn halve<T: Num, J: Join<T>>(acc: &mut [T], width: usize, left: usize) {
    let mut width = width / 2;
    while width >= left {
        let (low, high) = acc.split_at_mut(width);
        join_all::<T, J>(low, &high[..width]);
        width /= 2;
    }
}

#[inline(always)]
fn join_all<T: Num, J: Join<T>>(acc: &mut [T], x: &[T]) {
    for (acc, &x) in acc.iter_mut().zip(x) {
        *acc = J::join(*acc, x);
    }
}

/// Joins element `i` of lines.
///
/// # Safety
/// The lines have that element.
#[inline(always)]
unsafe fn join_column<T: Num, J: Join<T>, const N: usize>(
    acc: &mut [T; N],
    lines: &[*const T; N],
    i: usize,
) {
    // Together first: a choice between elements that are far apart is no vector.
    // SAFETY: the caller's promise.
    let x: [T; N] = std::array::from_fn(|l| unsafe { *lines[l].add(i) });
    join_all::<T, J>(acc, &x);
}

/// The same for lines of less than [`LANES`] floats: as many at once as the side of a square that
/// vectors `V` turn.
struct Short<V, J>(PhantomData<(V, J)>);
impl<V: Lanes, J: Join<V::T>> Body for Short<V, J> {
    type Args = LinesArgs;
    /// Contract: that of [`Lines`], and `n < LANES`.
    #[inline(always)]
    unsafe fn run(args: LinesArgs) {
        // SAFETY: the caller keeps the contract.
        unsafe {
            match V::SQUARE {
                8 => Self::squares::<8>(args),
                _ => Self::squares::<4>(args),
            }
        }
    }
}

impl<V: Lanes, J: Join<V::T>> Short<V, J> {
    /// # Safety
    /// The contract of the type; `SIDE` is `V::SQUARE`.
    #[inline(always)]
    unsafe fn squares<const SIDE: usize>(args: LinesArgs) {
        let x = args.x.cast::<V::T>();
        let line = |i: usize| x.wrapping_offset(i as isize * args.stride);
        let put = |i: usize, value: V::T| {
            // SAFETY: the contract.
            unsafe { args.out.cast::<V::T>().offset(i as isize * args.out_stride).write(value) };
        };
        let places: [isize; 8] = std::array::from_fn(|l| l as isize * args.stride);
        let whole = args.n / SIDE * SIDE;
        let mut square = MaybeUninit::<[[V::T; SIDE]; SIDE]>::uninit();
        let groups = args.lines / SIDE;
        for group in 0..groups {
            let mut acc = [J::START; SIDE];
            let lines: [*const V::T; SIDE] = std::array::from_fn(|l| line(group * SIDE + l));
            for i in (0..whole).step_by(SIDE) {
                let to = square.as_mut_ptr();
                // SAFETY: elements of the lines; the square is written as a whole.
                let columns = unsafe {
                    V::transpose(lines[0].add(i), &places[..SIDE], to.cast(), SIDE as isize);
                    square.assume_init_ref()
                };
                columns.iter().for_each(|column| join_all::<V::T, J>(&mut acc, column));
            }
            for i in whole..args.n {
                // SAFETY: the lines have that element.
                unsafe { join_column::<V::T, J, SIDE>(&mut acc, &lines, i) };
            }
            acc.into_iter().enumerate().for_each(|(l, value)| put(group * SIDE + l, value));
        }
        for i in groups * SIDE..args.lines {
            // SAFETY: a line.
            let line = unsafe { std::slice::from_raw_parts(line(i), args.n) };
            put(i, block::<V::T, J>(line));
        }
    }
}

struct Rows<T, J>(PhantomData<(T, J)>);
impl<T: Num, J: Join<T>> Body for Rows<T, J> {
    type Args = RowsArgs;
    /// Contract: the rows are valid for reads, `acc` for reads and writes of `n` elements, and apart
    /// from them.
    #[inline(always)]
    unsafe fn run(args: RowsArgs) {
        // SAFETY: the contract.
        let acc = unsafe { std::slice::from_raw_parts_mut(args.acc.cast::<T>(), args.n) };
        let row = |r: usize| {
            let x = args.x.cast::<T>().wrapping_offset(r as isize * args.stride);
            // SAFETY: the contract: a row.
            unsafe { std::slice::from_raw_parts(x, args.n) }
        };
        // Four at once, one after the other: what is joined is read and written once for all.
        let fours = args.rows / 4;
        for r in 0..fours {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| row(4 * r + i));
            for ((((acc, &a), &b), &c), &d) in acc.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *acc = J::join(J::join(J::join(J::join(*acc, a), b), c), d);
            }
        }
        for r in 4 * fours..args.rows {
            join_all::<T, J>(acc, row(r));
        }
    }
}

/// The same for elements that nothing is in yet.
struct Fresh<T, J>(PhantomData<(T, J)>);
impl<T: Num, J: Join<T>> Body for Fresh<T, J> {
    type Args = RowsArgs;
    /// Contract: that of [`Rows`], but `acc` is valid for writes.
    #[inline(always)]
    unsafe fn run(args: RowsArgs) {
        let acc = args.acc.cast::<T>();
        for i in 0..args.n {
            // SAFETY: the contract.
            unsafe { acc.add(i).write(J::START) };
        }
        // SAFETY: the contract; the elements are written.
        unsafe { Rows::<T, J>::run(args) };
    }
}

/// The compiled inner loops of a reduction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loops {
    pub(crate) block: Entry<BlockArgs>,
    pub(crate) lines: Entry<LinesArgs>,
    /// For lines of less than [`LANES`] elements.
    pub(crate) short: Entry<LinesArgs>,
    pub(crate) rows: Entry<RowsArgs>,
    /// For elements that nothing is in yet.
    pub(crate) fresh: Entry<RowsArgs>,
}

/// The loops for an element type; `None` for bool.
pub(crate) fn loops(op: ReduceOp, dtype: DType) -> Option<Loops> {
    let loops = for_num!(dtype, T => match op {
        ReduceOp::Sum => of::<T, Sum>(),
        ReduceOp::Max => of::<T, Max>(),
        ReduceOp::Min => of::<T, Min>(),
        ReduceOp::Prod => of::<T, Prod>(),
    }, return None);
    let short = || {
        let isa = Isa::used();
        for_lanes!(dtype, isa, V => match op {
            ReduceOp::Sum => compiled::<Short<V, Sum>>(isa),
            ReduceOp::Max => compiled::<Short<V, Max>>(isa),
            ReduceOp::Min => compiled::<Short<V, Min>>(isa),
            ReduceOp::Prod => compiled::<Short<V, Prod>>(isa),
        })
    };
    Some(if dtype.is_wide() { Loops { short: short(), ..loops } } else { loops })
}

fn of<T: Num, J: Join<T>>() -> Loops {
    let (block, lines) = (pick::<Block<T, J>>(), pick::<Lines<T, J>>());
    let (rows, fresh) = (pick::<Rows<T, J>>(), pick::<Fresh<T, J>>());
    Loops { block, lines, short: lines, rows, fresh }
}

/// Values joined pairwise, as they come: value `i` is joined like the leaf `i` of a binary tree.
#[derive(Debug)]
pub(crate) struct Tree<T> {
    values: [T; 64],
    len: usize,
    count: u64,
}

impl<T: Num> Tree<T> {
    pub(crate) fn new() -> Tree<T> {
        Tree { values: [T::ZERO; 64], len: 0, count: 0 }
    }

    pub(crate) fn push<J: Join<T>>(&mut self, value: T) {
        let mut value = value;
        for _ in 0..self.count.trailing_ones() {
            self.len -= 1;
            value = J::join(self.values[self.len], value);
        }
        self.values[self.len] = value;
        (self.len, self.count) = (self.len + 1, self.count + 1);
    }

    pub(crate) fn finish<J: Join<T>>(&self) -> T {
        let values = self.values[..self.len].iter().rev().copied();
        values.reduce(|right, left| J::join(left, right)).unwrap_or(J::START)
    }
}
