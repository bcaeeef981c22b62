//! What can be wrong with data.

use std::io;
use std::path::PathBuf;

use pleach_tensor::{DType, Shape, TensorError};
use thiserror::Error;

/// Why data could not be read, put together or divided.
///
/// Lines of a file count from 1, columns and rows of a table from 0, as in the calls.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file could not be opened or read.
    #[error("{path}: cannot read: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds no row below its header.
    #[error("{path}: expected rows of numbers, found none")]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// A row is longer or shorter than the first.
    #[error("{path}:{line}: expected {expected} cells as in the first line, found {found}")]
    Ragged {
        /// The file.
        path: PathBuf,
        /// Line of the row.
        line: u64,
        /// Cells of the first line.
        expected: usize,
        /// Cells of this row.
        found: usize,
    },
    /// A cell is not text.
    #[error("{path}:{line}: column {column}: expected utf-8 text, found other bytes")]
    Utf8 {
        /// The file.
        path: PathBuf,
        /// Line of the row.
        line: u64,
        /// The column.
        column: usize,
    },
    /// A cell is not the number asked for.
    #[error("{path}:{line}: column {column}{}: expected {expected}, found {found:?}", named(.name))]
    Cell {
        /// The file.
        path: PathBuf,
        /// Line of the row.
        line: u64,
        /// The column.
        column: usize,
        /// Its name in the header, empty if there is none.
        name: String,
        /// What the cell should be.
        expected: &'static str,
        /// Its text, cut after 40 characters.
        found: String,
    },
    /// Columns were asked for that the table does not have.
    #[error("{path}: asked for columns {start}..{end}, the table has {width}")]
    Columns {
        /// The file.
        path: PathBuf,
        /// First column asked for.
        start: usize,
        /// End of the columns asked for.
        end: usize,
        /// Number of columns.
        width: usize,
    },
    /// The header has no column of this name, or several.
    #[error("{path}: expected one column {name:?} in the header, found {found}")]
    ColumnName {
        /// The file.
        path: PathBuf,
        /// Name asked for.
        name: String,
        /// How many columns have it.
        found: usize,
    },
    /// A dataset needs at least one tensor.
    #[error("dataset: expected at least one tensor, got none")]
    NoTensors,
    /// A name was given twice.
    #[error("dataset: two tensors are named {0:?}")]
    DuplicateName(String),
    /// The dataset has no tensor of this name.
    #[error("dataset: no tensor is named {name:?}, there are {names:?}")]
    UnknownName {
        /// Name asked for.
        name: String,
        /// Names held.
        names: Vec<String>,
    },
    /// A scalar has no rows.
    #[error("dataset: {0:?} is a scalar, expected a first axis to run over")]
    Scalar(String),
    /// The tensors differ in their number of rows.
    #[error("dataset: {first:?} has {expected} rows, {name:?} has {got}")]
    Rows {
        /// The first tensor.
        first: String,
        /// Its rows.
        expected: usize,
        /// The tensor that differs.
        name: String,
        /// Its rows.
        got: usize,
    },
    /// A row was asked for that is not there.
    #[error("dataset: row {row} asked for, there are {len}")]
    RowIndex {
        /// Row asked for.
        row: usize,
        /// Number of rows.
        len: usize,
    },
    /// Batches of no rows.
    #[error("batches: expected at least 1 row a batch, got 0")]
    BatchSize,
    /// The share of the rows is not within `0..=1`.
    #[error("split: expected a fraction in 0..=1, got {0}")]
    Fraction(f64),
    /// Fewer than 2 folds, or more folds than rows.
    #[error("folds: expected 2 to {len} folds of {len} rows, got {k}")]
    FoldCount {
        /// Folds asked for.
        k: usize,
        /// Number of rows.
        len: usize,
    },
    /// Labels must be `i64[n]`.
    #[error("labels: expected i64[n], {name:?} is {got}{shape}")]
    Labels {
        /// The tensor.
        name: String,
        /// Its element type.
        got: DType,
        /// Its shape.
        shape: Shape,
    },
    /// Normalisation needs floats.
    #[error("{action}: expected a float tensor, got {got}{shape}")]
    Float {
        /// `scale` or `standardize`.
        action: &'static str,
        /// Element type given.
        got: DType,
        /// Shape given.
        shape: Shape,
    },
    /// Normalisation needs rows.
    #[error("standardize: expected a tensor with at least one row, got shape {0}")]
    NoRowsToFit(Shape),
    /// Mean or deviation of a column is NaN or infinite.
    #[error("standardize: column {column} has mean {mean} and deviation {std}, expected finite")]
    NotFinite {
        /// The column, counted over the elements of a row.
        column: usize,
        /// Its mean.
        mean: f64,
        /// Its deviation.
        std: f64,
    },
    /// The rows differ from those the fit has seen.
    #[error("standardize: fitted to rows of shape {expected}, got a tensor of shape {got}")]
    RowShape {
        /// Shape of a row at the fit.
        expected: Shape,
        /// Shape of the tensor given.
        got: Shape,
    },
    /// A tensor could not be made.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

fn named(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" {name:?}") }
}
