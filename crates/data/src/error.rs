//! What can be wrong with data.

use std::io;
use std::path::PathBuf;

use pleach_tensor::{DType, Shape, TensorError, Type};
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
    /// The file does not begin as an IDX file does.
    #[error(
        "{path}: expected an IDX file, which begins 00 00, element type, number of axes; found {found:02x?}"
    )]
    IdxMagic {
        /// The file.
        path: PathBuf,
        /// Its first bytes, up to 4.
        found: Vec<u8>,
    },
    /// The file says a size that no memory holds.
    #[error("{path}: the header says {}, more than memory can hold", product(.shape))]
    IdxSize {
        /// The file.
        path: PathBuf,
        /// Lengths of the axes.
        shape: Vec<u32>,
    },
    /// The file is shorter or longer than its header says.
    #[error("{path}: expected {expected} bytes of {part}, found {}{found}", more(.found, .expected))]
    IdxLength {
        /// The file.
        path: PathBuf,
        /// `header` or `elements`.
        part: &'static str,
        /// Bytes that the header asks for.
        expected: usize,
        /// Bytes there are; if they are more than expected, at least so many.
        found: usize,
    },
    /// The compressed data are damaged or cut off.
    #[error("{path}: damaged gzip data: {source}")]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: io::Error,
    },
    /// The file holds other elements or axes than images or labels do.
    #[error("{path}: expected {expected}, found {found}")]
    IdxType {
        /// The file.
        path: PathBuf,
        /// `images u8[n, h, w]` or `labels u8[n]`.
        expected: &'static str,
        /// What is there.
        found: Type,
    },
    /// As many labels as images are needed.
    #[error("{images}: {found_images} images, but {labels}: {found_labels} labels")]
    IdxCounts {
        /// The file of images.
        images: PathBuf,
        /// Its images.
        found_images: usize,
        /// The file of labels.
        labels: PathBuf,
        /// Its labels.
        found_labels: usize,
    },
    /// None of the names of a file is there.
    #[error("{folder}: expected a file {}, found none", .names.join(" or "))]
    NoFile {
        /// The folder.
        folder: PathBuf,
        /// The names looked for.
        names: Vec<String>,
    },
    /// The text has a symbol that the vocabulary lacks.
    #[error("text: symbol {symbol:?} at {position} is not in the vocabulary of {size}")]
    Symbol {
        /// The symbol; of bytes, the character of that code.
        symbol: char,
        /// Its place, in symbols from 0.
        position: usize,
        /// Number of symbols of the vocabulary.
        size: usize,
    },
    /// A number that stands for no symbol.
    #[error("text: {code} at {position} stands for no symbol, the vocabulary has {size}")]
    Code {
        /// The number.
        code: i64,
        /// Its place.
        position: usize,
        /// Number of symbols of the vocabulary.
        size: usize,
    },
    /// A length, stride or number of streams of 0.
    #[error("text: expected {0} of at least 1, got 0")]
    Zero(&'static str),
    /// More symbols are needed than there are.
    #[error("text: {action} needs at least {needed} symbols, there are {len}")]
    TooShort {
        /// What was asked for.
        action: &'static str,
        /// Symbols needed.
        needed: usize,
        /// Symbols there are.
        len: usize,
    },
    /// A tensor could not be made.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

fn named(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" {name:?}") }
}

fn product(shape: &[u32]) -> String {
    shape.iter().map(u32::to_string).collect::<Vec<_>>().join(" x ")
}

fn more(found: &usize, expected: &usize) -> &'static str {
    if found > expected { "at least " } else { "" }
}
