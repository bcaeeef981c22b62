//! Element types.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The type of one element of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// IEEE 754 single precision, 4 bytes.
    F32,
    /// IEEE 754 double precision, 8 bytes.
    F64,
    /// Signed, 4 bytes; arithmetic wraps.
    I32,
    /// Signed, 8 bytes; arithmetic wraps. Labels, indices, counters and random keys.
    I64,
    /// Unsigned, 1 byte; arithmetic wraps.
    U8,
    /// True or false, 1 byte.
    Bool,
}

/// [`DType::F32`].
pub const F32: DType = DType::F32;
/// [`DType::F64`].
pub const F64: DType = DType::F64;
/// [`DType::I32`].
pub const I32: DType = DType::I32;
/// [`DType::I64`].
pub const I64: DType = DType::I64;
/// [`DType::U8`].
pub const U8: DType = DType::U8;
/// [`DType::Bool`].
pub const BOOL: DType = DType::Bool;

impl DType {
    /// Every element type, in the order of the enum.
    pub const ALL: [DType; 6] =
        [DType::F32, DType::F64, DType::I32, DType::I64, DType::U8, DType::Bool];

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 | DType::I32 => 4,
            DType::U8 | DType::Bool => 1,
        }
    }

    /// The name in text form: `f32`, `i64`, `bool`.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U8 => "u8",
            DType::Bool => "bool",
        }
    }

    /// Is it `f32` or `f64`? Gradients exist for these only.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// Is it `i32`, `i64` or `u8`?
    pub const fn is_int(self) -> bool {
        matches!(self, DType::I32 | DType::I64 | DType::U8)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|d| d.name() == text)
            .ok_or_else(|| format!("unknown element type {text:?}"))
    }
}
