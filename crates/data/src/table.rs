//! Tables of numbers in text.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};
use pleach_tensor::Tensor;

use crate::{Cell, DataError};

/// How a table is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// Does the first line hold the names of the columns? Default: yes.
    pub header: bool,
    /// The byte between cells. Default: `b','`.
    pub delimiter: u8,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { header: true, delimiter: b',' }
    }
}

/// A table as read from a file: text, made into numbers by the column.
///
/// Rows all have the same number of cells; white space around a cell, empty lines and a byte order
/// mark are skipped; cells may be quoted. A column of text does no harm until it is asked for.
#[derive(Clone, Debug)]
pub struct Csv {
    path: PathBuf,
    names: Vec<String>,
    width: usize,
    /// The cells one after another, row by row, and where each ends.
    text: String,
    ends: Vec<usize>,
    /// The line of each row.
    lines: Vec<u64>,
}

impl Csv {
    /// Reads a file.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::Utf8`], [`DataError::Ragged`] with the line at fault,
    /// [`DataError::NoRows`] if nothing is below the header.
    pub fn read(path: impl AsRef<Path>, options: &CsvOptions) -> Result<Csv, DataError> {
        let path = path.as_ref();
        let file = File::open(path)
            .map_err(|source| DataError::Io { path: path.to_path_buf(), source })?;
        Self::parse(file, path.to_path_buf(), options)
    }

    /// Reads from anything; errors name it `<reader>`.
    ///
    /// # Errors
    /// As [`Csv::read`].
    pub fn from_reader(reader: impl Read, options: &CsvOptions) -> Result<Csv, DataError> {
        Self::parse(reader, PathBuf::from("<reader>"), options)
    }

    fn parse(mut input: impl Read, path: PathBuf, options: &CsvOptions) -> Result<Csv, DataError> {
        let mut bytes = Vec::new();
        if let Err(source) = input.read_to_end(&mut bytes) {
            return Err(DataError::Io { path, source });
        }
        let mut reader = ReaderBuilder::new()
            .has_headers(options.header)
            .delimiter(options.delimiter)
            .trim(Trim::All)
            .from_reader(&bytes[..]);
        let fail = |error: csv::Error| refuse(&path, &bytes, error);
        let names: Vec<String> = if options.header {
            reader.headers().map_err(fail)?.iter().map(String::from).collect()
        } else {
            Vec::new()
        };
        let (mut text, mut ends, mut lines) = (String::new(), Vec::new(), Vec::new());
        let (mut record, mut width) = (StringRecord::new(), names.len());
        let (mut counted, mut line) = (0, 1);
        while reader.read_record(&mut record).map_err(fail)? {
            width = record.len();
            let start = row_start(&bytes, record.position()).max(counted);
            line += newlines(&bytes[counted..start]);
            counted = start;
            lines.push(line);
            for cell in &record {
                text.push_str(cell);
                ends.push(text.len());
            }
        }
        if lines.is_empty() {
            return Err(DataError::NoRows { path });
        }
        Ok(Csv { path, names, width, text, ends, lines })
    }

    /// Number of rows, the header not counted. At least 1.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The names in the header; empty if the table was read without one.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The column of this name.
    ///
    /// # Errors
    /// [`DataError::ColumnName`] if there is none or more than one.
    pub fn find(&self, name: &str) -> Result<usize, DataError> {
        let mut with_name = (0..self.names.len()).filter(|&i| self.names[i] == name);
        let first = with_name.next();
        match (first, with_name.count()) {
            (Some(column), 0) => Ok(column),
            (first, more) => Err(DataError::ColumnName {
                path: self.path.clone(),
                name: name.to_string(),
                found: usize::from(first.is_some()) + more,
            }),
        }
    }

    /// The text of a cell, or `None` outside the table.
    pub fn text(&self, row: usize, column: usize) -> Option<&str> {
        if row >= self.rows() || column >= self.width {
            return None;
        }
        let at = row * self.width + column;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        self.text.get(start..self.ends[at])
    }

    /// The columns in `range` as a tensor `T[rows, range.len()]`.
    ///
    /// ```
    /// # use pleach_data::{Csv, CsvOptions};
    /// let table = Csv::from_reader("a,b,label\n1,2.5,0\n3,4,1".as_bytes(), &CsvOptions::default())?;
    /// assert_eq!(table.columns::<f32>(0..2)?.to_vec::<f32>()?, [1.0, 2.5, 3.0, 4.0]);
    /// assert_eq!(table.column::<i64>(table.find("label")?)?.to_vec::<i64>()?, [0, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DataError::Columns`] if the table has fewer; [`DataError::Cell`] with line, column and
    /// text of the first cell that is not a `T`, see [`Cell`].
    pub fn columns<T: Cell>(&self, range: Range<usize>) -> Result<Tensor, DataError> {
        let Range { start, end } = range;
        if start > end || end > self.width {
            let (path, width) = (self.path.clone(), self.width);
            return Err(DataError::Columns { path, start, end, width });
        }
        let cells = (0..self.rows()).flat_map(|row| (start..end).map(move |column| (row, column)));
        let numbers = cells.map(|(row, column)| self.number(row, column)).collect::<Result<_, _>>();
        Ok(Tensor::new::<T>([self.rows(), end - start], numbers?)?)
    }

    /// Column `column` as a tensor `T[rows]`.
    ///
    /// # Errors
    /// As [`Csv::columns`].
    pub fn column<T: Cell>(&self, column: usize) -> Result<Tensor, DataError> {
        let column = self.columns::<T>(column..column.saturating_add(1))?;
        Ok(column.reshape([self.rows()])?)
    }

    fn number<T: Cell>(&self, row: usize, column: usize) -> Result<T, DataError> {
        let text = self.text(row, column).unwrap_or_default();
        T::parse(text).ok_or_else(|| DataError::Cell {
            path: self.path.clone(),
            line: self.lines[row],
            column,
            name: self.names.get(column).cloned().unwrap_or_default(),
            expected: T::EXPECTED,
            found: text.chars().take(40).collect(),
        })
    }
}

fn refuse(path: &Path, bytes: &[u8], error: csv::Error) -> DataError {
    let path = path.to_path_buf();
    let line = 1 + newlines(&bytes[..row_start(bytes, error.position())]);
    match error.into_kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            DataError::Ragged { path, line, expected: expected_len as usize, found: len as usize }
        }
        ErrorKind::Utf8 { err, .. } => DataError::Utf8 { path, line, column: err.field() },
        ErrorKind::Io(source) => DataError::Io { path, source },
        other => DataError::Io { path, source: std::io::Error::other(format!("{other:?}")) },
    }
}

/// Where a row begins. The reader's own position, byte and line, is before the empty lines that it
/// skips and before the line feed that ends a line with carriage return.
fn row_start(bytes: &[u8], position: Option<&csv::Position>) -> usize {
    let start = position.map_or(0, |p| p.byte() as usize).min(bytes.len());
    start + bytes[start..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count()
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&b| b == b'\n').count() as u64
}
