//! The header: which tensors, of which types, where.
//!
//! The library's own reader builds the whole header as generic JSON before it looks at it, takes
//! the last of two equal names, and does not name the tensor whose type it does not know; so the
//! header is read here, entry by entry, and tests hold the library against it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;

use ::safetensors::tensor::{Dtype, TensorInfo};
use pleach_tensor::{DType, Shape, Tensor, Type};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as Derive, Serialize, Serializer, ser::SerializeMap};

use crate::FormatError;

const METADATA: &str = "__metadata__";
/// The library refuses more.
const MAX_HEADER: u64 = 100_000_000;
/// More than any model has. With [`MAX_NAMES`] it bounds what a small hostile file can allocate.
const MAX_RANK: usize = 16;
/// Tensors in a file, and metadata entries.
const MAX_NAMES: usize = 65_536;

pub(crate) fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::F16 => Dtype::F16,
        DType::Bf16 => Dtype::BF16,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

/// What the header says, checked against the length of the file.
pub(crate) struct Header {
    /// In their order in the file.
    pub(crate) entries: Vec<(String, Type)>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// The length and the header, padded with spaces to a multiple of 8 bytes.
pub(crate) fn write<'t>(
    tensors: impl Iterator<Item = (&'t str, &'t Tensor)>,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, FormatError> {
    at_most(MAX_NAMES, "metadata entries", metadata.len())?;
    let mut names = BTreeSet::new();
    let mut entries = Vec::new();
    let mut end = 0usize;
    for (name, tensor) in tensors {
        if name == METADATA {
            return Err(FormatError::ReservedName);
        }
        if !names.insert(name) {
            return Err(FormatError::DuplicateName(name.to_string()));
        }
        at_most(MAX_RANK, "axes of a tensor", tensor.shape().rank())?;
        at_most(MAX_NAMES, "tensors", names.len())?;
        let start = end;
        end += tensor.ty().bytes();
        let (dtype, shape) = (dtype(tensor.dtype()), tensor.shape().to_vec());
        entries.push((name, TensorInfo { dtype, shape, data_offsets: (start, end) }));
    }
    let text = serde_json::to_vec(&Writing { metadata, entries }).map_err(FormatError::Header)?;
    let len = text.len().next_multiple_of(8);
    if len as u64 > MAX_HEADER {
        return Err(FormatError::HeaderLength { header: len as u64, limit: MAX_HEADER });
    }
    let mut bytes = (len as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    bytes.resize(8 + len, b' ');
    Ok(bytes)
}

/// Reads length and header; `len` is that of the file.
pub(crate) fn read(input: &mut impl Read, len: u64) -> Result<Header, FormatError> {
    let Some(after) = len.checked_sub(8) else { return Err(FormatError::Short(len)) };
    let mut length = [0u8; 8];
    input.read_exact(&mut length).map_err(FormatError::io("read"))?;
    let header = u64::from_le_bytes(length);
    let limit = after.min(MAX_HEADER);
    if header > limit {
        return Err(FormatError::HeaderLength { header, limit });
    }
    let mut text = vec![0u8; header as usize];
    input.read_exact(&mut text).map_err(FormatError::io("read"))?;
    if text.first() != Some(&b'{') {
        return Err(FormatError::HeaderStart);
    }
    let Raw { mut entries, metadata } =
        serde_json::from_slice(&text).map_err(FormatError::Header)?;
    drop(text);
    let metadata = unique(metadata)?;
    let mut names = BTreeSet::new();
    if let Some((name, _)) = entries.iter().find(|(name, _)| !names.insert(name)) {
        return Err(FormatError::DuplicateName(name.clone()));
    }
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut end = 0u64;
    let mut typed = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let ty = entry.ty(&name)?;
        let (start, found) = (end, entry.data_offsets);
        end = start.saturating_add(ty.bytes() as u64);
        if found != (start, end) {
            return Err(FormatError::Offsets { tensor: name, start, end, found });
        }
        typed.push((name, ty));
    }
    if end != after - header {
        return Err(FormatError::Length { expected: end, found: after - header });
    }
    Ok(Header { entries: typed, metadata })
}

fn at_most(limit: usize, what: &'static str, got: usize) -> Result<(), FormatError> {
    if got > limit { Err(FormatError::Limit { what, got, limit }) } else { Ok(()) }
}

fn unique(pairs: Vec<(String, String)>) -> Result<BTreeMap<String, String>, FormatError> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        if map.contains_key(&key) {
            return Err(FormatError::DuplicateName(key));
        }
        map.insert(key, value);
    }
    Ok(map)
}

/// One tensor as the header states it.
#[derive(Derive)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: String,
    shape: Axes,
    data_offsets: (u64, u64),
}

impl Entry {
    fn ty(&self, name: &str) -> Result<Type, FormatError> {
        let tensor = || name.to_string();
        let dtype = match self.dtype.as_str() {
            "F32" => DType::F32,
            "F64" => DType::F64,
            "F16" => DType::F16,
            "BF16" => DType::Bf16,
            "I32" => DType::I32,
            "I64" => DType::I64,
            "U8" => DType::U8,
            "BOOL" => DType::Bool,
            _ => {
                let dtype = self.dtype.chars().take(40).collect();
                return Err(FormatError::DType { tensor: tensor(), dtype });
            }
        };
        Type::new(dtype, &self.shape.0)
            .map_err(|source| FormatError::Shape { tensor: tensor(), source })
    }
}

/// A shape of at most [`MAX_RANK`] axes: `[0,0,0,…` is refused before it takes memory.
struct Axes(Shape);

impl<'de> Deserialize<'de> for Axes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Axes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MAX_RANK} axes")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut axes: A) -> Result<Axes, A::Error> {
                let mut shape = Vec::new();
                while let Some(n) = axes.next_element::<usize>()? {
                    if shape.len() == MAX_RANK {
                        return Err(de::Error::invalid_length(MAX_RANK + 1, &self));
                    }
                    shape.push(n);
                }
                Ok(Axes(shape.into()))
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

/// A JSON object as a list: two equal keys stay two.
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Pairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    room(&pairs)?;
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// Is there room for one more name?
fn room<T, E: de::Error>(names: &[T]) -> Result<(), E> {
    let full = names.len() >= MAX_NAMES;
    if full { Err(E::custom(format_args!("more than {MAX_NAMES} names"))) } else { Ok(()) }
}

struct Raw {
    entries: Vec<(String, Entry)>,
    metadata: Vec<(String, String)>,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let (mut entries, mut metadata) = (Vec::new(), None);
                while let Some(key) = map.next_key::<String>()? {
                    if key != METADATA {
                        room(&entries)?;
                        entries.push((key, map.next_value()?));
                    } else if metadata.replace(map.next_value::<Pairs>()?.0).is_some() {
                        return Err(de::Error::duplicate_field(METADATA));
                    }
                }
                Ok(Raw { entries, metadata: metadata.unwrap_or_default() })
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

struct Writing<'a> {
    metadata: &'a BTreeMap<String, String>,
    entries: Vec<(&'a str, TensorInfo)>,
}

impl Serialize for Writing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.metadata.is_empty() {
            map.serialize_entry(METADATA, self.metadata)?;
        }
        for (name, info) in &self.entries {
            map.serialize_entry(name, info)?;
        }
        map.end()
    }
}
