//! What can be wrong with the options of an optimizer.

use pleach_ops::Param;
use pleach_ops::prelude::Type;
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
    /// A group without parameters.
    #[error("{optimizer}: no parameter is in the group {pattern:?}; trained are: {known}")]
    Group {
        /// Name of the optimizer.
        optimizer: String,
        /// The pattern of the group.
        pattern: String,
        /// Names of all parameters that are trained.
        known: String,
    },
    /// A parameter that the rule cannot update.
    #[error("{optimizer} cannot update {param} of type {ty}: {reason}")]
    Param {
        /// Name of the optimizer.
        optimizer: String,
        /// Name of the parameter.
        param: String,
        /// Its type.
        ty: Type,
        /// Why not.
        reason: &'static str,
    },
}

impl OptimError {
    pub(crate) fn pattern(optimizer: &str, pattern: &str, params: &[&Param]) -> OptimError {
        let known: Vec<&str> = params.iter().map(|p| p.name()).collect();
        let (optimizer, pattern) = (optimizer.into(), pattern.into());
        OptimError::Group { optimizer, pattern, known: known.join(", ") }
    }
}

/// Is `got` at least 0 (and finite)?
pub(crate) fn at_least_zero(
    optimizer: &str,
    option: &'static str,
    got: f64,
) -> Result<(), OptimError> {
    range(optimizer, option, "at least 0", got, got >= 0.0 && got.is_finite())
}

/// Is `got` above 0 (and finite)?
pub(crate) fn above_zero(
    optimizer: &str,
    option: &'static str,
    got: f64,
) -> Result<(), OptimError> {
    range(optimizer, option, "above 0", got, got > 0.0 && got.is_finite())
}

/// Is `got` at least 1?
pub(crate) fn at_least_one(
    optimizer: &str,
    option: &'static str,
    got: u64,
) -> Result<(), OptimError> {
    range(optimizer, option, "at least 1", got as f64, got >= 1)
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
