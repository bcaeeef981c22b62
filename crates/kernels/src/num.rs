//! Arithmetic on elements, as [`ScalarOp`](crate::ScalarOp) defines it.

use pleach_tensor::{Narrow, bf16, f16};

use crate::vector::Machine;
use crate::{math, normal_cdf, pow, special, trig};

/// A bool as kernels see it: a byte, true if it is not 0. (Buffers hold any bytes; a Rust `bool`
/// must be 0 or 1.)
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub(crate) struct Bool(pub(crate) u8);

impl Bool {
    #[inline(always)]
    pub(crate) fn get(self) -> bool {
        self.0 != 0
    }
}

impl From<bool> for Bool {
    #[inline(always)]
    fn from(b: bool) -> Bool {
        Bool(u8::from(b))
    }
}

impl PartialEq for Bool {
    #[inline(always)]
    fn eq(&self, other: &Bool) -> bool {
        self.get() == other.get()
    }
}

impl PartialOrd for Bool {
    #[inline(always)]
    fn partial_cmp(&self, other: &Bool) -> Option<std::cmp::Ordering> {
        self.get().partial_cmp(&other.get())
    }
}

/// Numbers.
pub(crate) trait Num: Copy + PartialOrd + Send + Sync + std::fmt::Debug + 'static {
    const ZERO: Self;
    const ONE: Self;
    /// The smallest value, -∞ for floats.
    const LOWEST: Self;
    /// The largest value, ∞ for floats.
    const HIGHEST: Self;
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    fn div(self, b: Self) -> Self;
    fn neg(self) -> Self;
    fn abs(self) -> Self;
    fn sign(self) -> Self;
    fn max(self, b: Self) -> Self;
    fn min(self, b: Self) -> Self;
    fn fmod(self, b: Self) -> Self;
    fn pow(self, b: Self) -> Self;
    /// From an index: integers wrap, floats round.
    fn from_index(i: i64) -> Self;
}

/// Floats.
pub(crate) trait Float: Num {
    fn exp<M: Machine>(self) -> Self;
    fn ln<M: Machine>(self) -> Self;
    fn ln_1p<M: Machine>(self) -> Self;
    fn tanh<M: Machine>(self) -> Self;
    fn sqrt(self) -> Self;
    fn erf<M: Machine>(self) -> Self;
    fn normal_cdf(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn sigmoid<M: Machine>(self) -> Self;
    fn softplus<M: Machine>(self) -> Self;
    fn floor(self) -> Self;
    fn expm1<M: Machine>(self) -> Self;
    fn ceil(self) -> Self;
    fn round(self) -> Self;
    fn trunc(self) -> Self;
    fn logaddexp<M: Machine>(self, b: Self) -> Self;
    fn to_f64(self) -> f64;
    fn from_f64(x: f64) -> Self;
}

/// Conversion, as [`Element`](pleach_tensor::Element) describes.
pub(crate) trait CastTo<R> {
    fn cast(self) -> R;
}

macro_rules! ints {
    ($($T:ident: $sign:expr;)*) => {$(
        impl Num for $T {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const LOWEST: Self = $T::MIN;
            const HIGHEST: Self = $T::MAX;
            #[inline(always)] fn add(self, b: Self) -> Self { self.wrapping_add(b) }
            #[inline(always)] fn sub(self, b: Self) -> Self { self.wrapping_sub(b) }
            #[inline(always)] fn mul(self, b: Self) -> Self { self.wrapping_mul(b) }
            #[inline(always)]
            fn div(self, b: Self) -> Self { if b == 0 { 0 } else { self.wrapping_div(b) } }
            #[inline(always)] fn neg(self) -> Self { self.wrapping_neg() }
            #[inline(always)]
            fn abs(self) -> Self { if self < Self::ZERO { self.wrapping_neg() } else { self } }
            #[inline(always)] fn sign(self) -> Self { let f: fn($T) -> $T = $sign; f(self) }
            #[inline(always)] fn max(self, b: Self) -> Self { Ord::max(self, b) }
            #[inline(always)] fn min(self, b: Self) -> Self { Ord::min(self, b) }
            #[inline(always)]
            fn fmod(self, b: Self) -> Self { if b == 0 { self } else { self.wrapping_rem(b) } }
            fn pow(self, b: Self) -> Self { special::powi(self as i64, b as i64) as $T }
            #[inline(always)] fn from_index(i: i64) -> Self { i as $T }
        }
    )*};
}

ints! {
    i32: i32::signum;
    i64: i64::signum;
    u8: |x| u8::from(x != 0);
}

macro_rules! floats {
    ($($T:ident: $pow:expr;)*) => {$(
        impl Num for $T {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const LOWEST: Self = $T::NEG_INFINITY;
            const HIGHEST: Self = $T::INFINITY;
            #[inline(always)] fn add(self, b: Self) -> Self { self + b }
            #[inline(always)] fn sub(self, b: Self) -> Self { self - b }
            #[inline(always)] fn mul(self, b: Self) -> Self { self * b }
            #[inline(always)] fn div(self, b: Self) -> Self { self / b }
            #[inline(always)] fn neg(self) -> Self { -self }
            #[inline(always)] fn abs(self) -> Self { $T::abs(self) }
            #[inline(always)]
            fn sign(self) -> Self {
                let one = (1.0 as $T).copysign(self);
                // Not `!= 0`: a NaN stays itself.
                if (self < 0.0) | (self > 0.0) { one } else { self }
            }
            /// Of equal operands the first choice is one and the second the other: joining their bits,
            /// which differ only for zeros, gives 0 or -0.
            #[inline(always)]
            fn max(self, b: Self) -> Self {
                let (x, y) = (if self > b { self } else { b }, if b > self { b } else { self });
                let number = $T::from_bits(x.to_bits() & y.to_bits());
                if self.is_nan() | b.is_nan() { self + b } else { number }
            }
            #[inline(always)]
            fn min(self, b: Self) -> Self {
                let (x, y) = (if self < b { self } else { b }, if b < self { b } else { self });
                let number = $T::from_bits(x.to_bits() | y.to_bits());
                if self.is_nan() | b.is_nan() { self + b } else { number }
            }
            fn fmod(self, b: Self) -> Self { self % b }
            #[inline(always)] fn pow(self, b: Self) -> Self { $pow(self, b) }
            #[inline(always)] fn from_index(i: i64) -> Self { i as f64 as $T }
        }
    )*};
}
floats! {
    f32: pow::pow;
    f64: libm::pow;
}

impl Float for f32 {
    #[inline(always)]
    fn exp<M: Machine>(self) -> f32 {
        math::exp::<M>(self)
    }
    #[inline(always)]
    fn ln<M: Machine>(self) -> f32 {
        math::ln::<M>(self)
    }
    #[inline(always)]
    fn ln_1p<M: Machine>(self) -> f32 {
        math::ln_1p::<M>(self)
    }
    #[inline(always)]
    fn tanh<M: Machine>(self) -> f32 {
        math::tanh::<M>(self)
    }
    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn erf<M: Machine>(self) -> f32 {
        math::erf::<M>(self)
    }
    #[inline(always)]
    fn normal_cdf(self) -> f32 {
        normal_cdf::normal_cdf(self)
    }
    fn sin(self) -> f32 {
        trig::sin(self)
    }
    fn cos(self) -> f32 {
        trig::cos(self)
    }
    #[inline(always)]
    fn sigmoid<M: Machine>(self) -> f32 {
        math::sigmoid::<M>(self)
    }
    #[inline(always)]
    fn softplus<M: Machine>(self) -> f32 {
        f32::max(self, 0.0) + Float::ln_1p::<M>(Float::exp::<M>(-f32::abs(self)))
    }
    #[inline(always)]
    fn floor(self) -> f32 {
        f32::floor(self)
    }
    #[inline(always)]
    fn expm1<M: Machine>(self) -> f32 {
        math::expm1::<M>(self)
    }
    #[inline(always)]
    fn ceil(self) -> f32 {
        f32::ceil(self)
    }
    #[inline(always)]
    fn round(self) -> f32 {
        f32::round_ties_even(self)
    }
    #[inline(always)]
    fn trunc(self) -> f32 {
        f32::trunc(self)
    }
    #[inline(always)]
    fn logaddexp<M: Machine>(self, b: f32) -> f32 {
        let difference = if self == b { 0.0 } else { f32::abs(self - b) };
        let high = if self > b { self } else { b };
        let high = if self.is_nan() { self } else { high };
        high + Float::ln_1p::<M>(Float::exp::<M>(-difference))
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn from_f64(x: f64) -> f32 {
        x as f32
    }
}

impl Float for f64 {
    fn exp<M: Machine>(self) -> f64 {
        f64::exp(self)
    }
    fn ln<M: Machine>(self) -> f64 {
        f64::ln(self)
    }
    fn ln_1p<M: Machine>(self) -> f64 {
        f64::ln_1p(self)
    }
    fn tanh<M: Machine>(self) -> f64 {
        f64::tanh(self)
    }
    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }
    fn erf<M: Machine>(self) -> f64 {
        libm::erf(self)
    }
    fn normal_cdf(self) -> f64 {
        0.5 * libm::erfc(-self * std::f64::consts::FRAC_1_SQRT_2)
    }
    fn sin(self) -> f64 {
        f64::sin(self)
    }
    fn cos(self) -> f64 {
        f64::cos(self)
    }
    #[inline(always)]
    fn sigmoid<M: Machine>(self) -> f64 {
        // exp of a number that is not positive: no overflow, no lost digits on either side.
        let e = Float::exp::<M>(-f64::abs(self));
        (if self < 0.0 { e } else { 1.0 }) / (1.0 + e)
    }
    #[inline(always)]
    fn softplus<M: Machine>(self) -> f64 {
        f64::max(self, 0.0) + Float::ln_1p::<M>(Float::exp::<M>(-f64::abs(self)))
    }
    #[inline(always)]
    fn floor(self) -> f64 {
        f64::floor(self)
    }
    fn expm1<M: Machine>(self) -> f64 {
        libm::expm1(self)
    }
    #[inline(always)]
    fn ceil(self) -> f64 {
        f64::ceil(self)
    }
    #[inline(always)]
    fn round(self) -> f64 {
        f64::round_ties_even(self)
    }
    #[inline(always)]
    fn trunc(self) -> f64 {
        f64::trunc(self)
    }
    fn logaddexp<M: Machine>(self, b: f64) -> f64 {
        special::logaddexp(self, b)
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn from_f64(x: f64) -> f64 {
        x
    }
}

macro_rules! casts {
    ($($S:ident: $($R:ident)*;)*) => {$($(
        impl CastTo<$R> for $S {
            #[inline(always)]
            fn cast(self) -> $R { self as $R }
        }
    )*
        impl CastTo<Bool> for $S {
            #[inline(always)]
            fn cast(self) -> Bool { (self != <$S as Num>::ZERO).into() }
        }
        impl CastTo<$S> for Bool {
            #[inline(always)]
            fn cast(self) -> $S { u8::from(self.get()) as $S }
        }
    )*};
}

casts! {
    f32: f32 f64 i32 i64 u8;
    f64: f32 f64 i32 i64 u8;
    i32: f32 f64 i32 i64 u8;
    i64: f64 i32 i64 u8;
    u8: f32 f64 i32 i64 u8;
}

impl CastTo<f32> for i64 {
    /// By way of `f64`, as tensors do it.
    #[inline(always)]
    fn cast(self) -> f32 {
        self as f64 as f32
    }
}

impl CastTo<Bool> for Bool {
    #[inline(always)]
    fn cast(self) -> Bool {
        self.get().into()
    }
}

/// Floats of 16 bits: from `f32`, and from any number by way of `f64`; to `f32` only.
macro_rules! halves {
    ($($H:ident: $($S:ident)*;)*) => {$($(
        impl CastTo<$H> for $S {
            #[inline(always)]
            fn cast(self) -> $H { $H::narrow_f64(self as f64) }
        }
    )*
        impl CastTo<$H> for f32 {
            #[inline(always)]
            fn cast(self) -> $H { $H::narrow(self) }
        }
        impl CastTo<f32> for $H {
            #[inline(always)]
            fn cast(self) -> f32 { self.widen() }
        }
        impl CastTo<$H> for Bool {
            #[inline(always)]
            fn cast(self) -> $H { $H::narrow(f32::from(u8::from(self.get()))) }
        }
    )*};
}

halves! {
    bf16: f64 i32 i64 u8;
    f16: f64 i32 i64 u8;
}

/// Expands `$body` for a number type `$T` that kernels compute with; `$other` for bool and floats of
/// 16 bits.
macro_rules! for_num {
    ($dtype:expr, $T:ident => $body:expr, $other:expr) => {
        match $dtype {
            pleach_tensor::DType::F32 => {
                type $T = f32;
                $body
            }
            pleach_tensor::DType::F64 => {
                type $T = f64;
                $body
            }
            pleach_tensor::DType::I32 => {
                type $T = i32;
                $body
            }
            pleach_tensor::DType::I64 => {
                type $T = i64;
                $body
            }
            pleach_tensor::DType::U8 => {
                type $T = u8;
                $body
            }
            pleach_tensor::DType::Bool | pleach_tensor::DType::F16 | pleach_tensor::DType::Bf16 => {
                $other
            }
        }
    };
}
pub(crate) use for_num;

/// Expands `$body` for any element type, with [`Bool`] for bool.
macro_rules! for_any {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            pleach_tensor::DType::F16 => {
                type $T = pleach_tensor::f16;
                $body
            }
            pleach_tensor::DType::Bf16 => {
                type $T = pleach_tensor::bf16;
                $body
            }
            dtype => $crate::num::for_num!(dtype, $T => $body, {
                type $T = $crate::num::Bool;
                $body
            }),
        }
    };
}
pub(crate) use for_any;
