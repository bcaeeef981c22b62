//! The Rust types that a tensor can hold.

use std::fmt::Debug;

use ndarray::ArcArrayD;

use crate::{DType, Tensor};

/// A Rust type that is the element of a tensor: `f32`, `f64`, `i32`, `i64`, `u8`, `bool`.
///
/// Conversions follow Rust's `as`: floats to integers saturate and NaN becomes 0, integers to
/// integers wrap; a number becomes `true` if it is not zero (NaN is not zero).
pub trait Element: Copy + PartialEq + Debug + Send + Sync + 'static {
    /// The element type that this Rust type stands for.
    const DTYPE: DType;
    /// As `f64`; exact for `f32`, `i32`, `u8` and `bool`.
    fn to_f64(self) -> f64;
    /// From `f64`, rounding to nearest for `f32`.
    fn from_f64(value: f64) -> Self;
    /// As `i64`; floats are truncated.
    fn to_i64(self) -> i64;
    /// From `i64`, wrapping.
    fn from_i64(value: i64) -> Self;
    /// The bits, zero-extended: equality and hashing of constants go by these.
    fn to_bits64(self) -> u64;
    /// Wraps an array of this type.
    fn wrap(array: ArcArrayD<Self>) -> Tensor;
    /// The array inside, if the tensor holds this type.
    fn unwrap(tensor: &Tensor) -> Option<&ArcArrayD<Self>>;
}

macro_rules! element {
    ($($rust:ident $variant:ident $bits:expr;)*) => {$(
        impl Element for $rust {
            const DTYPE: DType = DType::$variant;
            #[inline]
            fn to_f64(self) -> f64 { self as f64 }
            #[inline]
            fn from_f64(value: f64) -> Self { value as $rust }
            #[inline]
            fn to_i64(self) -> i64 { self as i64 }
            #[inline]
            fn from_i64(value: i64) -> Self { value as $rust }
            #[inline]
            fn to_bits64(self) -> u64 { let bits: fn($rust) -> u64 = $bits; bits(self) }
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

element! {
    f32 F32 |x| u64::from(x.to_bits());
    f64 F64 |x| x.to_bits();
    i32 I32 |x| u64::from(x as u32);
    i64 I64 |x| x as u64;
    u8 U8 |x| u64::from(x);
}

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
    #[inline]
    fn from_f64(value: f64) -> Self {
        value != 0.0
    }
    #[inline]
    fn to_i64(self) -> i64 {
        i64::from(self)
    }
    #[inline]
    fn from_i64(value: i64) -> Self {
        value != 0
    }
    #[inline]
    fn to_bits64(self) -> u64 {
        u64::from(self)
    }
    fn wrap(array: ArcArrayD<Self>) -> Tensor {
        Tensor::from_shared(array)
    }
    fn unwrap(tensor: &Tensor) -> Option<&ArcArrayD<Self>> {
        match tensor.storage() {
            crate::tensor::Storage::Bool(a) => Some(a),
            _ => None,
        }
    }
}

impl crate::tensor::Stored for bool {
    fn store(array: ArcArrayD<Self>) -> crate::tensor::Storage {
        crate::tensor::Storage::Bool(array)
    }
}
