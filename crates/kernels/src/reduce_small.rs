//! A small reduction: one call of an inner loop, found without a walk. What such a reduction takes is
//! mostly calls.

use crate::Pool;
use crate::bind::{Mem, Start};
use crate::program::{Failure, Step};
use crate::reduce_order::{LANES, LinesArgs, RowsArgs};
use crate::vector::Entry;

/// An inner loop, with lengths and distances.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    /// Packed rows, joined to as many elements that nothing is in yet.
    Rows { f: Entry<RowsArgs>, n: usize, rows: usize, stride: isize },
    /// Packed lines.
    Lines { f: Entry<LinesArgs>, n: usize, lines: usize, stride: isize, out_stride: isize },
}

/// A reduction that is one call.
#[derive(Debug)]
pub(crate) struct SmallReduce {
    pub(crate) x: Start,
    pub(crate) y: Start,
    pub(crate) call: Call,
}

impl Step for SmallReduce {
    unsafe fn run(&self, mem: Mem<'_>, _: &Pool) -> Result<(), Failure> {
        // SAFETY: the operands were checked for this memory, with these lengths and strides, and are
        // not empty.
        unsafe {
            let (x, out) = (mem.first(self.x).cast_const(), mem.first(self.y));
            match self.call {
                Call::Rows { f, n, rows, stride } => f(RowsArgs { acc: out, x, n, rows, stride }),
                Call::Lines { f, n, lines, stride, out_stride } => {
                    let lanes = std::hint::black_box(LANES);
                    f(LinesArgs { x, stride, n, lines, out, out_stride, lanes });
                }
            }
        }
        Ok(())
    }
}
