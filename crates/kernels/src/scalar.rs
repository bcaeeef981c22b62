//! Operations on single elements, and constants.

use std::fmt;

use pleach_tensor::{DType, Element, for_dtype};

/// A constant of one element type. Equality and hashing go by bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scalar {
    dtype: DType,
    bits: u64,
}

impl Scalar {
    /// `value` converted as [`Element::from_f64`] does.
    pub fn from_f64(dtype: DType, value: f64) -> Scalar {
        let bits = for_dtype!(dtype, T => <T as Element>::from_f64(value).to_bits64());
        Scalar { dtype, bits }
    }

    /// `value` converted as [`Element::from_i64`] does.
    pub fn from_i64(dtype: DType, value: i64) -> Scalar {
        let bits = for_dtype!(dtype, T => <T as Element>::from_i64(value).to_bits64());
        Scalar { dtype, bits }
    }

    /// The value of [`Lowering::Fill`](crate::Lowering::Fill): integers go through a cast to i64.
    pub fn fill(dtype: DType, value: f64) -> Scalar {
        if dtype.is_int() {
            Scalar::from_i64(dtype, value as i64)
        } else {
            Scalar::from_f64(dtype, value)
        }
    }

    /// The element type.
    pub fn dtype(self) -> DType {
        self.dtype
    }

    /// The bits, zero-extended.
    pub fn bits(self) -> u64 {
        self.bits
    }

    /// The value as `f64` (integers beyond 2⁵³ are rounded).
    pub fn to_f64(self) -> f64 {
        for_dtype!(self.dtype, T => <T as Element>::from_bits64(self.bits).to_f64())
    }

    /// The value as `i64`; floats are truncated.
    pub fn to_i64(self) -> i64 {
        for_dtype!(self.dtype, T => <T as Element>::from_bits64(self.bits).to_i64())
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dtype.is_float() {
            write!(f, "{:?}_{}", self.to_f64(), self.dtype)
        } else {
            write!(f, "{}_{}", self.to_i64(), self.dtype)
        }
    }
}

/// An operation on elements. Floats follow IEEE 754 without contraction, integers wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScalarOp {
    /// The operand.
    Copy,
    /// Opposite.
    Neg,
    /// Absolute value.
    Abs,
    /// -1, 0 or 1; NaN and ±0 stay.
    Sign,
    /// Exponential (floats, as everything down to [`Floor`](ScalarOp::Floor)).
    Exp,
    /// Natural logarithm, NaN below 0.
    Ln,
    /// Natural logarithm of 1 + x.
    Ln1p,
    /// `exp(x) - 1`, with all digits.
    Expm1,
    /// Power of two.
    Exp2,
    /// Logarithm to base 2.
    Log2,
    /// Logarithm to base 10.
    Log10,
    /// Tangent.
    Tan,
    /// Inverse sine.
    Asin,
    /// Inverse cosine.
    Acos,
    /// Inverse tangent.
    Atan,
    /// Hyperbolic sine.
    Sinh,
    /// Hyperbolic cosine.
    Cosh,
    /// Inverse hyperbolic sine.
    Asinh,
    /// Inverse hyperbolic cosine.
    Acosh,
    /// Inverse hyperbolic tangent.
    Atanh,
    /// `1 - erf(x)`, with all digits.
    Erfc,
    /// Inverse error function.
    Erfinv,
    /// Distribution function of the standard normal distribution, with all digits.
    NormalCdf,
    /// Logarithm of the absolute value of the gamma function.
    Lgamma,
    /// Smallest integer not below.
    Ceil,
    /// Nearest integer, the even one of two.
    Round,
    /// Integer part.
    Trunc,
    /// Hyperbolic tangent.
    Tanh,
    /// Square root.
    Sqrt,
    /// Error function.
    Erf,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// `1 / (1 + exp(-x))`, without overflow.
    Sigmoid,
    /// `ln(1 + exp(x))`, without overflow.
    Softplus,
    /// Largest integer not above.
    Floor,
    /// Logical not (bool).
    Not,
    /// Conversion to another element type, as [`Element`] describes.
    Cast(DType),
    /// The nearest number of a float type of 16 bits, as `f32`.
    Narrow(DType),
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient. Integers truncate, by zero gives 0, the smallest by -1 wraps.
    Div,
    /// Larger one; NaN if either is; `max(-0, 0)` is 0.
    Max,
    /// Smaller one; NaN if either is; `min(-0, 0)` is -0.
    Min,
    /// Remainder of the truncated quotient; of integers by zero the first operand.
    Fmod,
    /// Power. Integers wrap; a negative exponent truncates to zero.
    Pow,
    /// `ln(exp(a) + exp(b))`, without overflow (floats, as the next ones down to
    /// [`Polygamma`](ScalarOp::Polygamma)).
    LogAddExp,
    /// Angle of the point `(b, a)`.
    Atan2,
    /// `√(a² + b²)`, without overflow.
    Hypot,
    /// Derivative of order `a` of the digamma function at `b`.
    Polygamma,
    /// Equal? (any type)
    Equal,
    /// Less?
    Less,
    /// Less or equal?
    LessEqual,
    /// Logical and (bool).
    And,
    /// Logical or (bool).
    Or,
    /// `(condition, a, b)`: `a` where the condition (bool) holds, else `b`.
    Select,
    /// A constant, no operand.
    Const(Scalar),
}

impl ScalarOp {
    /// Number of operands.
    pub fn arity(self) -> usize {
        use ScalarOp::*;
        match self {
            Const(_) => 0,
            Add | Sub | Mul | Div | Max | Min | Fmod | Pow | LogAddExp | Atan2 | Hypot
            | Polygamma | Equal | Less | LessEqual | And | Or => 2,
            Select => 3,
            _ => 1,
        }
    }

    /// The element type of the result for operands of type `dtype` (of the branches of a select;
    /// ignored by a constant).
    pub fn result(self, dtype: DType) -> DType {
        use ScalarOp::*;
        match self {
            Cast(to) => to,
            Const(value) => value.dtype(),
            Equal | Less | LessEqual => DType::Bool,
            _ => dtype,
        }
    }

    /// Is the operation defined on operands of type `dtype`?
    pub fn accepts(self, dtype: DType) -> bool {
        use ScalarOp::*;
        match self {
            Copy | Cast(_) | Select | Equal => true,
            Const(value) => value.dtype() == dtype,
            Not | And | Or => dtype == DType::Bool,
            Narrow(to) => dtype == DType::F32 && to.is_half(),
            Neg | Abs | Sign | Add | Sub | Mul | Div | Max | Min | Fmod | Pow | Less
            | LessEqual => dtype != DType::Bool,
            _ => dtype.is_float(),
        }
    }

    /// Rough time of one element in units of an addition: how work is cut into tasks.
    pub(crate) fn weight(self) -> usize {
        use ScalarOp::*;
        match self {
            Copy | Neg | Abs | Sign | Floor | Ceil | Round | Trunc | Not | Cast(_) | Narrow(_)
            | Add | Sub | Mul | Max | Min | Equal | Less | LessEqual | And | Or | Select
            | Const(_) => 1,
            Div | Sqrt => 3,
            Exp | Expm1 | Ln => 6,
            Ln1p | Tanh | Erf | Sigmoid => 12,
            Erfinv | Polygamma | Pow | Fmod => 60,
            _ => 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_keep_their_bits() {
        assert_ne!(Scalar::from_f64(DType::F32, 0.0), Scalar::from_f64(DType::F32, -0.0));
        assert_eq!(Scalar::from_i64(DType::I64, i64::MIN).to_i64(), i64::MIN);
        assert_eq!(Scalar::from_i64(DType::I32, -3).to_f64(), -3.0);
        assert_eq!(Scalar::from_f64(DType::F32, 0.1).to_f64(), f64::from(0.1f32));
        assert_eq!(Scalar::fill(DType::U8, -1.0).to_i64(), 255);
        assert_eq!(Scalar::fill(DType::Bool, 0.5).to_i64(), 1);
        assert_eq!(format!("{:?}", Scalar::from_f64(DType::F64, 1.5)), "1.5_f64");
    }
}
