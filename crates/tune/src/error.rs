//! What can be wrong with a search.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a search, a cross-validation, a range test or an early stopping could not be made or ended.
///
/// A trial that fails is not among them: its error is kept in the
/// [`Findings`](crate::Findings).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TuneError {
    /// There is nothing to search.
    #[error("space: expected at least one parameter, got none")]
    EmptySpace,
    /// A name was given twice.
    #[error("space: two parameters are named {0:?}")]
    DuplicateName(String),
    /// The ends of a range do not make one.
    #[error("space: {name:?}: expected {expected}, got {low} and {high}")]
    Range {
        /// The parameter.
        name: String,
        /// What would do.
        expected: &'static str,
        /// The lower end.
        low: String,
        /// The upper end.
        high: String,
    },
    /// A choice that cannot be made.
    #[error("space: {name:?}: expected a choice of {expected}")]
    Choice {
        /// The parameter.
        name: String,
        /// What would do.
        expected: &'static str,
    },
    /// No parameter has this name.
    #[error("no parameter is named {name:?}, there are {names:?}")]
    UnknownName {
        /// Name asked for.
        name: String,
        /// Names that there are.
        names: Vec<String>,
    },
    /// The value is of another kind.
    #[error("{name:?}: expected {expected}, it is {got}")]
    Kind {
        /// The parameter.
        name: String,
        /// What was asked for.
        expected: &'static str,
        /// What it is.
        got: &'static str,
    },
    /// A number of points of a grid that makes no sense.
    #[error("grid: {name:?}: expected {expected}, got {}", .got.map_or("none".into(), |n| n.to_string()))]
    Points {
        /// The parameter.
        name: String,
        /// What would do.
        expected: &'static str,
        /// What it is.
        got: Option<usize>,
    },
    /// No trials, or more than a search can have.
    #[error("search: expected 1 to {most} trials, got {got}")]
    Trials {
        /// Trials asked for.
        got: usize,
        /// The most that can be had.
        most: usize,
    },
    /// A number outside of its range.
    #[error("{what}: {option} must be {expected}, got {got}")]
    Option {
        /// What it is an option of.
        what: &'static str,
        /// Its name.
        option: &'static str,
        /// What would do.
        expected: String,
        /// What it is.
        got: String,
    },
    /// Cross-validation by fewer than 2 folds.
    #[error("cross-validation: expected at least 2 folds, got {0}")]
    Folds(usize),
    /// The journal could not be read or written.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Another search, perhaps of another process, has the journal open.
    #[error("{path}: another search writes this journal at this moment")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else; it was left as it is.
    #[error("{path}: expected the journal of a search, found another file")]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// The journal is that of another search; it was left as it is.
    #[error("{path}: the journal of another search: {field} is {found} there, {expected} here")]
    OtherSearch {
        /// The file.
        path: PathBuf,
        /// What differs.
        field: String,
        /// What it is in this search.
        expected: String,
        /// What it is in the journal.
        found: String,
    },
    /// A line of the journal, not the last, is not what a search writes.
    #[error("{path}:{line}: damaged journal: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A drawing could not be made.
    #[cfg(feature = "report")]
    #[error("drawing: {0}")]
    Drawing(String),
}

impl TuneError {
    pub(crate) fn option(
        what: &'static str,
        option: &'static str,
        expected: impl Into<String>,
        got: impl ToString,
    ) -> TuneError {
        TuneError::Option { what, option, expected: expected.into(), got: got.to_string() }
    }
}
