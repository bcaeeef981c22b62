//! The checks on which memory safety rests: bounds, writability, aliasing.

use crate::{BufferSpec, Fault, MAX_RANK, Slice};

/// Checks slices against the buffers of a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checker<'a> {
    pub(crate) buffers: &'a [BufferSpec],
    /// Steps of the innermost loop; `None` outside of loops.
    pub(crate) steps: Option<usize>,
}

impl Checker<'_> {
    /// Every element of `slice` lies inside of its buffer, and numbers fit the machine.
    pub(crate) fn read(self, slice: &Slice) -> Result<(), Fault> {
        let Slice { buffer, dims, strides, .. } = slice;
        let spec =
            self.buffers.get(buffer.0 as usize).ok_or(Fault::UnknownBuffer { buffer: *buffer })?;
        if dims.len() != strides.len() || dims.len() > MAX_RANK {
            return Err(Fault::Rank { dims: dims.len(), strides: strides.len() });
        }
        let out = Fault::OutOfBounds { buffer: *buffer };
        if slice.moves.is_some_and(|moves| Some(moves.steps) != self.steps) {
            return Err(Fault::Moves { buffer: *buffer });
        }
        // The product of all lengths but zeros fits: no later product of some of them overflows.
        let numel = dims.iter().filter(|&&n| n != 0).try_fold(1usize, |p, &n| p.checked_mul(n));
        let numel_fits = numel.is_some_and(|n| n <= isize::MAX as usize / 16);
        let end = slice.extent().map(|e| e.end).and_then(|e| e.checked_mul(slice.dtype.size()));
        if !numel_fits || end.is_none_or(|end| end > spec.bytes || end > isize::MAX as usize) {
            return Err(out);
        }
        Ok(())
    }

    /// As [`Checker::read`], and the slice may be written: its buffer is writable, and no two of its
    /// elements share a place.
    pub(crate) fn write(self, slice: &Slice) -> Result<(), Fault> {
        self.read(slice)?;
        let buffer = slice.buffer;
        if !self.buffers[buffer.0 as usize].writable {
            return Err(Fault::ReadOnly { buffer });
        }
        if !slice.is_injective() {
            return Err(Fault::Overlap { buffer });
        }
        Ok(())
    }

    /// All of these slices are in bounds, the outputs are apart from each other, and each output is
    /// apart from each input, or, if `in_place`, exactly that input.
    pub(crate) fn operands(
        self,
        inputs: &[&Slice],
        outputs: &[&Slice],
        in_place: bool,
    ) -> Result<(), Fault> {
        inputs.iter().try_for_each(|s| self.read(s))?;
        outputs.iter().try_for_each(|s| self.write(s))?;
        for (i, out) in outputs.iter().enumerate() {
            let clash = outputs[..i].iter().any(|other| !out.is_apart(other))
                || (inputs.iter()).any(|x| !(out.is_apart(x) || in_place && out.is_same_place(x)));
            if clash {
                return Err(Fault::Alias { buffer: out.buffer });
            }
        }
        Ok(())
    }
}

/// `slice` has the lengths `dims`.
pub(crate) fn shape(slice: &Slice, dims: &[usize]) -> Result<(), Fault> {
    if slice.dims.as_slice() == dims {
        return Ok(());
    }
    Err(Fault::Shape { expected: dims.to_vec(), got: slice.dims.to_vec() })
}

/// `slice` has elements of type `dtype`.
pub(crate) fn dtype(slice: &Slice, dtype: pleach_tensor::DType) -> Result<(), Fault> {
    if slice.dtype == dtype {
        return Ok(());
    }
    Err(Fault::DType { expected: dtype, got: slice.dtype })
}

/// `axes` are strictly increasing axes of `slice`.
pub(crate) fn axes(slice: &Slice, axes: &[usize]) -> Result<(), Fault> {
    let rank = slice.dims.len();
    let good = axes.iter().all(|&a| a < rank) && axes.windows(2).all(|w| w[0] < w[1]);
    if good { Ok(()) } else { Err(Fault::Axis { axes: axes.to_vec(), rank }) }
}
