//! Type rules that many operators share.

use pleach_graph::TypeError;
use pleach_tensor::{DType, Shape, Type};

/// Requirements on the type of an operand.
pub trait Require {
    /// The type, if it is a float.
    ///
    /// # Errors
    /// [`TypeError::DType`].
    fn require_float(&self, operand: usize) -> Result<Type, TypeError>;
    /// The type, if it is a float or an integer.
    ///
    /// # Errors
    /// [`TypeError::DType`].
    fn require_number(&self, operand: usize) -> Result<Type, TypeError>;
    /// The type, if its elements are `dtype`.
    ///
    /// # Errors
    /// [`TypeError::DType`].
    fn require_dtype(&self, operand: usize, dtype: DType) -> Result<Type, TypeError>;
    /// The type, if its elements are `i32` or `i64`.
    ///
    /// # Errors
    /// [`TypeError::DType`].
    fn require_index(&self, operand: usize) -> Result<Type, TypeError>;
    /// The type, if it equals `other`.
    ///
    /// # Errors
    /// [`TypeError::DTypes`], [`TypeError::Shapes`].
    fn require_same(&self, other: &Type) -> Result<Type, TypeError>;
}

impl Require for Type {
    fn require_float(&self, operand: usize) -> Result<Type, TypeError> {
        require(self, operand, self.dtype().is_float(), "a float")
    }

    fn require_number(&self, operand: usize) -> Result<Type, TypeError> {
        require(self, operand, self.dtype() != DType::Bool, "a number")
    }

    fn require_dtype(&self, operand: usize, dtype: DType) -> Result<Type, TypeError> {
        require(self, operand, self.dtype() == dtype, dtype.name())
    }

    fn require_index(&self, operand: usize) -> Result<Type, TypeError> {
        let index = matches!(self.dtype(), DType::I32 | DType::I64);
        require(self, operand, index, "i32 or i64")
    }

    fn require_same(&self, other: &Type) -> Result<Type, TypeError> {
        if self.dtype() != other.dtype() {
            return Err(TypeError::DTypes(self.dtype(), other.dtype()));
        }
        require_shape(self, other.shape())?;
        Ok(self.clone())
    }
}

fn require(
    ty: &Type,
    operand: usize,
    holds: bool,
    expected: &'static str,
) -> Result<Type, TypeError> {
    if holds {
        Ok(ty.clone())
    } else {
        Err(TypeError::DType { operand, expected, got: ty.dtype() })
    }
}

/// Are these the types expected, one for one?
///
/// # Errors
/// [`TypeError::Arity`], [`TypeError::DTypes`], [`TypeError::Shapes`].
pub(crate) fn require_types<'a>(
    got: &[&Type],
    expected: impl ExactSizeIterator<Item = &'a Type>,
) -> Result<(), TypeError> {
    if got.len() != expected.len() {
        return Err(TypeError::Arity { expected: expected.len(), got: got.len() });
    }
    got.iter().zip(expected).try_for_each(|(got, want)| got.require_same(want).map(drop))
}

/// Has the value this shape?
///
/// # Errors
/// [`TypeError::Shapes`].
pub fn require_shape(ty: &Type, shape: &Shape) -> Result<(), TypeError> {
    if ty.shape() == shape {
        Ok(())
    } else {
        Err(TypeError::Shapes(ty.shape().clone(), shape.clone()))
    }
}

/// Is `axis` one of `rank` axes?
///
/// # Errors
/// [`TypeError::Axis`].
pub fn require_axis(axis: usize, rank: usize) -> Result<usize, TypeError> {
    if axis < rank { Ok(axis) } else { Err(TypeError::Axis { axis: axis as i64, rank }) }
}

/// Are these axes of `rank`, in increasing order, each once?
///
/// # Errors
/// [`TypeError::Axis`], [`TypeError::Attribute`].
pub fn require_axes(axes: &[usize], rank: usize) -> Result<(), TypeError> {
    axes.iter().try_for_each(|&axis| require_axis(axis, rank).map(drop))?;
    if axes.windows(2).all(|w| w[0] < w[1]) {
        Ok(())
    } else {
        Err(TypeError::Attribute(format!("axes {axes:?} are not distinct and increasing")))
    }
}
