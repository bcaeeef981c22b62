//! The Rust types that a tensor can hold.

use std::fmt::Debug;

use ndarray::ArcArrayD;

use half::{bf16, f16};

use crate::{DType, Narrow, Tensor};

/// A Rust type that is the element of a tensor: `f32`, `f64`, [`f16`], [`bf16`], `i32`, `i64`, `u8`,
/// `bool`.
///
/// Conversions follow Rust's `as`: floats to integers saturate and NaN becomes 0, integers to
/// integers wrap; a number becomes `true` if it is not zero (NaN is not zero).
pub trait Element: Copy + PartialEq + Debug + Send + Sync + 'static {
    /// The element type that this Rust type stands for.
    const DTYPE: DType;
    /// As `f64`; exact for floats, `i32`, `u8` and `bool`.
    fn to_f64(self) -> f64;
    /// From `f64`, rounding once to the nearest, the even one of two.
    fn from_f64(value: f64) -> Self;
    /// As `i64`; floats are truncated.
    fn to_i64(self) -> i64;
    /// From `i64`, wrapping.
    fn from_i64(value: i64) -> Self;
    /// The bits, zero-extended: equality and hashing of constants go by these.
    fn to_bits64(self) -> u64;
    /// The opposite of [`Element::to_bits64`]; higher bits are ignored.
    fn from_bits64(bits: u64) -> Self;
    /// Wraps an array of this type.
    fn wrap(array: ArcArrayD<Self>) -> Tensor;
    /// The array inside, if the tensor holds this type.
    fn unwrap(tensor: &Tensor) -> Option<&ArcArrayD<Self>>;
}

/// `Rust type, variant: to f64, from f64, to i64, from i64, to bits, from bits`.
macro_rules! element {
    ($($rust:ident $variant:ident: $to:expr, $from:expr, $to_i:expr, $from_i:expr, $bits:expr, $of:expr;)*) => {$(
        impl Element for $rust {
            const DTYPE: DType = DType::$variant;
            #[inline]
            fn to_f64(self) -> f64 { let f: fn($rust) -> f64 = $to; f(self) }
            #[inline]
            fn from_f64(value: f64) -> Self { let f: fn(f64) -> $rust = $from; f(value) }
            #[inline]
            fn to_i64(self) -> i64 { let f: fn($rust) -> i64 = $to_i; f(self) }
            #[inline]
            fn from_i64(value: i64) -> Self { let f: fn(i64) -> $rust = $from_i; f(value) }
            #[inline]
            fn to_bits64(self) -> u64 { let f: fn($rust) -> u64 = $bits; f(self) }
            #[inline]
            fn from_bits64(bits: u64) -> Self { let f: fn(u64) -> $rust = $of; f(bits) }
            fn wrap(array: ArcArrayD<Self>) -> Tensor { Tensor::from_shared(array) }
            fn unwrap(tensor: &Tensor) -> Option<&ArcArrayD<Self>> {
                match tensor.storage() { crate::tensor::Storage::$variant(a) => Some(a), _ => None }
            }
        }
        impl crate::tensor::Stored for $rust {
            fn store(array: ArcArrayD<Self>) -> crate::tensor::Storage {
                crate::tensor::Storage::$variant(array)
            }
        }
    )*};
}

/// Numbers that Rust converts.
macro_rules! number {
    ($($rust:ident $variant:ident $bits:expr, $of:expr;)*) => {
        element! {$(
            $rust $variant: |x| x as f64, |x| x as $rust, |x| x as i64, |i| i as $rust, $bits, $of;
        )*}
    };
}

/// Floats of 16 bits.
macro_rules! narrow {
    ($($rust:ident $variant:ident;)*) => {
        element! {$(
            $rust $variant:
                |x| f64::from(x.widen()), $rust::narrow_f64,
                |x| x.widen() as i64, |i| $rust::narrow_f64(i as f64),
                |x| u64::from(x.to_bits()), |b| $rust::from_bits(b as u16);
        )*}
    };
}

number! {
    f32 F32 |x| u64::from(x.to_bits()), |b| f32::from_bits(b as u32);
    f64 F64 |x| x.to_bits(), f64::from_bits;
    i32 I32 |x| u64::from(x as u32), |b| b as i32;
    i64 I64 |x| x as u64, |b| b as i64;
    u8 U8 |x| u64::from(x), |b| b as u8;
}

narrow! {
    f16 F16;
    bf16 Bf16;
}

element! {
    bool Bool:
        |b| f64::from(u8::from(b)), |x| x != 0.0,
        i64::from, |i| i != 0,
        u64::from, |b| b & 0xff != 0;
}
