//! Attention by heads: scores, softmax and mixed values of a few queries at a time, while they are in
//! the nearest caches. A head is one task.
//!
//! What a query does not see is not computed: of causal attention that is nearly half. The order of
//! every sum depends on the shape alone.

mod head;

use pleach_tensor::DType;

use crate::bind::Mem;
use crate::check;
use crate::gemm::{Matrices, heads};
use crate::program::{Failure, Step};
use crate::space::{Place, Space};
use crate::vector::{Entry, Isa};
use crate::{Fault, Pool, Slice};
use head::{AREA, SCORES, WIDTH, pitch};
pub(crate) use head::{Head, Heads, Matrix};

/// Multiplications of a task: about 10 µs of work.
const TASK: usize = 1 << 19;

/// A checked attention, or its gradient. Weights are the last result or operand, if they are kept.
#[derive(Debug)]
pub(crate) struct AttentionPlan {
    /// Operands, then results.
    slices: Vec<Slice>,
    /// The heads, with strides of all slices.
    batch: Space,
    /// Queries, keys, width of keys, width of values.
    sizes: [usize; 4],
    causal: bool,
    scale: f64,
    entry: Entry<(Head, Entry<Matrices>)>,
    tiles: Entry<Matrices>,
}

/// Can attention over so many keys, of keys and values of these widths, be one instruction?
pub fn attention_fits(keys: usize, widths: [usize; 2], dtype: DType) -> bool {
    let widest = widths[0].max(widths[1]);
    let bytes = pitch(keys).saturating_mul(widest).saturating_mul(dtype.size());
    dtype.is_wide() && widest <= WIDTH && pitch(keys) <= SCORES / 8 && bytes <= AREA
}

impl AttentionPlan {
    pub(crate) fn new(
        causal: bool,
        scale: f64,
        inputs: &[Slice],
        outputs: &[Slice],
    ) -> Result<AttentionPlan, Fault> {
        let (y, weights) = match (inputs, outputs) {
            ([_, _, _], [y]) => (y, None),
            ([_, _, _], [y, weights]) => (y, Some(weights)),
            ([_, _, _, dy], [_, _, _]) => (dy, None),
            ([_, _, _, dy, weights], [_, _, _]) => (dy, Some(weights)),
            (_, [_] | [_, _]) => return Err(Fault::Count { expected: 3, got: inputs.len() }),
            (_, [_, _, _]) => return Err(Fault::Count { expected: 4, got: inputs.len() }),
            _ => return Err(Fault::Count { expected: 3, got: outputs.len() }),
        };
        let [q, k, v] = [&inputs[0], &inputs[1], &inputs[2]];
        let (rank, dtype) = (q.dims.len(), q.dtype);
        check::axes(q, if rank < 2 { &[0, 1] } else { &[] })?;
        check::axes(v, if v.dims.len() < 2 { &[0, 1] } else { &[] })?;
        let (lead, last) = (&q.dims[..rank - 2], |s: &Slice, back| s.dims[s.dims.len() - back]);
        let sizes @ [l, s, e, d] = [last(q, 2), last(v, 2), last(q, 1), last(v, 1)];
        let shaped = |rows, columns| [lead, &[rows, columns]].concat();
        check::shape(k, &shaped(s, e))?;
        check::shape(v, &shaped(s, d))?;
        check::shape(y, &shaped(l, d))?;
        weights.map_or(Ok(()), |weights| check::shape(weights, &shaped(l, s)))?;
        if let [dq, dk, dv] = outputs {
            check::shape(dq, &shaped(l, e))?;
            check::shape(dk, &shaped(s, e))?;
            check::shape(dv, &shaped(s, d))?;
        }
        if !attention_fits(s, [e, d], dtype) {
            return Err(Fault::Unsupported { dtype });
        }
        let slices: Vec<Slice> = inputs.iter().chain(outputs).cloned().collect();
        slices.iter().try_for_each(|s| check::dtype(s, dtype))?;
        let strides: Vec<&[isize]> = slices.iter().map(|s| &s.strides[..rank - 2]).collect();
        let (batch, (entry, tiles)) = (Space::new(lead, &strides), heads(dtype, Isa::used()));
        Ok(AttentionPlan { batch, slices, sizes, causal, scale, entry, tiles })
    }

    /// The head at `place`.
    ///
    /// # Safety
    /// `mem` is memory that the slices were checked for.
    unsafe fn head(&self, mem: Mem<'_>, place: &Place) {
        let at = |i: usize| {
            let slice = &self.slices[i];
            let offset = place.offset(&self.batch.strides[i]) * slice.dtype.size() as isize;
            let rank = slice.dims.len();
            // SAFETY: an element of a checked slice, or element 0 of an empty one.
            let x =
                unsafe { mem.ptr(slice).offset(if slice.dims.contains(&0) { 0 } else { offset }) };
            Matrix { at: x, rows: slice.strides[rank - 2], columns: slice.strides[rank - 1] }
        };
        let [q, k, v] = [0, 1, 2].map(at);
        let (y, weights, backward) = match self.slices.len() {
            4 => (Some(at(3)), None, None),
            5 => (Some(at(3)), Some(at(4)), None),
            7 => (None, None, Some([3, 4, 5, 6].map(at))),
            _ => (None, Some(at(4)), Some([3, 5, 6, 7].map(at))),
        };
        let (sizes, causal, scale) = (self.sizes, self.causal, self.scale);
        let head = Head { sizes, causal, scale, q, k, v, y, weights, backward };
        // SAFETY: heads of checked slices; those of results are apart.
        unsafe { (self.entry)((head, self.tiles)) };
    }
}

impl Step for AttentionPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        let [l, s, e, d] = self.sizes;
        let work = l.saturating_mul(s).saturating_mul(e + d).max(1);
        pool.ranges(self.batch.numel(), (TASK / work).max(1), |range| {
            let mut place = Place::new(&self.batch.dims, range.start);
            for _ in range {
                // SAFETY: the operands were checked for this memory.
                unsafe { self.head(mem, &place) };
                place.advance(&self.batch.dims);
            }
        });
        Ok(())
    }
}
