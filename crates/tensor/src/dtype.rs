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
    /// IEEE 754 half precision, 2 bytes: 11 significant bits, up to 65504.
    F16,
    /// The upper half of a single, 2 bytes: 8 significant bits, the range of [`DType::F32`].
    Bf16,
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
/// [`DType::F16`].
pub const F16: DType = DType::F16;
/// [`DType::Bf16`].
pub const BF16: DType = DType::Bf16;
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
    pub const ALL: [DType; 8] = [
        DType::F32,
        DType::F64,
        DType::F16,
        DType::Bf16,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::Bool,
    ];

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 | DType::I32 => 4,
            DType::F16 | DType::Bf16 => 2,
            DType::U8 | DType::Bool => 1,
        }
    }

    /// The name in text form: `f32`, `i64`, `bool`.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::F16 => "f16",
            DType::Bf16 => "bf16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U8 => "u8",
            DType::Bool => "bool",
        }
    }

    /// Is it `f32`, `f64`, `f16` or `bf16`? Gradients exist for these only.
    pub const fn is_float(self) -> bool {
        self.is_wide() || self.is_half()
    }

    /// Is it `f32` or `f64`, a float that is computed with?
    pub const fn is_wide(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// Is it a float of 16 bits, `f16` or `bf16`? They are stored; what computes with them does it in
    /// [`DType::compute`], and rounds once.
    pub const fn is_half(self) -> bool {
        matches!(self, DType::F16 | DType::Bf16)
    }

    /// The element type that sums, products and the like are computed in: `f32` for floats of 16 bits,
    /// any other type itself.
    pub const fn compute(self) -> DType {
        if self.is_half() { DType::F32 } else { self }
    }

    /// The distance from 1 to the next number: 2 to minus the number of digits after the first.
    pub const fn epsilon(self) -> f64 {
        match self {
            DType::F32 => f32::EPSILON as f64,
            DType::F64 => f64::EPSILON,
            DType::F16 => 1.0 / (1 << 10) as f64,
            DType::Bf16 => 1.0 / (1 << 7) as f64,
            _ => 1.0,
        }
    }

    /// The largest finite number of a float type; of others the largest that it holds, as `f64`.
    pub const fn largest(self) -> f64 {
        match self {
            DType::F32 => f32::MAX as f64,
            DType::F64 => f64::MAX,
            DType::F16 => 65504.0,
            DType::Bf16 => 255.0 * (1u128 << 120) as f64,
            DType::I32 => i32::MAX as f64,
            DType::I64 => i64::MAX as f64,
            DType::U8 => u8::MAX as f64,
            DType::Bool => 1.0,
        }
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
