//! The reference evaluation of loops.

use pleach_tensor::{Tensor, for_dtype};

use super::Loop;
use crate::{EvalError, interpret};

/// All results of a loop, one step after the other.
pub(crate) fn run(of: &Loop, x: &[&Tensor]) -> Result<Vec<Tensor>, EvalError> {
    let (inits, rest) = x.split_at(of.carries());
    let (sliced, captures) = rest.split_at(of.slices());
    let mut carries: Vec<Tensor> = inits.iter().map(|&t| t.clone()).collect();
    // The stacked results, in the order of the slices, whatever the order of the steps.
    let mut stacks = vec![vec![None; of.length()]; of.stacks() + of.carries()];
    for step in 0..of.length() {
        let at = of.slice_of(step);
        let slices: Vec<Tensor> = sliced.iter().map(|t| slice(t, at)).collect::<Result<_, _>>()?;
        let args: Vec<&Tensor> =
            carries.iter().chain(&slices).chain(captures.iter().copied()).collect();
        let mut results = interpret::body(of.body(), &args)?;
        let ys = results.split_off(of.carries());
        for (stack, value) in stacks.iter_mut().zip(ys.into_iter().chain(carries)) {
            stack[at] = Some(value);
        }
        carries = results;
    }
    let stacked = stacks.into_iter().enumerate().map(|(i, values)| {
        let ty = of.result_type(of.carries() + i).expect("a result of the loop");
        let values: Vec<Tensor> = values.into_iter().flatten().collect();
        for_dtype!(ty.dtype(), T => {
            let mut data: Vec<T> = Vec::with_capacity(ty.numel());
            for value in &values {
                data.extend_from_slice(value.as_slice::<T>().map_err(other)?);
            }
            Tensor::new(ty.shape(), data).map_err(other)
        })
    });
    carries.into_iter().map(Ok).chain(stacked).collect()
}

/// Slice `at` along the first axis.
fn slice(x: &Tensor, at: usize) -> Result<Tensor, EvalError> {
    let shape = x.shape().without(&[0]);
    let n: usize = shape.iter().product();
    for_dtype!(x.dtype(), T => {
        Ok(Tensor::new(shape, x.as_slice::<T>().map_err(other)?[at * n..(at + 1) * n].to_vec()).map_err(other)?)
    })
}

fn other(error: impl std::fmt::Display) -> EvalError {
    EvalError::Other(error.to_string())
}
