//! Indices that a program reads at run time. They are checked before anything is written.

use pleach_tensor::DType;

use crate::bind::Mem;
use crate::program::Failure;
use crate::space::{Place, Space};
use crate::{Fault, Slice};

/// A slice of indices into an axis of length `len`.
#[derive(Debug)]
pub(crate) struct Indices {
    pub(crate) slice: Slice,
    /// Its axes, joined.
    space: Space,
    len: usize,
    wide: bool,
}

impl Indices {
    pub(crate) fn new(slice: &Slice, len: usize) -> Result<Indices, Fault> {
        match slice.dtype {
            DType::I32 | DType::I64 => {
                let space = Space::new(&slice.dims, &[&slice.strides]);
                Ok(Indices { slice: slice.clone(), space, len, wide: slice.dtype == DType::I64 })
            }
            got => Err(Fault::DType { expected: DType::I64, got }),
        }
    }

    /// The index at `offset` elements from `base`.
    ///
    /// # Safety
    /// `base` is element `[0, 0, …]` of the slice in memory, `offset` that of an element.
    #[inline(always)]
    unsafe fn read(&self, base: *const u8, offset: isize) -> i64 {
        // SAFETY: the caller's promise; the element type was checked.
        unsafe {
            if self.wide {
                *base.cast::<i64>().offset(offset)
            } else {
                i64::from(*base.cast::<i32>().offset(offset))
            }
        }
    }

    /// As [`Indices::read`], for indices that [`Indices::check`] has seen.
    ///
    /// # Safety
    /// As for [`Indices::read`]; the memory is unchanged since the check.
    #[inline(always)]
    pub(crate) unsafe fn get(&self, base: *const u8, offset: isize) -> usize {
        // SAFETY: the caller's promise.
        let index = unsafe { self.read(base, offset) };
        debug_assert!((0..self.len as i64).contains(&index));
        index as usize
    }

    /// Looks at every index, in order.
    ///
    /// # Safety
    /// The slice was checked for this memory, and nobody writes it.
    pub(crate) unsafe fn check(&self, mem: Mem<'_>) -> Result<(), Failure> {
        let (dims, strides) = (&self.space.dims, &self.space.strides[0]);
        // SAFETY: the caller's promise.
        let base = unsafe { mem.ptr(&self.slice) };
        let last = dims.len() - 1;
        let (inner, outer, stride) = (dims[last], &dims[..last], strides[last]);
        let mut place = Place::new(outer, 0);
        for _ in 0..outer.iter().product() {
            let row = place.offset(&strides[..outer.len()]);
            for i in 0..inner as isize {
                // SAFETY: an element of the slice.
                let index = unsafe { self.read(base, row + i * stride) };
                if usize::try_from(index).map_or(true, |i| i >= self.len) {
                    return Err(Failure::Index { index, len: self.len });
                }
            }
            place.advance(outer);
        }
        Ok(())
    }
}
