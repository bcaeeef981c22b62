//! Values of a computation: element types, shapes, types, tensors, and the random stream.
//!
//! This crate knows no graph. Everything above it speaks in its words:
//!
//! | I want to… | item |
//! |---|---|
//! | name an element type | [`DType`], [`F32`], [`F64`], [`F16`], [`BF16`], [`I32`], [`I64`], [`U8`], [`BOOL`] |
//! | describe a value | [`Type`], printed `f32[32, 784]`, and [`Shape`] |
//! | hold a value | [`Tensor`], from and to `ndarray` |
//! | draw random numbers that depend on nothing but a key and an index | [`Key`] |
//! | say how far two values are apart | [`compare`] |
//!
//! ```
//! use pleach_tensor::{F32, Tensor, Type};
//! let x = Tensor::new([2, 2], vec![1.0f32, 2.0, 3.0, 4.0])?;
//! assert_eq!(x.ty(), &Type::new(F32, [2, 2])?);
//! assert_eq!(x.ty().to_string(), "f32[2, 2]");
//! # Ok::<(), pleach_tensor::TensorError>(())
//! ```

pub mod compare;
mod dtype;
mod element;
mod narrow;
mod random;
mod shape;
mod tensor;
mod types;

pub use dtype::{BF16, BOOL, DType, F16, F32, F64, I32, I64, U8};
pub use element::Element;
pub use half::{bf16, f16};
pub use narrow::Narrow;
pub use random::{Key, philox4x32_10};
pub use shape::Shape;
pub use tensor::{Tensor, TensorError};
pub use types::{ShapeError, Type};

/// Expands `$body` once per element type, with `$T` bound to the Rust type of `$dtype`.
///
/// ```
/// use pleach_tensor::{DType, for_dtype};
/// let bytes = for_dtype!(DType::F64, T => std::mem::size_of::<T>());
/// assert_eq!(bytes, 8);
/// ```
#[macro_export]
macro_rules! for_dtype {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            $crate::DType::F16 => {
                type $T = $crate::f16;
                $body
            }
            $crate::DType::Bf16 => {
                type $T = $crate::bf16;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::Bool => {
                type $T = bool;
                $body
            }
        }
    };
}
