//! Outputs of a run.

use pleach_kernels::AlignedBuf;
use pleach_tensor::{Element, Tensor, for_dtype};

use crate::ExecError;
use crate::assign::Output;
use crate::state::{element, tensor};

/// The outputs of the last run, valid until the next one.
#[derive(Clone, Copy, Debug)]
pub struct Outputs<'p>(pub(crate) Source<'p>);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'p> {
    /// In the arena of a plan.
    Arena(&'p [Output], &'p AlignedBuf),
    /// Values of the interpreter.
    Tensors(&'p [(String, Tensor)]),
}

impl Outputs<'_> {
    /// Names of the outputs, in order.
    pub fn names(&self) -> Vec<&str> {
        match self.0 {
            Source::Arena(outputs, _) => outputs.iter().map(|o| o.name.as_str()).collect(),
            Source::Tensors(tensors) => tensors.iter().map(|(name, _)| name.as_str()).collect(),
        }
    }

    /// The output of this name, copied.
    ///
    /// # Errors
    /// [`ExecError::Unknown`] if there is none.
    pub fn tensor(&self, name: &str) -> Result<Tensor, ExecError> {
        match self.0 {
            Source::Arena(outputs, arena) => {
                let output = outputs.iter().find(|o| o.name == name);
                output.map(|o| read(o, arena)).ok_or_else(|| self.unknown(name))
            }
            Source::Tensors(tensors) => {
                let found = tensors.iter().find(|(n, _)| n == name);
                found.map(|(_, t)| t.clone()).ok_or_else(|| self.unknown(name))
            }
        }
    }

    /// The output of this name as a number. Allocates nothing.
    ///
    /// # Errors
    /// [`ExecError::Unknown`] if there is none, [`ExecError::NotScalar`] if it is not one number.
    pub fn scalar(&self, name: &str) -> Result<f64, ExecError> {
        let not_scalar = |ty: &pleach_tensor::Type| {
            let (name, ty) = (name.to_string(), ty.clone());
            ExecError::NotScalar { name, ty }
        };
        match self.0 {
            Source::Arena(outputs, arena) => {
                let output = outputs.iter().find(|o| o.name == name);
                let output = output.ok_or_else(|| self.unknown(name))?;
                if output.ty.numel() != 1 {
                    return Err(not_scalar(&output.ty));
                }
                Ok(number(output, arena))
            }
            Source::Tensors(_) => {
                let tensor = self.tensor(name)?;
                tensor.item().ok_or_else(|| not_scalar(tensor.ty()))
            }
        }
    }

    /// All outputs, copied, in order.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        match self.0 {
            Source::Arena(outputs, arena) => {
                outputs.iter().map(|o| (o.name.clone(), read(o, arena))).collect()
            }
            Source::Tensors(tensors) => tensors.to_vec(),
        }
    }

    fn unknown(&self, name: &str) -> ExecError {
        let known = self.names().join(", ");
        ExecError::Unknown { what: "output", name: name.into(), known }
    }
}

fn place<'a>(output: &Output, arena: &'a AlignedBuf) -> &'a [u8] {
    let start = output.slice.offset * output.slice.dtype.size();
    &arena.bytes()[start..start + output.ty.bytes()]
}

fn read(output: &Output, arena: &AlignedBuf) -> Tensor {
    tensor(place(output, arena), &output.ty)
}

fn number(output: &Output, arena: &AlignedBuf) -> f64 {
    for_dtype!(output.ty.dtype(), T => element::<T>(place(output, arena)).to_f64())
}
