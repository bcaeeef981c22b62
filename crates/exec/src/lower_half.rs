//! Floats of 16 bits around kernels that compute: sums and products run in `f32`, on operands that were
//! converted before, and their result is rounded once after.
//!
//! Loops convert by themselves, and what only moves or compares elements takes them as they are.

use pleach_graph::NodeId;
use pleach_kernels::{Axes, Kernel, Lowering, ScalarOp, ScalarProgram, Slice, Strides};
use pleach_tensor::DType;

use crate::borders::Padded;
use crate::lower::{Lowered, Storage};

/// Does the kernel take floats of 16 bits?
pub(crate) fn takes_halves(lowering: &Lowering) -> bool {
    use Lowering::*;
    matches!(
        lowering,
        Take { .. }
            | Gather { .. }
            | Scatter { .. }
            | ArgMax { .. }
            | ArgMin { .. }
            | ArgSort { .. }
            | ArgMaxPool { .. }
            | Random(_)
            | FoldIn
    )
}

/// All elements from the first to the last, in memory's order, where that is no more than the slice has.
fn span(slice: &Slice) -> Option<Slice> {
    let extent = Slice { moves: None, ..slice.clone() }.extent()?;
    let (dims, strides) = (Axes::from_slice(&[extent.len()]), Strides::from_slice(&[1]));
    let span = Slice { offset: extent.start, dims, strides, ..slice.clone() };
    (extent.len() <= slice.numel()).then_some(span)
}

impl Lowered {
    /// The elements in the type that kernels compute in.
    pub(crate) fn widened(&mut self, id: NodeId, slice: Slice) -> Slice {
        let dtype = slice.dtype.compute();
        self.converted(id, slice, dtype)
    }

    /// The elements of a result in the type that it has.
    pub(crate) fn narrowed(&mut self, id: NodeId, slice: Slice, dtype: DType) -> Slice {
        self.converted(id, slice, dtype)
    }

    /// The elements as another type, lying as they do. A view is converted as what it is a view of, if
    /// that is no larger: the windows of an image are as many as its elements.
    fn converted(&mut self, id: NodeId, slice: Slice, dtype: DType) -> Slice {
        if slice.dtype == dtype {
            return slice;
        }
        // With the zeros around a value, so that it is known where they are.
        let padded = self.padded.get(&slice.buffer).cloned();
        let padded = padded.filter(|p| slice.moves.is_none() && p.all.numel() <= slice.numel());
        let found = padded.as_ref().map_or_else(|| span(&slice), |padded| span(&padded.all));
        let from = found.as_ref().unwrap_or(&slice).clone();
        let bytes = from.numel().saturating_mul(dtype.size());
        let buffer = self.storage(Storage::Arena { bytes });
        let to = Slice::new(buffer, dtype, 0, &from.dims);
        let program = ScalarProgram::single(ScalarOp::Cast(dtype), from.dtype);
        let (inputs, outputs) = (vec![from.clone()], vec![to.clone()]);
        self.emit(id, Kernel::Loop { program, inputs, outputs });
        // Places count from the first element that was converted.
        let there = |slice: Slice| Slice {
            offset: slice.offset - from.offset,
            moves: None,
            buffer,
            dtype,
            ..slice
        };
        if let Some(Padded { all, inside }) = padded {
            self.padded.insert(buffer, Padded { all: there(all), inside });
        }
        if found.is_some() { there(slice) } else { to }
    }
}
