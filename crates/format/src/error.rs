//! What can be wrong with a file.

use std::io;
use std::path::{Path, PathBuf};

use pleach_tensor::{ShapeError, TensorError};
use thiserror::Error;

/// Why a file could not be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Any of the others, with the file it is about. Everything that takes a path fails with this.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Box<FormatError>,
    },
    /// The system refused.
    #[error("cannot {action}: {source}")]
    Io {
        /// `open`, `read`, `write`, `sync`, `rename`, …
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The path is that of a directory, a device, a pipe, or of nothing.
    #[error("expected a regular file")]
    NotAFile,
    /// Not even the length of the header is there.
    #[error("expected at least 8 bytes, found {0}")]
    Short(u64),
    /// The header would be longer than the file, or than any header.
    #[error("header of {header} bytes is longer than the {limit} it can have")]
    HeaderLength {
        /// Length the file states, or the header to be written has.
        header: u64,
        /// The bytes that follow in the file, or 100,000,000 if these are more.
        limit: u64,
    },
    /// More names or axes were to be written than a reader accepts.
    #[error("{got} {what}, at most {limit} can be written")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many.
        got: usize,
        /// How many there can be.
        limit: usize,
    },
    /// The header does not begin with `{`.
    #[error("header: expected it to begin with {{")]
    HeaderStart,
    /// The header is not the JSON it should be.
    #[error("header: {0}")]
    Header(serde_json::Error),
    /// Two tensors or two metadata entries have this name.
    #[error("the name {0:?} is given twice")]
    DuplicateName(String),
    /// The name is that of the metadata.
    #[error("a tensor cannot be named \"__metadata__\"")]
    ReservedName,
    /// The element type is not one of pleach.
    #[error("tensor {tensor:?}: {dtype} is none of F32, F64, F16, BF16, I32, I64, U8, BOOL")]
    DType {
        /// The tensor.
        tensor: String,
        /// Its element type as the file states it.
        dtype: String,
    },
    /// The shape is that of no value.
    #[error("tensor {tensor:?}: {source}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        source: ShapeError,
    },
    /// A tensor does not begin where the one before it ends, or is longer or shorter than its type.
    #[error("tensor {tensor:?}: expected bytes {start} to {end}, the header states {found:?}")]
    Offsets {
        /// The tensor.
        tensor: String,
        /// Where it must begin.
        start: u64,
        /// Where it must end.
        end: u64,
        /// Where it begins and ends by the header.
        found: (u64, u64),
    },
    /// The tensors end before or after the file does.
    #[error("expected {expected} bytes of tensors as the header states, found {found}")]
    Length {
        /// Bytes by the header.
        expected: u64,
        /// Bytes that follow the header.
        found: u64,
    },
    /// A byte of a boolean tensor is neither 0 nor 1.
    #[error("tensor {tensor:?}: element {index} is byte {byte}, expected 0 or 1")]
    Bool {
        /// The tensor.
        tensor: String,
        /// Its element, row-major.
        index: usize,
        /// The byte.
        byte: u8,
    },
    /// No memory for a tensor.
    #[error("tensor {tensor:?}: no memory for {bytes} bytes")]
    Memory {
        /// The tensor.
        tensor: String,
        /// Its size.
        bytes: usize,
    },
    /// The file may be one of weights; what makes it a checkpoint is not there.
    #[error("not a checkpoint: no pleach.format, pleach.manifest and pleach.crc32 in its metadata")]
    NotACheckpoint,
    /// The layout of the checkpoint is of another version of pleach.
    #[error("expected a checkpoint of format 1, found format {0:?}")]
    Version(String),
    /// Something is not what was written.
    #[error("{0} is damaged: its CRC-32 is not the one that was written")]
    Checksum(String),
    /// The manifest is not the JSON it should be.
    #[error("manifest: {0}")]
    Manifest(serde_json::Error),
    /// A tensor is in the file or in the manifest alone, twice, or has another type in each.
    #[error("tensor {0:?}: file and manifest disagree")]
    Disagree(String),
    /// A value beside the state that JSON cannot hold, or that is of another type.
    #[error("note {name:?}: {source}")]
    Note {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Neither the newest checkpoint nor the one before it can be used.
    #[error("no intact checkpoint: {newest}; {previous}")]
    NoneIntact {
        /// What is wrong with the newest.
        newest: Box<FormatError>,
        /// What is wrong with the one before it.
        previous: Box<FormatError>,
    },
    /// A tensor could not be made or read.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl FormatError {
    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> FormatError {
        move |source| FormatError::Io { action, source }
    }

    pub(crate) fn at(self, path: &Path) -> FormatError {
        FormatError::File { path: path.to_path_buf(), reason: Box::new(self) }
    }

    /// Is nothing there at all?
    pub fn is_missing(&self) -> bool {
        matches!(self.reason(), FormatError::Io { source, .. }
            if source.kind() == io::ErrorKind::NotFound)
    }

    /// The error without the path.
    pub fn reason(&self) -> &FormatError {
        match self {
            FormatError::File { reason, .. } => reason.reason(),
            other => other,
        }
    }
}
