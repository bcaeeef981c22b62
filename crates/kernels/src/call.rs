//! Instructions that call a function outside of this crate.

use std::fmt::Debug;
use std::sync::Arc;

use pleach_tensor::{DType, Tensor, Type, for_dtype};

use crate::bind::Mem;
use crate::copy::copy_slice;
use crate::num::Bool;
use crate::program::{Failure, Step};
use crate::{Pool, Slice};

/// A function from tensors to a tensor: what runs where no kernel exists yet.
pub trait HostCall: Send + Sync + Debug {
    /// The value; its type must be that of the output slice. Copies and allocates.
    ///
    /// # Errors
    /// A message, which the run reports.
    fn call(&self, inputs: &[Tensor]) -> Result<Tensor, String>;
}

/// A checked call.
#[derive(Debug)]
pub(crate) struct CallPlan {
    call: Arc<dyn HostCall>,
    inputs: Vec<Slice>,
    output: Slice,
}

impl CallPlan {
    pub(crate) fn new(call: &Arc<dyn HostCall>, inputs: &[Slice], output: &Slice) -> CallPlan {
        CallPlan { call: call.clone(), inputs: inputs.to_vec(), output: output.clone() }
    }
}

impl Step for CallPlan {
    unsafe fn run(&self, mem: Mem<'_>, _: &Pool) -> Result<(), Failure> {
        // SAFETY: the slices were checked for this memory; nothing else runs during this step.
        let inputs: Vec<Tensor> = self.inputs.iter().map(|s| unsafe { read(mem, s) }).collect();
        let y = self.call.call(&inputs).map_err(Failure::Host)?;
        let want = (self.output.dtype, self.output.dims.as_slice());
        if (y.dtype(), &y.shape()[..]) != want {
            return Err(Failure::Host(format!("expected {want:?}, got {}", y.ty())));
        }
        let packed = Slice::new(self.output.buffer, want.0, 0, want.1);
        for_dtype!(want.0, T => {
            let data = y.as_slice::<T>().map_err(|e| Failure::Host(e.to_string()))?;
            // SAFETY: the output was checked for this memory, the tensor has its shape and type.
            unsafe { copy_slice(mem.ptr(&self.output), &self.output, data.as_ptr().cast(), &packed) };
        });
        Ok(())
    }
}

/// A copy of a slice as a tensor.
///
/// # Safety
/// The slice was checked for this memory, and nobody writes it.
unsafe fn read(mem: Mem<'_>, slice: &Slice) -> Tensor {
    let (n, packed) = (slice.numel(), Slice::new(slice.buffer, slice.dtype, 0, &slice.dims));
    let ty = Type::new(slice.dtype, slice.dims.as_slice()).expect("a checked slice fits");
    for_dtype!(slice.dtype, T => {
        let mut data = vec![<T as Default>::default(); n];
        if slice.dtype == DType::Bool {
            let mut bytes = vec![Bool(0); n];
            // SAFETY: the vector has the slice's shape; the slice was checked.
            unsafe { copy_slice(bytes.as_mut_ptr().cast(), &packed, mem.ptr(slice), slice) };
            return Tensor::build_i64(&ty, |i| i64::from(bytes[i].0 != 0));
        }
        // SAFETY: as above; numbers admit every bit pattern.
        unsafe { copy_slice(data.as_mut_ptr().cast(), &packed, mem.ptr(slice), slice) };
        Tensor::new(ty.shape(), data).expect("as many elements as the type")
    })
}
