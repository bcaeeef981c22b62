//! Values: shared, immutable, row-major arrays of one of the element types.

use std::fmt;
use std::hash::{Hash, Hasher};

use half::{bf16, f16};
use ndarray::{ArcArrayD, Array, ArrayD, ArrayView, Dimension, IxDyn};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::{DType, Element, Key, Shape, ShapeError, Type, for_dtype};

/// Why a tensor could not be made or read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The shape is the shape of no value.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Number of elements and shape disagree.
    #[error("shape {shape} needs {expected} elements, got {got}")]
    Length {
        /// Shape asked for.
        shape: Shape,
        /// Its number of elements.
        expected: usize,
        /// Elements given.
        got: usize,
    },
    /// The tensor holds another element type.
    #[error("expected {expected} elements, got {got}")]
    DType {
        /// Element type asked for.
        expected: DType,
        /// Element type held.
        got: DType,
    },
}

/// The arrays by element type. Private: [`Element`] reads it.
#[derive(Clone)]
pub(crate) enum Storage {
    F32(ArcArrayD<f32>),
    F64(ArcArrayD<f64>),
    F16(ArcArrayD<f16>),
    Bf16(ArcArrayD<bf16>),
    I32(ArcArrayD<i32>),
    I64(ArcArrayD<i64>),
    U8(ArcArrayD<u8>),
    Bool(ArcArrayD<bool>),
}

/// How an element type gets into [`Storage`].
pub(crate) trait Stored: Sized {
    fn store(array: ArcArrayD<Self>) -> Storage;
}

/// A value: an immutable row-major array that clones in constant time.
///
/// Equality and hashing go by bits: NaN equals the same NaN, `-0.0` differs from `0.0`. For
/// numerical comparison see [`compare`](crate::compare).
#[derive(Clone)]
pub struct Tensor {
    ty: Type,
    storage: Storage,
}

impl Tensor {
    /// A tensor from its elements in row-major order.
    ///
    /// # Errors
    /// [`TensorError::Length`] if the number of elements is not the product of the shape.
    pub fn new<T: Element>(shape: impl Into<Shape>, data: Vec<T>) -> Result<Tensor, TensorError> {
        let ty = Type::new(T::DTYPE, shape)?;
        if ty.numel() != data.len() {
            let (shape, expected) = (ty.shape().clone(), ty.numel());
            return Err(TensorError::Length { shape, expected, got: data.len() });
        }
        Ok(Self::from_checked(&ty, data))
    }

    /// A tensor of a known type. `data` must have `ty.numel()` elements of `ty`'s element type.
    fn from_checked<T: Element>(ty: &Type, data: Vec<T>) -> Tensor {
        debug_assert_eq!((ty.dtype(), ty.numel()), (T::DTYPE, data.len()));
        let array = ArrayD::from_shape_vec(IxDyn(ty.shape()), data)
            .expect("the number of elements was checked");
        T::wrap(array.into_shared())
    }

    pub(crate) fn from_shared<T: Element + Stored>(array: ArcArrayD<T>) -> Tensor {
        let ty = Type::new(T::DTYPE, array.shape())
            .expect("an array that exists fits the address space");
        let array =
            if array.is_standard_layout() { array } else { array.as_standard_layout().to_shared() };
        Tensor { ty, storage: T::store(array) }
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// A scalar.
    pub fn scalar<T: Element>(value: T) -> Tensor {
        Self::from_checked(&Type::scalar(T::DTYPE), vec![value])
    }

    /// Every element equal to `value`, converted as [`Element::from_f64`] does.
    pub fn full(ty: &Type, value: f64) -> Tensor {
        Self::build(ty, |_| value)
    }

    /// Element `i` (row-major) is `f(i)`, converted as [`Element::from_f64`] does.
    pub fn build(ty: &Type, f: impl FnMut(usize) -> f64) -> Tensor {
        let mut f = f;
        for_dtype!(ty.dtype(), T => {
            Self::from_checked(ty, (0..ty.numel()).map(|i| <T as Element>::from_f64(f(i))).collect())
        })
    }

    /// As [`Tensor::build`] from integers: exact over the whole range of `i64`.
    pub fn build_i64(ty: &Type, f: impl FnMut(usize) -> i64) -> Tensor {
        let mut f = f;
        for_dtype!(ty.dtype(), T => {
            Self::from_checked(ty, (0..ty.numel()).map(|i| <T as Element>::from_i64(f(i))).collect())
        })
    }

    /// Uniform draws in `[low, high)` from `key`; see [`Key::uniform`].
    pub fn uniform(ty: &Type, key: Key, low: f64, high: f64) -> Tensor {
        Self::build(ty, |i| low + (high - low) * key.uniform(ty.dtype(), i as u64))
    }

    /// Normal draws from `key`; see [`Key::normal_f64`].
    pub fn normal(ty: &Type, key: Key, mean: f64, std: f64) -> Tensor {
        Self::build(ty, |i| mean + std * key.normal_f64(i as u64))
    }

    /// The type.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.ty.dtype()
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        self.ty.shape()
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        self.ty.numel()
    }

    /// The elements in row-major order.
    ///
    /// # Errors
    /// [`TensorError::DType`] if the tensor holds another element type.
    pub fn as_slice<T: Element>(&self) -> Result<&[T], TensorError> {
        let array =
            T::unwrap(self).ok_or(TensorError::DType { expected: T::DTYPE, got: self.dtype() })?;
        Ok(array.as_slice().expect("tensors are row-major"))
    }

    /// A copy of the elements in row-major order.
    ///
    /// # Errors
    /// [`TensorError::DType`] if the tensor holds another element type.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, TensorError> {
        self.as_slice::<T>().map(<[T]>::to_vec)
    }

    /// The array inside, sharing its elements.
    ///
    /// # Errors
    /// [`TensorError::DType`] if the tensor holds another element type.
    pub fn to_array<T: Element>(&self) -> Result<ArcArrayD<T>, TensorError> {
        T::unwrap(self).cloned().ok_or(TensorError::DType { expected: T::DTYPE, got: self.dtype() })
    }

    /// Element `index` (row-major) as `f64`, or `None` past the end.
    pub fn get(&self, index: usize) -> Option<f64> {
        for_dtype!(self.dtype(), T => {
            self.as_slice::<T>().ok()?.get(index).map(|x| x.to_f64())
        })
    }

    /// The only element, as `f64`, or `None` if there is not exactly one.
    pub fn item(&self) -> Option<f64> {
        if self.numel() == 1 { self.get(0) } else { None }
    }

    /// All elements as `f64`, row-major.
    pub fn to_f64s(&self) -> Vec<f64> {
        for_dtype!(self.dtype(), T => {
            self.as_slice::<T>().unwrap_or_default().iter().map(|x| x.to_f64()).collect()
        })
    }

    /// All elements as `i64`, row-major; floats are truncated.
    pub fn to_i64s(&self) -> Vec<i64> {
        for_dtype!(self.dtype(), T => {
            self.as_slice::<T>().unwrap_or_default().iter().map(|x| x.to_i64()).collect()
        })
    }

    /// The same elements under another shape.
    ///
    /// # Errors
    /// [`TensorError::Length`] if the number of elements differs.
    pub fn reshape(&self, shape: impl Into<Shape>) -> Result<Tensor, TensorError> {
        let ty = self.ty.with_shape(shape)?;
        if ty.numel() != self.numel() {
            let (shape, expected) = (ty.shape().clone(), ty.numel());
            return Err(TensorError::Length { shape, expected, got: self.numel() });
        }
        let shape = IxDyn(ty.shape());
        Ok(for_dtype!(self.dtype(), T => {
            let array = self.to_array::<T>()?;
            T::wrap(array.into_shape_with_order(shape).expect("the length was checked"))
        }))
    }

    /// The elements converted to `dtype`, as [`Element`] describes.
    pub fn cast(&self, dtype: DType) -> Tensor {
        let ty = self.ty.with_dtype(dtype);
        match (self.dtype(), dtype) {
            (a, b) if a == b => self.clone(),
            (a, b) if a.is_float() || b.is_float() || b == DType::Bool => {
                for_dtype!(self.dtype(), S => for_dtype!(dtype, T => {
                    let data = self.as_slice::<S>().unwrap_or_default();
                    Self::from_checked(
                        &ty,
                        data.iter().map(|x| <T as Element>::from_f64(x.to_f64())).collect(),
                    )
                }))
            }
            _ => {
                let data = self.to_i64s();
                Self::build_i64(&ty, |i| data[i])
            }
        }
    }

    /// If all elements have the same bits, that value as `f64`; `None` for empty tensors.
    pub fn splat(&self) -> Option<f64> {
        for_dtype!(self.dtype(), T => {
            let data = self.as_slice::<T>().ok()?;
            let first = data.first()?;
            let bits = first.to_bits64();
            data.iter().all(|x| x.to_bits64() == bits).then(|| first.to_f64())
        })
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.ty == other.ty
            && for_dtype!(self.dtype(), T => {
                let (a, b) = (self.as_slice::<T>(), other.as_slice::<T>());
                match (a, b) {
                    (Ok(a), Ok(b)) => a.iter().zip(b).all(|(x, y)| x.to_bits64() == y.to_bits64()),
                    _ => false,
                }
            })
    }
}

impl Eq for Tensor {}

impl Hash for Tensor {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ty.hash(state);
        for_dtype!(self.dtype(), T => {
            for x in self.as_slice::<T>().unwrap_or_default() {
                x.to_bits64().hash(state);
            }
        });
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.ty)?;
        for_dtype!(self.dtype(), T => {
            let array = self.to_array::<T>().map_err(|_| fmt::Error)?;
            write!(f, "{array:?}", array = array.view())
        })
    }
}

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for_dtype!(self.dtype(), T => {
            fmt::Display::fmt(&self.to_array::<T>().map_err(|_| fmt::Error)?, f)
        })
    }
}

impl<T: Element, D: Dimension> From<Array<T, D>> for Tensor {
    fn from(array: Array<T, D>) -> Tensor {
        T::wrap(array.into_dyn().into_shared())
    }
}

impl<T: Element, D: Dimension> From<ArrayView<'_, T, D>> for Tensor {
    fn from(array: ArrayView<'_, T, D>) -> Tensor {
        array.to_owned().into()
    }
}

impl<T: Element> From<T> for Tensor {
    fn from(value: T) -> Tensor {
        Tensor::scalar(value)
    }
}

/// The wire form: type and elements. Integers travel as integers, floats as shortest decimals.
#[derive(Serialize, Deserialize)]
struct Wire {
    ty: Type,
    data: Vec<Number>,
}

/// An element on the wire. What is read is never a `Single`: a `Float` comes first.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Bool(bool),
    Int(i64),
    Float(f64),
    Single(f32),
}

impl Number {
    fn of<T: Element>(x: &T) -> Number {
        match T::DTYPE {
            DType::Bool => Number::Bool(x.to_i64() != 0),
            DType::F64 => Number::Float(x.to_f64()),
            dtype if dtype.is_float() => Number::Single(x.to_f64() as f32),
            _ => Number::Int(x.to_i64()),
        }
    }

    fn get<T: Element>(&self) -> T {
        match *self {
            Number::Bool(b) => T::from_i64(i64::from(b)),
            Number::Int(i) => T::from_i64(i),
            Number::Float(x) => T::from_f64(x),
            Number::Single(x) => T::from_f64(f64::from(x)),
        }
    }
}

impl Serialize for Tensor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let data = for_dtype!(self.dtype(), T => {
            self.as_slice::<T>().unwrap_or_default().iter().map(Number::of).collect()
        });
        Wire { ty: self.ty.clone(), data }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tensor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { ty, data } = Wire::deserialize(deserializer)?;
        if ty.numel() != data.len() {
            return Err(de::Error::invalid_length(data.len(), &"as many elements as the type"));
        }
        Ok(for_dtype!(ty.dtype(), T => {
            Tensor::from_checked(&ty, data.iter().map(Number::get::<T>).collect())
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BF16, BOOL, F16, F32, F64, I32, I64, U8};
    use ndarray::array;

    #[test]
    fn arrays_go_in_and_out_in_row_major_order() {
        let a = array![[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let t: Tensor = a.clone().into();
        assert_eq!(t.ty().to_string(), "f32[2, 3]");
        assert_eq!(t.to_array::<f32>().unwrap(), a.into_dyn());
        let turned: Tensor = array![[1i64, 2], [3, 4]].reversed_axes().into();
        assert_eq!(turned.to_vec::<i64>().unwrap(), [1, 3, 2, 4]);
    }

    #[test]
    fn wrong_lengths_and_types_are_errors() {
        let err = Tensor::new([2, 2], vec![1.0f32; 3]).unwrap_err();
        assert_eq!(err.to_string(), "shape [2, 2] needs 4 elements, got 3");
        let err = Tensor::scalar(1.0f32).to_vec::<i64>().unwrap_err();
        assert_eq!(err.to_string(), "expected i64 elements, got f32");
        assert!(Tensor::scalar(1u8).reshape([2]).is_err());
    }

    #[test]
    fn equality_goes_by_bits() {
        assert_eq!(Tensor::scalar(f32::NAN), Tensor::scalar(f32::NAN));
        assert_ne!(Tensor::scalar(0.0f64), Tensor::scalar(-0.0f64));
        assert_ne!(Tensor::scalar(1.0f64), Tensor::scalar(1.0f32));
    }

    #[test]
    fn casts_saturate_wrap_and_test_for_zero() {
        let x = Tensor::new([4], vec![f32::NAN, 1e20, -1.5, 0.0]).unwrap();
        assert_eq!(x.cast(I32).to_vec::<i32>().unwrap(), [0, i32::MAX, -1, 0]);
        assert_eq!(x.cast(BOOL).to_vec::<bool>().unwrap(), [true, true, true, false]);
        assert_eq!(Tensor::scalar(-1i64).cast(U8).to_vec::<u8>().unwrap(), [255]);
        assert_eq!(Tensor::scalar(i64::MAX).cast(I64).item(), Some(i64::MAX as f64));
        assert_eq!(Tensor::scalar(true).cast(F64), Tensor::scalar(1.0f64));
    }

    #[test]
    fn floats_of_16_bits_are_rounded_once_and_read_back() {
        // Half a digit above 1, and a bit that no single has: upwards.
        let x =
            Tensor::new([3], vec![1.0 + 2f64.powi(-8) + 2f64.powi(-40), -65520.0, 1e-9]).unwrap();
        assert_eq!(x.cast(BF16).to_f64s(), [1.0078125, -65536.0, 9.968061931431293e-10]);
        assert_eq!(x.cast(F16).to_f64s(), [1.00390625, f64::NEG_INFINITY, 0.0]);
        assert_eq!(x.cast(BF16).cast(F32).cast(F16).cast(F64).to_f64s()[0], 1.0078125);
        for dtype in [BF16, F16] {
            let y = x.cast(dtype);
            assert_eq!(y.ty().to_string(), format!("{dtype}[3]"));
            assert_eq!(y.cast(F32).cast(dtype), y);
        }
        let u = Tensor::uniform(&Type::new(BF16, [4000]).unwrap(), Key(1), 0.0, 1.0).to_f64s();
        assert!(u.iter().all(|u| (0.0..1.0).contains(u) && (u * 256.0).fract() == 0.0));
    }

    #[test]
    fn splat_is_found_by_bits() {
        assert_eq!(Tensor::full(&Type::new(F32, [3]).unwrap(), 2.0).splat(), Some(2.0));
        assert_eq!(Tensor::new([2], vec![0.0f32, -0.0]).unwrap().splat(), None);
        assert_eq!(Tensor::full(&Type::new(F32, [0]).unwrap(), 2.0).splat(), None);
    }

    #[test]
    fn integers_are_exact_beyond_doubles() {
        let big = (1i64 << 53) + 1;
        let t = Tensor::build_i64(&Type::scalar(I64), |_| big);
        assert_eq!(t.to_i64s(), [big]);
    }
}
