//! The order in which a reduction joins elements: fixed by shape, vectorizable, accurate.
//!
//! Along the innermost axis elements go in blocks of [`BLOCK`]; a block joins [`LANES`] interleaved
//! sequences, then those pairwise; blocks are joined pairwise, in a tree. Across rows, 64 rows are
//! joined one after the other, then 64 such sums, then those. So the error of a sum of `n` numbers
//! grows like `log n`, or like `n/64²`, not like `n`.

use std::marker::PhantomData;

use pleach_tensor::DType;

use crate::ReduceOp;
use crate::num::{Num, for_num};
use crate::vector::{Body, Entry, pick};

/// Elements of a block.
pub(crate) const BLOCK: usize = 1024;
/// Interleaved sequences of a block.
const LANES: usize = 32;
/// Columns that are reduced side by side.
pub(crate) const COLUMNS: usize = 256;
/// Rows, or sums of rows, that are joined one after the other.
pub(crate) const ROWS: usize = 64;

/// What joins two elements.
pub(crate) trait Join<T>: 'static {
    const START: T;
    fn join(a: T, b: T) -> T;
}

macro_rules! joins {
    ($($name:ident $start:ident $f:ident;)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $name;
        impl<T: Num> Join<T> for $name {
            const START: T = T::$start;
            #[inline(always)]
            fn join(a: T, b: T) -> T { a.$f(b) }
        }
    )*};
}
joins! {
    Sum ZERO add;
    Max LOWEST max;
    Min HIGHEST min;
    Prod ONE mul;
}

/// `n ≤ BLOCK` packed elements, reduced into `out`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockArgs {
    pub(crate) x: *const u8,
    pub(crate) n: usize,
    pub(crate) out: *mut u8,
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
        let value = if x.len() < LANES {
            x.iter().fold(J::START, |sum, &x| J::join(sum, x))
        } else {
            lanes::<T, J>(x)
        };
        // SAFETY: the contract.
        unsafe { args.out.cast::<T>().write(value) };
    }
}

#[inline(always)]
fn lanes<T: Num, J: Join<T>>(x: &[T]) -> T {
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
    let mut width = LANES / 2;
    while width > 0 {
        let (low, high) = acc.split_at_mut(width);
        for (a, &b) in low.iter_mut().zip(&*high) {
            *a = J::join(*a, b);
        }
        width /= 2;
    }
    acc[0]
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
        for r in 0..args.rows as isize {
            // SAFETY: the contract.
            let x = unsafe {
                std::slice::from_raw_parts(args.x.cast::<T>().offset(r * args.stride), args.n)
            };
            join_row::<T, J>(acc, x);
        }
    }
}

#[inline(always)]
fn join_row<T: Num, J: Join<T>>(acc: &mut [T], x: &[T]) {
    for (acc, &x) in acc.iter_mut().zip(x) {
        *acc = J::join(*acc, x);
    }
}

/// The compiled inner loops of a reduction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loops {
    pub(crate) block: Entry<BlockArgs>,
    pub(crate) rows: Entry<RowsArgs>,
}

/// The loops for an element type; `None` for bool.
pub(crate) fn loops(op: ReduceOp, dtype: DType) -> Option<Loops> {
    for_num!(dtype, T => Some(match op {
        ReduceOp::Sum => of::<T, Sum>(),
        ReduceOp::Max => of::<T, Max>(),
        ReduceOp::Min => of::<T, Min>(),
        ReduceOp::Prod => of::<T, Prod>(),
    }), None)
}

fn of<T: Num, J: Join<T>>() -> Loops {
    Loops { block: pick::<Block<T, J>>(), rows: pick::<Rows<T, J>>() }
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
