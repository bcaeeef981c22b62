//! The logarithm of a softmax at a label, row by row, its gradient, or both: the classes of a row are
//! read once, and nothing of their number is written but the gradient.
//!
//! Rows go in groups of [`LINES`]. Of few classes every class is a vector of all rows of a group; of
//! many, a row is vectors of classes. The order of every sum depends on the number of classes alone.

mod group;

use std::ops::Range;

use pleach_tensor::DType;

use crate::bind::Mem;
use crate::check;
use crate::gemm::for_lanes;
use crate::index::Indices;
use crate::program::{Failure, Step};
use crate::space::{Place, Space};
use crate::vector::{Entry, Isa, compiled};
use crate::{Fault, Pool, Slice};
use group::{LINES, Line, Rows, Run};

/// Elements of a task: a few µs of work.
const TASK: usize = 1 << 13;

/// A checked instruction.
#[derive(Debug)]
pub(crate) struct EntropyPlan {
    x: Slice,
    labels: Indices,
    y: Option<Slice>,
    /// What came for `y`, and where the gradient goes.
    gradient: Option<[Slice; 2]>,
    /// The rows, with strides of `x`, the labels, and of `y`, `dy` and the gradient if they are asked for.
    rows: Space,
    classes: usize,
    entry: Entry<*const Run>,
}

/// Can the classes of rows lie like this?
pub fn entropy_fits(x: &Slice) -> bool {
    let last = x.dims.len().checked_sub(1);
    last.is_some_and(|last| x.strides[last] == 1 || x.dims[last] <= 1) && x.dtype.is_wide()
}

impl EntropyPlan {
    pub(crate) fn new(inputs: &[Slice], outputs: &[Slice]) -> Result<EntropyPlan, Fault> {
        let (x, labels, dy) = match inputs {
            [x, labels] => (x, labels, None),
            [x, labels, dy] => (x, labels, Some(dy)),
            _ => return Err(Fault::Count { expected: 2, got: inputs.len() }),
        };
        let (y, dx) = match (outputs, dy) {
            ([y], None) => (Some(y), None),
            ([dx], Some(_)) => (None, Some(dx)),
            ([y, dx], Some(_)) => (Some(y), Some(dx)),
            _ => return Err(Fault::Count { expected: 1, got: outputs.len() }),
        };
        check::axes(x, if x.dims.is_empty() { &[0] } else { &[] })?;
        let (lead, classes) = x.dims.split_at(x.dims.len() - 1);
        let of_row = [lead, &[1]].concat();
        check::shape(labels, &of_row)?;
        for slice in y.into_iter().chain(dy) {
            check::shape(slice, &of_row)?;
            check::dtype(slice, x.dtype)?;
        }
        if let Some(dx) = dx {
            check::shape(dx, &x.dims)?;
            check::dtype(dx, x.dtype)?;
        }
        if !entropy_fits(x) || dx.is_some_and(|dx| !entropy_fits(dx)) {
            return Err(Fault::Unsupported { dtype: x.dtype });
        }
        let gradient = dy.zip(dx).map(|(dy, dx)| [dy.clone(), dx.clone()]);
        let lead_of = |s: &'_ Slice| s.strides[..lead.len()].to_vec();
        let strides = [x, labels, y.unwrap_or(x), dy.unwrap_or(x), dx.unwrap_or(x)].map(lead_of);
        let isa = Isa::used();
        Ok(EntropyPlan {
            rows: Space::new(lead, &strides.each_ref().map(|s| &s[..])),
            labels: Indices::new(labels, classes[0])?,
            x: x.clone(),
            y: y.cloned(),
            gradient,
            classes: classes[0],
            entry: for_lanes!(x.dtype, isa, V => compiled::<Rows<V>>(isa)),
        })
    }

    /// These rows.
    ///
    /// # Safety
    /// `mem` is memory that the slices were checked for, no other task writes these rows, and labels
    /// were checked; there is a class.
    unsafe fn rows(&self, mem: Mem<'_>, rows: Range<usize>) {
        let (Space { dims, strides }, last) = (&self.rows, self.rows.dims.len() - 1);
        let mut at = rows.start;
        while at < rows.end {
            let place = Place::new(dims, at);
            let lines = (rows.end - at).min(dims[last] - place.index(last));
            let of = |slice: &Slice, operand: usize| {
                let offset = place.offset(&strides[operand]) * slice.dtype.size() as isize;
                // SAFETY: an element of a row that exists, for the caller's promise.
                Line { at: unsafe { mem.ptr(slice).offset(offset) }, step: strides[operand][last] }
            };
            let run = Run {
                classes: self.classes,
                lines,
                x: of(&self.x, 0),
                labels: of(&self.labels.slice, 1),
                wide: self.labels.slice.dtype == DType::I64,
                y: self.y.as_ref().map(|y| of(y, 2)),
                gradient: self.gradient.as_ref().map(|[dy, dx]| [of(dy, 3), of(dx, 4)]),
            };
            // SAFETY: the contract of the body: rows of checked slices, with labels that were checked.
            unsafe { (self.entry)(&raw const run) };
            at += lines;
        }
    }
}

impl Step for EntropyPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        // SAFETY: the slices were checked for this memory.
        unsafe { self.labels.check(mem)? };
        let rows = self.rows.numel();
        if rows == 0 || self.classes == 0 {
            return Ok(());
        }
        let groups = rows.div_ceil(LINES);
        pool.ranges(groups, TASK / (LINES * self.classes).max(1), |range| {
            // SAFETY: as above; groups are apart.
            unsafe { self.rows(mem, range.start * LINES..rows.min(range.end * LINES)) };
        });
        Ok(())
    }
}
