//! The loops of scalar instructions: one function for each operation and element type.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::slice::{from_raw_parts, from_raw_parts_mut};

use pleach_tensor::DType;

use crate::ScalarOp;
use crate::num::{Bool, CastTo, Float, Num, for_any, for_num};
use crate::special;
use crate::vector::{Body, Entry, pick};

/// A piece of work of a tile function: `n` packed elements of each operand that the operation has.
///
/// The contract of every tile function: `dst` is valid for writes of `n` elements of the result's
/// type, `args` for reads of `n` elements of the operands' types, all aligned; `dst` overlaps no
/// operand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TileArgs {
    pub(crate) n: usize,
    pub(crate) dst: *mut u8,
    pub(crate) args: [*const u8; 3],
}

pub(crate) type TileFn = Entry<TileArgs>;

trait Op1<A> {
    type R;
    fn f(a: A) -> Self::R;
}

trait Op2<A> {
    type R;
    fn f(a: A, b: A) -> Self::R;
}

/// Packed elements.
///
/// # Safety
/// The contract of [`TileArgs`].
#[inline(always)]
unsafe fn operand<'a, T>(args: &TileArgs, i: usize) -> &'a [T] {
    // SAFETY: by contract valid and aligned; element types admit every bit pattern.
    unsafe { from_raw_parts(args.args[i].cast(), args.n) }
}

/// The destination, not initialized yet.
///
/// # Safety
/// The contract of [`TileArgs`].
#[inline(always)]
unsafe fn result<'a, T>(args: &TileArgs) -> &'a mut [MaybeUninit<T>] {
    // SAFETY: by contract valid, aligned and apart from all operands.
    unsafe { from_raw_parts_mut(args.dst.cast(), args.n) }
}

// The loops take references as arguments: that is how the compiler learns that nothing overlaps.

#[inline(always)]
fn map1<A: Copy, F: Op1<A>>(dst: &mut [MaybeUninit<F::R>], a: &[A]) {
    for (dst, &a) in dst.iter_mut().zip(a) {
        dst.write(F::f(a));
    }
}

#[inline(always)]
fn map2<A: Copy, F: Op2<A>>(dst: &mut [MaybeUninit<F::R>], a: &[A], b: &[A]) {
    for ((dst, &a), &b) in dst.iter_mut().zip(a).zip(b) {
        dst.write(F::f(a, b));
    }
}

#[inline(always)]
fn map_select<A: Copy>(dst: &mut [MaybeUninit<A>], c: &[Bool], a: &[A], b: &[A]) {
    for (((dst, &c), &a), &b) in dst.iter_mut().zip(c).zip(a).zip(b) {
        dst.write(if c.get() { a } else { b });
    }
}

struct Tile1<A, F>(PhantomData<(A, F)>);
impl<A: Copy, F: Op1<A>> Body for Tile1<A, F> {
    type Args = TileArgs;
    #[inline(always)]
    unsafe fn run(t: TileArgs) {
        // SAFETY: the contract of `TileArgs`.
        unsafe { map1::<A, F>(result(&t), operand(&t, 0)) }
    }
}

struct Tile2<A, F>(PhantomData<(A, F)>);
impl<A: Copy, F: Op2<A>> Body for Tile2<A, F> {
    type Args = TileArgs;
    #[inline(always)]
    unsafe fn run(t: TileArgs) {
        // SAFETY: the contract of `TileArgs`.
        unsafe { map2::<A, F>(result(&t), operand(&t, 0), operand(&t, 1)) }
    }
}

struct TileSelect<A>(PhantomData<A>);
impl<A: Copy> Body for TileSelect<A> {
    type Args = TileArgs;
    #[inline(always)]
    unsafe fn run(t: TileArgs) {
        // SAFETY: the contract of `TileArgs`.
        unsafe { map_select::<A>(result(&t), operand(&t, 0), operand(&t, 1), operand(&t, 2)) }
    }
}

/// `name: bound, result, closure`: a unit struct that stands for an operation.
macro_rules! ops1 {
    ($($name:ident: $bound:path, |$a:ident| $body:expr;)*) => {$(
        struct $name;
        impl<T: $bound> Op1<T> for $name {
            type R = T;
            #[inline(always)]
            fn f($a: T) -> T { $body }
        }
    )*};
}

macro_rules! ops2 {
    ($($name:ident: $bound:path, $R:ty, |$a:ident, $b:ident| $body:expr;)*) => {$(
        struct $name;
        impl<T: $bound> Op2<T> for $name {
            type R = $R;
            #[inline(always)]
            fn f($a: T, $b: T) -> $R { $body }
        }
    )*};
}

ops1! {
    Copy1: Copy, |a| a;
    Neg: Num, |a| a.neg();
    Abs: Num, |a| a.abs();
    Sign: Num, |a| a.sign();
    Exp: Float, |a| a.exp();
    Ln: Float, |a| a.ln();
    Ln1p: Float, |a| a.ln_1p();
    Tanh: Float, |a| a.tanh();
    Sqrt: Float, |a| a.sqrt();
    Erf: Float, |a| a.erf();
    Sin: Float, |a| a.sin();
    Cos: Float, |a| a.cos();
    Sigmoid: Float, |a| a.sigmoid();
    Softplus: Float, |a| a.softplus();
    Floor: Float, |a| a.floor();
    Expm1: Float, |a| a.expm1();
    Ceil: Float, |a| a.ceil();
    Round: Float, |a| a.round();
    Trunc: Float, |a| a.trunc();
    Exp2: Float, |a| T::from_f64(libm::exp2(a.to_f64()));
    Log2: Float, |a| T::from_f64(libm::log2(a.to_f64()));
    Log10: Float, |a| T::from_f64(libm::log10(a.to_f64()));
    Tan: Float, |a| T::from_f64(libm::tan(a.to_f64()));
    Asin: Float, |a| T::from_f64(libm::asin(a.to_f64()));
    Acos: Float, |a| T::from_f64(libm::acos(a.to_f64()));
    Atan: Float, |a| T::from_f64(libm::atan(a.to_f64()));
    Sinh: Float, |a| T::from_f64(libm::sinh(a.to_f64()));
    Cosh: Float, |a| T::from_f64(libm::cosh(a.to_f64()));
    Asinh: Float, |a| T::from_f64(libm::asinh(a.to_f64()));
    Acosh: Float, |a| T::from_f64(libm::acosh(a.to_f64()));
    Atanh: Float, |a| T::from_f64(libm::atanh(a.to_f64()));
    Erfc: Float, |a| T::from_f64(libm::erfc(a.to_f64()));
    Erfinv: Float, |a| T::from_f64(special::erfinv(a.to_f64()));
    Lgamma: Float, |a| T::from_f64(libm::lgamma(a.to_f64()));
}

ops2! {
    Add: Num, T, |a, b| a.add(b);
    Sub: Num, T, |a, b| a.sub(b);
    Mul: Num, T, |a, b| a.mul(b);
    Div: Num, T, |a, b| a.div(b);
    Max: Num, T, |a, b| a.max(b);
    Min: Num, T, |a, b| a.min(b);
    Fmod: Num, T, |a, b| a.fmod(b);
    Pow: Num, T, |a, b| a.pow(b);
    LogAddExp: Float, T, |a, b| a.logaddexp(b);
    Atan2: Float, T, |a, b| T::from_f64(libm::atan2(a.to_f64(), b.to_f64()));
    Hypot: Float, T, |a, b| T::from_f64(libm::hypot(a.to_f64(), b.to_f64()));
    Polygamma: Float, T, |a, b| T::from_f64(special::polygamma(a.to_f64(), b.to_f64()));
    Equal: PartialEq, Bool, |a, b| (a == b).into();
    Less: Num, Bool, |a, b| (a < b).into();
    LessEqual: Num, Bool, |a, b| (a <= b).into();
}

struct Logic<const AND: bool>;
impl<const AND: bool> Op2<Bool> for Logic<AND> {
    type R = Bool;
    #[inline(always)]
    fn f(a: Bool, b: Bool) -> Bool {
        if AND { (a.get() & b.get()).into() } else { (a.get() | b.get()).into() }
    }
}

struct Not;
impl Op1<Bool> for Not {
    type R = Bool;
    #[inline(always)]
    fn f(a: Bool) -> Bool {
        (!a.get()).into()
    }
}

struct Cast<R>(PhantomData<R>);
impl<A: CastTo<R>, R> Op1<A> for Cast<R> {
    type R = R;
    #[inline(always)]
    fn f(a: A) -> R {
        a.cast()
    }
}

/// The loop of an operation on operands of type `dtype`. `None` for a constant, and for pairs that
/// [`ScalarOp::accepts`] refuses.
pub(crate) fn tile_fn(op: ScalarOp, dtype: DType) -> Option<TileFn> {
    macro_rules! num1 {
        ($F:ident) => { for_num!(dtype, T => Some(pick::<Tile1<T, $F>>()), None) };
    }
    macro_rules! num2 {
        ($F:ident) => { for_num!(dtype, T => Some(pick::<Tile2<T, $F>>()), None) };
    }
    macro_rules! float {
        ($F:ident) => { float!(Tile1 $F) };
        ($Tile:ident $F:ident) => {
            match dtype {
                DType::F32 => Some(pick::<$Tile<f32, $F>>()),
                DType::F64 => Some(pick::<$Tile<f64, $F>>()),
                _ => None,
            }
        };
    }
    let bool_only = |f: TileFn| (dtype == DType::Bool).then_some(f);
    match op {
        ScalarOp::Const(_) => None,
        ScalarOp::Copy => for_any!(dtype, T => Some(pick::<Tile1<T, Copy1>>())),
        ScalarOp::Neg => num1!(Neg),
        ScalarOp::Abs => num1!(Abs),
        ScalarOp::Sign => num1!(Sign),
        ScalarOp::Exp => float!(Exp),
        ScalarOp::Ln => float!(Ln),
        ScalarOp::Ln1p => float!(Ln1p),
        ScalarOp::Tanh => float!(Tanh),
        ScalarOp::Sqrt => float!(Sqrt),
        ScalarOp::Erf => float!(Erf),
        ScalarOp::Sin => float!(Sin),
        ScalarOp::Cos => float!(Cos),
        ScalarOp::Sigmoid => float!(Sigmoid),
        ScalarOp::Softplus => float!(Softplus),
        ScalarOp::Floor => float!(Floor),
        ScalarOp::Expm1 => float!(Expm1),
        ScalarOp::Ceil => float!(Ceil),
        ScalarOp::Round => float!(Round),
        ScalarOp::Trunc => float!(Trunc),
        ScalarOp::Exp2 => float!(Exp2),
        ScalarOp::Log2 => float!(Log2),
        ScalarOp::Log10 => float!(Log10),
        ScalarOp::Tan => float!(Tan),
        ScalarOp::Asin => float!(Asin),
        ScalarOp::Acos => float!(Acos),
        ScalarOp::Atan => float!(Atan),
        ScalarOp::Sinh => float!(Sinh),
        ScalarOp::Cosh => float!(Cosh),
        ScalarOp::Asinh => float!(Asinh),
        ScalarOp::Acosh => float!(Acosh),
        ScalarOp::Atanh => float!(Atanh),
        ScalarOp::Erfc => float!(Erfc),
        ScalarOp::Erfinv => float!(Erfinv),
        ScalarOp::Lgamma => float!(Lgamma),
        ScalarOp::Not => bool_only(pick::<Tile1<Bool, Not>>()),
        ScalarOp::And => bool_only(pick::<Tile2<Bool, Logic<true>>>()),
        ScalarOp::Or => bool_only(pick::<Tile2<Bool, Logic<false>>>()),
        ScalarOp::Cast(to) => {
            for_any!(dtype, S => for_any!(to, R => Some(pick::<Tile1<S, Cast<R>>>())))
        }
        ScalarOp::Add => num2!(Add),
        ScalarOp::Sub => num2!(Sub),
        ScalarOp::Mul => num2!(Mul),
        ScalarOp::Div => num2!(Div),
        ScalarOp::Max => num2!(Max),
        ScalarOp::Min => num2!(Min),
        ScalarOp::Fmod => num2!(Fmod),
        ScalarOp::Pow => num2!(Pow),
        ScalarOp::LogAddExp => float!(Tile2 LogAddExp),
        ScalarOp::Atan2 => float!(Tile2 Atan2),
        ScalarOp::Hypot => float!(Tile2 Hypot),
        ScalarOp::Polygamma => float!(Tile2 Polygamma),
        ScalarOp::Equal => for_any!(dtype, T => Some(pick::<Tile2<T, Equal>>())),
        ScalarOp::Less => num2!(Less),
        ScalarOp::LessEqual => num2!(LessEqual),
        ScalarOp::Select => for_any!(dtype, T => Some(pick::<TileSelect<T>>())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::portable;

    /// The bits of a loop of `f32`s.
    fn bits(f: TileFn, x: &[f32]) -> Vec<u32> {
        let mut y = vec![0f32; x.len()];
        let args = [x.as_ptr().cast(), x.as_ptr().cast(), std::ptr::null()];
        // SAFETY: as many elements of the right type, apart from the result.
        unsafe { f(TileArgs { n: x.len(), dst: y.as_mut_ptr().cast(), args }) };
        y.iter().map(|y| if y.is_nan() { 0 } else { y.to_bits() }).collect()
    }

    #[test]
    fn instruction_sets_and_vector_tails_agree() {
        let x: Vec<f32> = (0..20_000u32).map(|i| f32::from_bits(i.wrapping_mul(214_013))).collect();
        macro_rules! agree {
            ($($Tile:ident $F:ident)*) => {$(
                let whole = bits(pick::<$Tile<f32, $F>>(), &x);
                assert_eq!(whole, bits(portable::<$Tile<f32, $F>>, &x));
                for (i, x) in x.chunks(7).enumerate() {
                    assert_eq!(bits(pick::<$Tile<f32, $F>>(), x), whole[7 * i..][..x.len()]);
                }
            )*};
        }
        agree! { Tile1 Exp Tile1 Expm1 Tile1 Ln Tile1 Ln1p Tile1 Tanh Tile1 Erf Tile1 Sigmoid Tile1 Softplus Tile1 Floor Tile1 Round Tile2 Max Tile2 Div }
    }
}
