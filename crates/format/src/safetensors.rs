//! Named tensors in the safetensors format, version 0.8 of its Rust library.
//!
//! `u64` length of the header, the header as JSON, the elements, all little-endian. Element types
//! are `F32 F64 I32 I64 U8 BOOL`; a file with another one is refused, tensor and type named.
//! At most 65,536 tensors of 16 axes, 65,536 metadata entries, and a header of 100 MB.
//! Bytes written are a function of what is written: tensors sorted by element type, then name,
//! metadata by key.

pub(crate) mod elements;
pub(crate) mod header;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use pleach_tensor::Tensor;

use crate::{FormatError, atomic};

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// Free text by key; empty if the file has none.
    pub metadata: BTreeMap<String, String>,
}

/// Writes tensors to a file, which is replaced in one step; see [`atomic::write`].
///
/// # Errors
/// [`FormatError::File`] with [`FormatError::DuplicateName`], [`FormatError::ReservedName`],
/// [`FormatError::Limit`], [`FormatError::HeaderLength`], or those of [`atomic::write`].
pub fn save<'t, N: AsRef<str>>(
    path: impl AsRef<Path>,
    tensors: impl IntoIterator<Item = (N, &'t Tensor)>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), FormatError> {
    let path = path.as_ref();
    let prepared = Prepared::new(tensors, metadata).map_err(|reason| reason.at(path))?;
    atomic::write(path, |writer| prepared.write(writer))
}

/// The bytes that [`save`] writes.
///
/// # Errors
/// As [`save`], without the path.
pub fn to_bytes<'t, N: AsRef<str>>(
    tensors: impl IntoIterator<Item = (N, &'t Tensor)>,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    Prepared::new(tensors, metadata)?.write(&mut bytes).map_err(FormatError::io("write"))?;
    Ok(bytes)
}

/// Reads a file. Allocates the tensors, whose bytes are known to be in the file, and what the
/// header takes: of any file, less than twice its size and 64 MiB.
///
/// # Errors
/// [`FormatError::File`] with what is wrong: [`FormatError::Io`] if there is no such file,
/// [`FormatError::NotAFile`], or one of [`from_bytes`].
pub fn load(path: impl AsRef<Path>) -> Result<Contents, FormatError> {
    let path = path.as_ref();
    open(path).and_then(|(file, len)| read(BufReader::new(file), len)).map_err(|e| e.at(path))
}

/// Reads what [`to_bytes`] or any other writer of the format made.
///
/// # Errors
/// [`FormatError::Short`], [`FormatError::HeaderLength`], [`FormatError::HeaderStart`],
/// [`FormatError::Header`], [`FormatError::DuplicateName`], [`FormatError::DType`],
/// [`FormatError::Shape`], [`FormatError::Offsets`], [`FormatError::Length`],
/// [`FormatError::Bool`], [`FormatError::Memory`].
pub fn from_bytes(bytes: &[u8]) -> Result<Contents, FormatError> {
    read(bytes, bytes.len() as u64)
}

/// A file that is ready to be written.
pub(crate) struct Prepared<'t> {
    /// The length and the header.
    head: Vec<u8>,
    /// The tensors in their order in the file.
    tensors: Vec<&'t Tensor>,
}

impl<'t> Prepared<'t> {
    pub(crate) fn new<N: AsRef<str>>(
        tensors: impl IntoIterator<Item = (N, &'t Tensor)>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Prepared<'t>, FormatError> {
        let mut tensors: Vec<(N, &Tensor)> = tensors.into_iter().collect();
        tensors.sort_by(|(a, x), (b, y)| {
            let by_type = header::dtype(y.dtype()).cmp(&header::dtype(x.dtype()));
            by_type.then_with(|| a.as_ref().cmp(b.as_ref()))
        });
        let named = tensors.iter().map(|(name, tensor)| (name.as_ref(), *tensor));
        let head = header::write(named, metadata)?;
        Ok(Prepared { head, tensors: tensors.into_iter().map(|(_, tensor)| tensor).collect() })
    }

    pub(crate) fn write(&self, writer: &mut dyn Write) -> io::Result<()> {
        writer.write_all(&self.head)?;
        self.tensors.iter().try_for_each(|tensor| elements::write(writer, tensor))
    }
}

/// Opens a regular file only: opening a pipe would wait for a writer.
pub(crate) fn open(path: &Path) -> Result<(File, u64), FormatError> {
    let regular =
        |is: fs::Metadata| if is.is_file() { Ok(is.len()) } else { Err(FormatError::NotAFile) };
    regular(fs::metadata(path).map_err(FormatError::io("open"))?)?;
    let file = File::open(path).map_err(FormatError::io("open"))?;
    let len = regular(file.metadata().map_err(FormatError::io("open"))?)?;
    Ok((file, len))
}

/// Reads from `input`, which has `len` bytes.
fn read(mut input: impl Read, len: u64) -> Result<Contents, FormatError> {
    let header::Header { entries, metadata } = header::read(&mut input, len)?;
    let mut tensors = BTreeMap::new();
    for (name, ty) in entries {
        let tensor = elements::read(&mut input, &name, &ty)?;
        tensors.insert(name, tensor);
    }
    Ok(Contents { tensors, metadata })
}
