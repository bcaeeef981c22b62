//! What can be wrong with the options of an optimizer.

use pleach_ops::prelude::Type;
use pleach_ops::{Param, choices, tag_of};
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
    /// A tag that no trained parameter has.
    #[error("{optimizer}: no trained parameter has the tag {tag:?}; tags are: {known}")]
    Tag {
        /// Name of the optimizer.
        optimizer: String,
        /// The tag, without `#`.
        tag: String,
        /// The tags of all parameters that are trained.
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
    /// Why a group is empty: no parameter has its tag, or none is left that its pattern means.
    pub(crate) fn group(optimizer: &str, pattern: &str, params: &[&Param]) -> OptimError {
        let optimizer = optimizer.into();
        match tag_of(pattern) {
            Some(tag) if !params.iter().any(|p| p.matches(pattern)) => {
                let known = choices(pattern, params.iter().copied());
                OptimError::Tag { optimizer, tag: tag.into(), known }
            }
            _ => {
                let names: Vec<&str> = params.iter().map(|p| p.name()).collect();
                OptimError::Group { optimizer, pattern: pattern.into(), known: names.join(", ") }
            }
        }
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
