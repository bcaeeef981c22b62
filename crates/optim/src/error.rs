//! What can be wrong with the options of an optimizer.

use thiserror::Error;

/// An option that makes no sense.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum OptimError {
    /// A number outside of its range.
    #[error("{optimizer}: {option} must be {expected}, got {got}")]
    Option {
        /// Name of the optimizer.
        optimizer: String,
        /// Name of the option.
        option: &'static str,
        /// What would do.
        expected: &'static str,
        /// What it is.
        got: f64,
    },
    /// Options that exclude each other.
    #[error("{optimizer}: {reason}")]
    Conflict {
        /// Name of the optimizer.
        optimizer: String,
        /// Which, and why.
        reason: &'static str,
    },
}

/// Is `got` at least 0 (and finite)?
pub(crate) fn at_least_zero(
    optimizer: &str,
    option: &'static str,
    got: f64,
) -> Result<(), OptimError> {
    range(optimizer, option, "at least 0", got, got >= 0.0 && got.is_finite())
}

/// Is `got` in `[0, 1)`?
pub(crate) fn below_one(optimizer: &str, option: &'static str, got: f64) -> Result<(), OptimError> {
    range(optimizer, option, "in [0, 1)", got, (0.0..1.0).contains(&got))
}

pub(crate) fn range(
    optimizer: &str,
    option: &'static str,
    expected: &'static str,
    got: f64,
    holds: bool,
) -> Result<(), OptimError> {
    if holds {
        return Ok(());
    }
    Err(OptimError::Option { optimizer: optimizer.into(), option, expected, got })
}
