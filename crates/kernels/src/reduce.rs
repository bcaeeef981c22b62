//! Reductions over axes.
//!
//! The order of joining depends on the logical shape alone (see
//! [`reduce_order`](crate::reduce_order)), not on strides: a reduction of a transposed view has the
//! bits of a reduction of its copy.

use std::mem::MaybeUninit;

use crate::bind::{Mem, Start};
use crate::check;
use crate::copy::{load, store};
use crate::num::{Num, for_num};
use crate::program::{Failure, Step};
use crate::reduce_order::{
    BLOCK, BlockArgs, COLUMNS, Join, LANES, LinesArgs, Loops, Max, Min, Prod, ROWS, RowsArgs, Sum,
    Tree, loops,
};
use crate::reduce_small::{Call, SmallReduce};
use crate::space::{Place, Space};
use crate::{Axes, Fault, Pool, ReduceOp, Slice, Strides};

/// So many columns have sums of their own size: most of the time would go to those that are not there.
const FEW: usize = 32;
/// Elements read by a task.
const TASK: usize = 16_384;

/// A checked reduction.
#[derive(Debug)]
pub(crate) struct ReducePlan {
    op: ReduceOp,
    x: Slice,
    y: Slice,
    /// The axes that stay, with strides of x and y.
    kept: Space,
    /// The axes that go, with strides of x.
    gone: Space,
    /// Is the innermost axis (of a length other than 1) among those that go?
    inner: bool,
    loops: Loops,
}

impl ReducePlan {
    pub(crate) fn new(
        op: ReduceOp,
        axes: &Axes,
        x: &Slice,
        y: &Slice,
    ) -> Result<ReducePlan, Fault> {
        check::axes(x, axes)?;
        check::dtype(y, x.dtype)?;
        let loops = loops(op, x.dtype).ok_or(Fault::Unsupported { dtype: x.dtype })?;
        let pick = |gone: bool| -> (Axes, Strides) {
            (0..x.dims.len())
                .filter(|i| axes.contains(i) == gone)
                .map(|i| (x.dims[i], x.strides[i]))
                .unzip()
        };
        let ((kept, kept_strides), (gone, gone_strides)) = (pick(false), pick(true));
        check::shape(y, &kept)?;
        let innermost = (0..x.dims.len()).rev().find(|&i| x.dims[i] != 1);
        Ok(ReducePlan {
            op,
            kept: Space::new(&kept, &[&kept_strides, &y.strides]),
            gone: Space::new(&gone, &[&gone_strides]),
            inner: innermost.is_none_or(|i| axes.contains(&i)),
            x: x.clone(),
            y: y.clone(),
            loops,
        })
    }

    /// As a step: one call, if it is small.
    pub(crate) fn step(self) -> Box<dyn Step> {
        let (n, len) = (self.kept.numel(), self.gone.numel());
        let small = n > 0 && len > 0 && self.kept.dims.len() == 1 && n.saturating_mul(len) <= TASK;
        let strides = [0, 1].map(|i| self.kept.strides[i][0]);
        let call = if !small {
            None
        } else if self.inner && len <= BLOCK && self.packed() {
            let f = if len < LANES { self.loops.short } else { self.loops.lines };
            let [stride, out_stride] = strides;
            Some(Call::Lines { f, n: len, lines: n, stride, out_stride })
        } else if !self.inner && n <= COLUMNS && strides == [1, 1] && self.is_fresh() {
            let stride = self.gone.strides[0][0];
            Some(Call::Rows { f: self.loops.fresh, n, rows: len, stride })
        } else {
            None
        };
        match call {
            Some(call) => {
                let [x, y] = [&self.x, &self.y].map(Start::of);
                Box::new(SmallReduce { x, y, call })
            }
            None => Box::new(self),
        }
    }

    /// Are rows so few that they are joined one after the other, in place?
    fn is_fresh(&self) -> bool {
        self.gone.dims.len() == 1 && self.gone.dims[0] <= ROWS
    }

    /// # Safety
    /// The slices were checked for this memory and have elements of type `T`.
    unsafe fn reduce<T: Num, J: Join<T>>(&self, mem: Mem<'_>, pool: &Pool) {
        let len = self.gone.numel();
        if self.inner && (1..=BLOCK).contains(&len) && self.packed() {
            // SAFETY: the caller's promise.
            return unsafe { self.lines::<T>(mem, pool) };
        }
        if self.inner {
            pool.ranges(self.kept.numel(), TASK / len.max(1), |range| {
                let mut place = Place::new(&self.kept.dims, range.start);
                for _ in range {
                    let [from, to] = [0, 1].map(|i| place.offset(&self.kept.strides[i]));
                    // SAFETY: the caller's promise; elements of x (if it has any) and y, and tasks
                    // write different ones.
                    unsafe {
                        let x = mem.ptr(&self.x).cast::<T>();
                        let x = if len == 0 { x } else { x.offset(from) };
                        *mem.ptr(&self.y).cast::<T>().offset(to) = self.line::<T, J>(x);
                    }
                    place.advance(&self.kept.dims);
                }
            });
            return;
        }
        let last = self.kept.dims.len() - 1;
        let (columns, outer) = (self.kept.dims[last], &self.kept.dims[..last]);
        let pieces = columns.div_ceil(COLUMNS);
        let units = outer.iter().product::<usize>() * pieces;
        pool.ranges(units, TASK / (columns.min(COLUMNS) * len).max(1), |range| {
            for unit in range {
                let place = Place::new(outer, unit / pieces);
                let start = unit % pieces * COLUMNS;
                let n = COLUMNS.min(columns - start);
                let [(x, x_stride), (y, y_stride)] = [(&self.x, 0), (&self.y, 1)].map(|(s, i)| {
                    let strides = &self.kept.strides[i];
                    let offset = place.offset(&strides[..last]) + start as isize * strides[last];
                    // SAFETY: the caller's promise; the first of these columns, if there are any.
                    let base = unsafe { mem.ptr(s).cast::<T>() };
                    let offset = if s.dims.contains(&0) { 0 } else { offset };
                    // SAFETY: as above.
                    (unsafe { base.offset(offset) }, strides[last])
                });
                // SAFETY: the columns exist, and tasks write different ones.
                unsafe {
                    if y_stride == 1 && x_stride == 1 && self.is_fresh() {
                        let (acc, x) = (y.cast(), x.cast_const().cast());
                        let stride = self.gone.strides[0][0];
                        (self.loops.fresh)(RowsArgs { acc, x, n, rows: len, stride });
                    } else if n <= FEW {
                        let sums = self.columns::<T, J, FEW>(x, x_stride, n);
                        store(y, sums.as_ptr(), &[n], &[y_stride], 0, n);
                    } else {
                        let sums = self.columns::<T, J, COLUMNS>(x, x_stride, n);
                        store(y, sums.as_ptr(), &[n], &[y_stride], 0, n);
                    }
                }
            }
        });
    }

    /// Do the elements that go follow one another?
    fn packed(&self) -> bool {
        self.gone.dims.len() == 1 && (self.gone.strides[0][0] == 1 || self.gone.dims[0] == 1)
    }

    /// Packed lines of a block at most, many at once.
    ///
    /// # Safety
    /// As for [`ReducePlan::reduce`].
    unsafe fn lines<T: Num>(&self, mem: Mem<'_>, pool: &Pool) {
        let (dims, n) = (&self.kept.dims, self.gone.numel());
        let lanes = std::hint::black_box(LANES);
        let last = dims.len() - 1;
        let [stride, out_stride] = [0, 1].map(|i| self.kept.strides[i][last]);
        let of_lines = if n < LANES { self.loops.short } else { self.loops.lines };
        pool.ranges(self.kept.numel(), TASK / n, |range| {
            let mut at = range.start;
            while at < range.end {
                let place = Place::new(dims, at);
                let lines = (range.end - at).min(dims[last] - place.index(last));
                let [from, to] = [0, 1].map(|i| place.offset(&self.kept.strides[i]));
                // SAFETY: the caller's promise; the first of these lines, which exist, and their
                // elements of y, which no other task writes.
                unsafe {
                    let x = mem.ptr(&self.x).cast::<T>().offset(from).cast();
                    let out = mem.ptr(&self.y).cast::<T>().offset(to).cast();
                    of_lines(LinesArgs { x, stride, n, lines, out, out_stride, lanes });
                }
                at += lines;
            }
        });
    }

    /// All elements that go, from `x`, in blocks.
    ///
    /// # Safety
    /// `x` is the first of them.
    #[inline]
    unsafe fn line<T: Num, J: Join<T>>(&self, x: *const T) -> T {
        let packed = self.packed();
        let len = self.gone.numel();
        let block = |start: usize| {
            let n = BLOCK.min(len - start);
            // SAFETY: elements `start .. start + n`, packed or not.
            unsafe {
                if packed { self.block(x.add(start), n) } else { self.loose_block(x, start, n) }
            }
        };
        if len <= BLOCK {
            return if len == 0 { J::START } else { block(0) };
        }
        let mut tree = Tree::new();
        (0..len).step_by(BLOCK).for_each(|start| tree.push::<J>(block(start)));
        tree.finish::<J>()
    }

    /// `n` packed elements, a block.
    ///
    /// # Safety
    /// `x` is valid for reads of `n <= BLOCK` elements.
    #[inline]
    unsafe fn block<T: Num>(&self, x: *const T, n: usize) -> T {
        let mut value = MaybeUninit::<T>::uninit();
        let out = value.as_mut_ptr().cast();
        // SAFETY: the caller's promise; the loop writes the value.
        unsafe {
            (self.loops.block)(BlockArgs { x: x.cast(), n, out });
            value.assume_init()
        }
    }

    /// Elements `start .. start + n` of those that go, copied to be packed.
    ///
    /// # Safety
    /// `x` is the first of them all, and `n <= BLOCK`.
    // Never inlined, so that packed lines do not pay for the stack.
    #[inline(never)]
    unsafe fn loose_block<T: Num>(&self, x: *const T, start: usize, n: usize) -> T {
        let mut copy = [MaybeUninit::<T>::uninit(); BLOCK];
        let copy = copy.as_mut_ptr().cast::<T>();
        // SAFETY: the caller's promise, and a buffer that is long enough.
        unsafe {
            load(copy, x, &self.gone.dims, &self.gone.strides[0], start, n);
            self.block(copy, n)
        }
    }

    /// `n` columns side by side: rows in groups, groups in groups.
    ///
    /// # Safety
    /// `x` is the first element of the first row (if there are rows), and `n <= MOST`.
    unsafe fn columns<T: Num, J: Join<T>, const MOST: usize>(
        &self,
        x: *const T,
        stride: isize,
        n: usize,
    ) -> [T; MOST] {
        let mut levels = [[J::START; MOST]; 3];
        let (dims, strides) = (&self.gone.dims, &self.gone.strides[0]);
        let (len, direct) = (self.gone.numel(), stride == 1 && dims.len() == 1);
        let flush = |levels: &mut [[T; MOST]; 3], from: usize| {
            let done = std::mem::replace(&mut levels[from], [J::START; MOST]);
            let [acc, x] = [levels[from + 1].as_mut_ptr().cast(), done.as_ptr().cast_mut().cast()];
            // SAFETY: one row of at most MOST elements in two different arrays.
            unsafe { (self.loops.rows)(RowsArgs { acc, x, n, rows: 1, stride: 0 }) };
        };
        let mut place = Place::new(dims, 0);
        for start in (0..len).step_by(ROWS) {
            let rows = ROWS.min(len - start);
            let acc = levels[0].as_mut_ptr().cast();
            if direct {
                // SAFETY: these rows, packed.
                unsafe {
                    let x = x.offset(start as isize * strides[0]).cast();
                    (self.loops.rows)(RowsArgs { acc, x, n, rows, stride: strides[0] });
                }
            } else {
                for _ in 0..rows {
                    let mut copy = [MaybeUninit::<T>::uninit(); MOST];
                    let copy = copy.as_mut_ptr().cast::<T>();
                    // SAFETY: a row of x, copied into a buffer of at least that length.
                    unsafe {
                        load(copy, x.offset(place.offset(strides)), &[n], &[stride], 0, n);
                        (self.loops.rows)(RowsArgs { acc, x: copy.cast(), n, rows: 1, stride: 0 });
                    }
                    place.advance(dims);
                }
            }
            if len <= ROWS {
                // To join it with two beginnings would change no bit.
                return levels[0];
            }
            flush(&mut levels, 0);
            if (start / ROWS + 1).is_multiple_of(ROWS) {
                flush(&mut levels, 1);
            }
        }
        flush(&mut levels, 1);
        levels[2]
    }
}

impl Step for ReducePlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        if self.y.dims.contains(&0) {
            return Ok(());
        }
        for_num!(
            self.x.dtype,
            // SAFETY: the slices were checked for this memory, as was their type.
            T => unsafe {
                match self.op {
                    ReduceOp::Sum => self.reduce::<T, Sum>(mem, pool),
                    ReduceOp::Max => self.reduce::<T, Max>(mem, pool),
                    ReduceOp::Min => self.reduce::<T, Min>(mem, pool),
                    ReduceOp::Prod => self.reduce::<T, Prod>(mem, pool),
                }
            },
            unreachable!("checked")
        );
        Ok(())
    }
}
