//! The type of a value: element type and shape.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{DType, Shape};

/// Why a shape is not the shape of any value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// The value would not fit the address space.
    #[error("{dtype}{shape} has more bytes than a machine can address")]
    TooLarge {
        /// Element type asked for.
        dtype: DType,
        /// Shape asked for.
        shape: Shape,
    },
    /// The text is not a type.
    #[error("expected a type such as f32[2, 3], got {0:?}")]
    Text(String),
}

/// Element type and shape of a value, printed `f32[32, 784]`.
///
/// A `Type` that exists is the type of a possible value: its size in bytes fits `isize`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Type {
    dtype: DType,
    shape: Shape,
}

impl Type {
    /// Checks the size of the shape.
    ///
    /// # Errors
    /// [`ShapeError::TooLarge`] if the number of bytes does not fit `isize`.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Result<Type, ShapeError> {
        let shape = shape.into();
        // Without the axes of length 0: strides and arrays count what lies beside them.
        let mut lengths = shape.iter().filter(|&&n| n != 0);
        let numel = lengths.try_fold(1usize, |p, &n| p.checked_mul(n));
        let fits = numel.is_some_and(|n| n <= isize::MAX as usize / 16);
        if fits { Ok(Type { dtype, shape }) } else { Err(ShapeError::TooLarge { dtype, shape }) }
    }

    /// The type of a scalar, `f32[]`.
    pub fn scalar(dtype: DType) -> Type {
        Type { dtype, shape: Shape::scalar() }
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of bytes.
    pub fn bytes(&self) -> usize {
        self.numel() * self.dtype.size()
    }

    /// The same shape with another element type. Always fits: 16 bytes an element were checked.
    pub fn with_dtype(&self, dtype: DType) -> Type {
        Type { dtype, shape: self.shape.clone() }
    }

    /// The same element type with another shape.
    ///
    /// # Errors
    /// As [`Type::new`].
    pub fn with_shape(&self, shape: impl Into<Shape>) -> Result<Type, ShapeError> {
        Type::new(self.dtype, shape)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

impl FromStr for Type {
    type Err = ShapeError;

    fn from_str(text: &str) -> Result<Self, ShapeError> {
        let bad = || ShapeError::Text(text.to_string());
        let (dtype, rest) = text.trim().split_once('[').ok_or_else(bad)?;
        let axes = rest.strip_suffix(']').ok_or_else(bad)?.trim();
        let shape = if axes.is_empty() {
            Shape::scalar()
        } else {
            axes.split(',')
                .map(|n| n.trim().parse::<usize>())
                .collect::<Result<_, _>>()
                .map_err(|_| bad())?
        };
        Type::new(dtype.parse().map_err(|_| bad())?, shape)
    }
}

impl TryFrom<String> for Type {
    type Error = ShapeError;
    fn try_from(text: String) -> Result<Self, ShapeError> {
        text.parse()
    }
}

impl From<Type> for String {
    fn from(ty: Type) -> String {
        ty.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BOOL, F32, I64};

    #[test]
    fn text_round_trips() {
        for ty in
            [Type::scalar(F32), Type::new(I64, [2, 3]).unwrap(), Type::new(BOOL, [0]).unwrap()]
        {
            assert_eq!(ty.to_string().parse::<Type>().unwrap(), ty);
        }
        for text in ["", "f32", "f32[", "f32[a]", "f33[2]", "f32[2]x", "f32[-1]"] {
            assert!(text.parse::<Type>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_type_too_large_for_the_machine_is_refused() {
        let err = Type::new(F32, [1 << 40, 1 << 40]).unwrap_err();
        assert_eq!(
            err.to_string(),
            "f32[1099511627776, 1099511627776] has more bytes than a machine can address"
        );
        assert!(Type::new(F32, [usize::MAX / 32]).is_ok());
        assert!(Type::new(F32, [usize::MAX / 31]).is_err());
        // An axis of length 0 does not excuse the others.
        assert!(Type::new(F32, [usize::MAX / 31, 0]).is_err());
    }
}
