//! The manifest: what a checkpoint says about itself, and whether it is true.

use std::collections::BTreeMap;

use pleach_ops::Kind;
use pleach_tensor::{Tensor, Type};
use serde::{Deserialize, Serialize};

use super::{Checkpoint, Notes, Sum};
use crate::FormatError;
use crate::safetensors::elements;

/// Version of the layout.
const FORMAT: &str = "1";
const FORMAT_KEY: &str = "pleach.format";
const MANIFEST_KEY: &str = "pleach.manifest";
const SUM_KEY: &str = "pleach.crc32";
const NOTE: &str = "note.";
/// Bytes of a manifest: 65,536 variables of long names.
const MAX_MANIFEST: usize = 1 << 25;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// Version of pleach that wrote the file.
    pleach: String,
    pub(super) seed: u64,
    pub(super) variables: Vec<Variable>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) kind: Kind,
    #[serde(rename = "type")]
    ty: Type,
    crc32: u32,
}

/// The metadata of a checkpoint.
pub(super) fn write(checkpoint: &Checkpoint) -> Result<BTreeMap<String, String>, FormatError> {
    let variable = |(name, kind, value): &(String, Kind, Tensor)| {
        let mut sum = Sum::default();
        elements::write(&mut sum, value).map_err(FormatError::io("sum"))?;
        let (name, ty, crc32) = (name.clone(), value.ty().clone(), sum.0.finalize());
        Ok(Variable { name, kind: *kind, ty, crc32 })
    };
    let variables: Result<_, FormatError> = checkpoint.variables.iter().map(variable).collect();
    let pleach = env!("CARGO_PKG_VERSION").to_string();
    let manifest = Manifest { pleach, seed: checkpoint.seed, variables: variables? };
    let manifest = serde_json::to_string(&manifest).map_err(FormatError::Manifest)?;
    at_most(manifest.len())?;
    let mut metadata = BTreeMap::from([
        (FORMAT_KEY.to_string(), FORMAT.to_string()),
        (MANIFEST_KEY.to_string(), manifest),
    ]);
    let notes =
        checkpoint.notes.iter().map(|(name, text)| (format!("{NOTE}{name}"), text.to_string()));
    metadata.extend(notes);
    metadata.insert(SUM_KEY.to_string(), sum(&metadata));
    Ok(metadata)
}

fn at_most(got: usize) -> Result<(), FormatError> {
    let (what, limit) = ("bytes of a manifest", MAX_MANIFEST);
    if got > limit { Err(FormatError::Limit { what, got, limit }) } else { Ok(()) }
}

/// The sum of all keys and values but the sum itself, each preceded by its length.
fn sum(metadata: &BTreeMap<String, String>) -> String {
    let mut sum = crc32fast::Hasher::new();
    let others = metadata.iter().filter(|(key, _)| *key != SUM_KEY);
    for text in others.flat_map(|(key, value)| [key, value]) {
        sum.update(&(text.len() as u64).to_le_bytes());
        sum.update(text.as_bytes());
    }
    format!("{:08x}", sum.finalize())
}

/// The manifest that the metadata hold, if they are intact.
pub(super) fn read(metadata: &BTreeMap<String, String>) -> Result<Manifest, FormatError> {
    let of = |key: &str| metadata.get(key).ok_or(FormatError::NotACheckpoint);
    let (format, text, stated) = (of(FORMAT_KEY)?, of(MANIFEST_KEY)?, of(SUM_KEY)?);
    if *stated != sum(metadata) {
        return Err(FormatError::Checksum("the metadata".into()));
    }
    if format != FORMAT {
        return Err(FormatError::Version(format.chars().take(40).collect()));
    }
    at_most(text.len())?;
    serde_json::from_str(text).map_err(FormatError::Manifest)
}

impl Manifest {
    /// Are the tensors of the file these variables, with their types and sums?
    pub(super) fn check(&self, found: &BTreeMap<String, (Type, u32)>) -> Result<(), FormatError> {
        let mut unseen: BTreeMap<&str, &(Type, u32)> =
            found.iter().map(|(name, is)| (name.as_str(), is)).collect();
        for Variable { name, ty, crc32, .. } in &self.variables {
            let Some((found_type, found_sum)) = unseen.remove(name.as_str()) else {
                return Err(FormatError::Disagree(name.clone()));
            };
            if found_type != ty {
                return Err(FormatError::Disagree(name.clone()));
            }
            if found_sum != crc32 {
                return Err(FormatError::Checksum(format!("tensor {name:?}")));
            }
        }
        match unseen.first_key_value() {
            Some((name, _)) => Err(FormatError::Disagree(name.to_string())),
            None => Ok(()),
        }
    }
}

/// The notes that the metadata hold.
pub(super) fn notes(metadata: BTreeMap<String, String>) -> Notes {
    let note = |(key, text): (String, String)| Some((key.strip_prefix(NOTE)?.to_string(), text));
    Notes(metadata.into_iter().filter_map(note).collect())
}
