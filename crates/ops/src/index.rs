//! Operators that read and write by index.

pub mod gather;
pub mod scatter;
pub mod scatter_add;
pub mod take;
pub mod take_add;

use pleach_tensor::Tensor;

use crate::EvalError;

/// The index `i` into an axis of length `len`.
pub(crate) fn check_index(i: i64, len: usize) -> Result<usize, EvalError> {
    usize::try_from(i).ok().filter(|&i| i < len).ok_or(EvalError::Index { index: i, len })
}

/// All indices of a tensor, each checked against an axis of length `len`.
pub(crate) fn check_indices(indices: &Tensor, len: usize) -> Result<Vec<usize>, EvalError> {
    indices.to_i64s().into_iter().map(|i| check_index(i, len)).collect()
}
