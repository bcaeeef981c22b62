//! Reading a checkpoint, with every tensor summed on its way.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::Path;

use pleach_tensor::{Tensor, Type};

use super::manifest::{self, Manifest};
use super::{Checkpoint, is_damage};
use crate::FormatError;
use crate::safetensors::header::{self, Header};
use crate::safetensors::{elements, open};

/// A checkpoint from a file.
pub(super) fn load(path: &Path) -> Result<Checkpoint, FormatError> {
    open(path).and_then(|(file, len)| from(BufReader::new(file), len)).map_err(|e| e.at(path))
}

/// A checkpoint from `len` bytes.
pub(super) fn from(input: impl Read, len: u64) -> Result<Checkpoint, FormatError> {
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    let (manifest, metadata) = walk(input, len, |input, name, ty| {
        let tensor = elements::read(input, name, ty)?;
        tensors.insert(name.to_string(), tensor);
        Ok(())
    })?;
    let mut variables = Vec::with_capacity(tensors.len());
    for manifest::Variable { name, kind, .. } in manifest.variables {
        match tensors.remove(&name) {
            Some(tensor) => variables.push((name, kind, tensor)),
            None => return Err(FormatError::Disagree(name)),
        }
    }
    Ok(Checkpoint { seed: manifest.seed, variables, notes: manifest::notes(metadata) })
}

/// Is there a file that is worth keeping: an intact checkpoint, or one of a later pleach? Allocates
/// no tensor.
pub(super) fn is_intact(path: &Path) -> Result<bool, FormatError> {
    let walked = open(path).and_then(|(file, len)| {
        walk(BufReader::new(file), len, |input, _, ty| {
            let mut part = input.take(ty.bytes() as u64);
            io::copy(&mut part, &mut io::sink()).map_err(FormatError::io("read"))?;
            Ok(())
        })
    });
    match walked.map_err(|e| e.at(path)) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.reason(), FormatError::Version(_)) => Ok(true),
        Err(error) if is_damage(&error) || error.is_missing() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads the tensors in the order of the file, each by `each`, and checks them.
fn walk<R: Read>(
    mut input: R,
    len: u64,
    mut each: impl FnMut(&mut Summed<&mut R>, &str, &Type) -> Result<(), FormatError>,
) -> Result<(Manifest, BTreeMap<String, String>), FormatError> {
    let Header { entries, metadata } = header::read(&mut input, len)?;
    let manifest = manifest::read(&metadata)?;
    let mut found = BTreeMap::new();
    for (name, ty) in entries {
        let mut summed = Summed { input: &mut input, sum: crc32fast::Hasher::new() };
        each(&mut summed, &name, &ty)?;
        let crc32 = summed.sum.finalize();
        found.insert(name, (ty, crc32));
    }
    manifest.check(&found)?;
    Ok((manifest, metadata))
}

/// A reader that keeps the CRC-32 of what was read.
struct Summed<R> {
    input: R,
    sum: crc32fast::Hasher,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.sum.update(&buffer[..n]);
        Ok(n)
    }
}
