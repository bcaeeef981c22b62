//! Checkpoints: everything a run needs to go on, in one file that is there as a whole.
//!
//! A checkpoint is a safetensors file, which any reader of the format opens, with this metadata:
//!
//! | key | value |
//! |---|---|
//! | `pleach.format` | version of this layout, `1` |
//! | `pleach.manifest` | JSON: version of pleach, seed, and of each variable name, kind, type, CRC-32 |
//! | `note.NAME` | JSON: what the user put beside the state under `NAME` |
//! | `pleach.crc32` | CRC-32 of all other keys and values |
//!
//! So every byte that could become a value is covered. Two files are kept: `run.safetensors` and,
//! of the save before, `run.safetensors.previous`. [`Checkpoint::save`] never leaves fewer than
//! one intact file, whenever the process is killed, and [`Checkpoint::load`] reads the newest.

mod manifest;
mod notes;
mod read;

pub use notes::Notes;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pleach_ops::Kind;
use pleach_tensor::Tensor;
use serde::{Serialize, de::DeserializeOwned};

use crate::safetensors::Prepared;
use crate::{FormatError, atomic};

/// What is saved of a run: a copy, which the run no longer touches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// Seed of the model.
    pub seed: u64,
    /// Name, kind and value of every variable: parameters, buffers, counters, slots.
    pub variables: Vec<(String, Kind, Tensor)>,
    /// What the user put beside them.
    pub notes: Notes,
}

/// What [`Checkpoint::load`] found.
#[derive(Debug)]
pub struct Loaded {
    /// The newest checkpoint that is intact.
    pub checkpoint: Checkpoint,
    /// If that is the one before the newest: what is wrong with the newest.
    pub fallback: Option<FormatError>,
}

impl Checkpoint {
    /// With a value under a name; see [`Notes::set`].
    ///
    /// # Errors
    /// As [`Notes::set`].
    pub fn with<T: Serialize + DeserializeOwned>(
        mut self,
        name: &str,
        value: &T,
    ) -> Result<Checkpoint, FormatError> {
        self.notes.set(name, value)?;
        Ok(self)
    }

    /// Writes the file, and keeps the one that was there as `path` + `.previous` if it is intact.
    ///
    /// The new file is written beside, synced, and moved in place, as by [`atomic::write`]; so it
    /// is complete once this returns, and on an error or a kill the newest checkpoint is still
    /// there, as `path` or as the previous one. What earlier saves to this path that were killed
    /// have left is removed: one run at a time saves to a path. Costs a read of the old file, one
    /// sum over the values, a write of the new file and two syncs.
    ///
    /// # Errors
    /// [`FormatError::File`] with the reasons of [`safetensors::save`](crate::safetensors::save),
    /// or [`FormatError::Io`] if the old file is there and cannot be opened.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), FormatError> {
        let path = path.as_ref();
        let kept = || read::is_intact(path).map(|intact| intact.then(|| previous(path)));
        let prepared = self.prepared().map_err(|reason| reason.at(path))?;
        atomic::rotate(path, kept()?.as_deref(), |writer| prepared.write(writer))
    }

    /// The bytes that [`Checkpoint::save`] writes: a function of the checkpoint and the version of
    /// pleach.
    ///
    /// # Errors
    /// As [`Checkpoint::save`], without the path.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        let mut bytes = Vec::new();
        self.prepared()?.write(&mut bytes).map_err(FormatError::io("write"))?;
        Ok(bytes)
    }

    fn prepared(&self) -> Result<Prepared<'_>, FormatError> {
        let named = self.variables.iter().map(|(name, _, value)| (name, value));
        Prepared::new(named, &manifest::write(self)?)
    }

    /// Reads the newest checkpoint that [`Checkpoint::save`] left: of `path`, or the previous one
    /// if that is missing or damaged; [`Loaded::fallback`] then says what was wrong.
    ///
    /// A file is trusted in nothing: lengths, offsets, names and types are checked before anything
    /// is allocated, and sums before anything is given out.
    ///
    /// # Errors
    /// [`FormatError::File`] with what is wrong with `path`: [`FormatError::Io`] with
    /// [`NotFound`](io::ErrorKind::NotFound) if nothing was ever saved,
    /// [`FormatError::NoneIntact`] if both files are damaged. A file that is not damaged, but
    /// cannot be opened or is of a later pleach ([`FormatError::Version`]), is an error too: to go
    /// on from the one before would lose what was trained since.
    pub fn load(path: impl AsRef<Path>) -> Result<Loaded, FormatError> {
        let (newest, previous) = (path.as_ref(), previous(path.as_ref()));
        let damage = match read::load(newest) {
            Ok(checkpoint) => return Ok(Loaded { checkpoint, fallback: None }),
            Err(error) if is_damage(&error) || error.is_missing() => error,
            Err(error) => return Err(error),
        };
        match read::load(&previous) {
            Ok(checkpoint) => Ok(Loaded { checkpoint, fallback: Some(damage) }),
            Err(error) if error.is_missing() => Err(damage),
            Err(error) => {
                let (newest, previous) = (Box::new(damage), Box::new(error));
                Err(FormatError::NoneIntact { newest, previous })
            }
        }
    }

    /// Reads what [`Checkpoint::to_bytes`] made.
    ///
    /// # Errors
    /// Those of [`safetensors::from_bytes`](crate::safetensors::from_bytes),
    /// [`FormatError::NotACheckpoint`], [`FormatError::Version`], [`FormatError::Checksum`],
    /// [`FormatError::Manifest`], [`FormatError::Disagree`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, FormatError> {
        read::from(bytes, bytes.len() as u64)
    }
}

/// Where the checkpoint before the newest is.
fn previous(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".previous");
    PathBuf::from(name)
}

/// Is the file there, and its contents not what was written? (The system may also refuse to read
/// it, or it may be right for another program.)
fn is_damage(error: &FormatError) -> bool {
    match error.reason() {
        FormatError::Io { action, .. } => *action == "read",
        FormatError::NotAFile | FormatError::Version(_) | FormatError::Memory { .. } => false,
        _ => true,
    }
}

/// A running CRC-32 of everything written to it.
#[derive(Default)]
struct Sum(crc32fast::Hasher);

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
