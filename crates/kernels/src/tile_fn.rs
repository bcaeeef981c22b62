//! The loops of scalar instructions: one function for each operation and element type.

use std::marker::PhantomData;

use pleach_tensor::{DType, Narrow, bf16, f16};

use crate::ScalarOp;
use crate::copy::for_size;
use crate::num::{Bool, CastTo, Float, Num, for_any, for_num};
use crate::one::{One, OneArgs};
use crate::special;
use crate::trig::Turned;
use crate::vector::{Body, Entry, Fused, Isa, Machine, Plain, compiled};

/// Most operands of a tile function.
pub(crate) const MAX_ARGS: usize = 7;

/// A piece of work of a tile function: `n` packed elements of the result and of each operand, or one
/// element of an operand that stands for all.
///
/// The contract of every tile function: `dst` is valid for writes of `n` elements of the result's
/// type, `args` for reads of as many elements of the operands' types, all aligned; `dst` overlaps no
/// operand but the one that the function updates in place, which is where `dst` is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TileArgs {
    pub(crate) n: usize,
    pub(crate) dst: *mut u8,
    pub(crate) args: [*const u8; MAX_ARGS],
}

pub(crate) type TileFn = Entry<TileArgs>;

/// The functions of an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TileFns {
    /// The result is apart from all operands.
    pub(crate) apart: TileFn,
    /// The result takes the place of this operand.
    pub(crate) in_place: [Option<TileFn>; MAX_ARGS],
    /// On one element, in registers.
    pub(crate) one: Entry<OneArgs>,
}

impl TileFns {
    /// Those of a loop that never takes the place of an operand.
    fn apart<B: Body<Args = TileArgs>>(isa: Isa) -> TileFns {
        TileFns { apart: compiled::<B>(isa), in_place: [None; MAX_ARGS], one: one::<B>(isa) }
    }
}

/// A loop on one element: no vectors, but a fused multiply-add where there is one.
pub(crate) fn one<B: Body<Args = TileArgs>>(isa: Isa) -> Entry<OneArgs> {
    compiled::<One<B>>(isa.min(Isa::Avx2))
}

/// An operation on `K` elements of one type. Bit `i` of `SCALARS`: operand `i` is one element.
pub(crate) trait Elementwise<A, const K: usize> {
    type R: Copy;
    const SCALARS: u32 = 0;
    fn f<M: Machine>(x: [A; K]) -> Self::R;
}

/// No operand.
pub(crate) const NONE: usize = usize::MAX;

/// The loop of an operation; the result is written over operand `IN`.
pub(crate) struct Tile<A, F, const K: usize, const IN: usize>(PhantomData<(A, F)>);

impl<A: Copy, F: Elementwise<A, K>, const K: usize, const IN: usize> Tile<A, F, K, IN> {
    /// # Safety
    /// The contract of [`TileArgs`].
    #[inline(always)]
    unsafe fn on<M: Machine>(t: TileArgs) {
        let dst = t.dst.cast::<F::R>();
        // The compiler must see which operand is where the result is, to make vectors of the loop.
        let place = |i: usize| if i == IN { t.dst.cast_const() } else { t.args[i] };
        let args: [*const A; K] = std::array::from_fn(|i| place(i).cast());
        // SAFETY: the contract of `TileArgs`.
        let first = |i: usize| (F::SCALARS >> i & 1 == 1).then(|| unsafe { *args[i] });
        let first: [Option<A>; K] = std::array::from_fn(first);
        for at in 0..t.n {
            // SAFETY: the contract of `TileArgs`.
            unsafe {
                let x = std::array::from_fn(|i| first[i].unwrap_or_else(|| *args[i].add(at)));
                dst.add(at).write(F::f::<M>(x));
            }
        }
    }
}

impl<A: Copy, F: Elementwise<A, K>, const K: usize, const IN: usize> Body for Tile<A, F, K, IN> {
    type Args = TileArgs;
    #[inline(always)]
    unsafe fn run(t: TileArgs) {
        // SAFETY: the caller keeps the contract.
        unsafe { Self::on::<Plain>(t) }
    }
    #[inline(always)]
    unsafe fn run_fused(t: TileArgs) {
        // SAFETY: the caller keeps the contract.
        unsafe { Self::on::<Fused>(t) }
    }
}

/// Elements of one of two operands, by a third. `A` is any unsigned type of their size: whole masks
/// are vector code where a choice is not. Bit `i` of `SCALARS`: operand `i` is one element; the result is
/// written over operand `IN`.
struct TileSelect<A, const SCALARS: u32, const IN: usize>(PhantomData<A>);

macro_rules! select {
    ($($A:ident)*) => {$(
        impl<const SCALARS: u32, const IN: usize> Body for TileSelect<$A, SCALARS, IN> {
            type Args = TileArgs;
            #[inline(always)]
            unsafe fn run(t: TileArgs) {
                let (c, dst) = (t.args[0].cast::<Bool>(), t.dst.cast::<$A>());
                let place = |i: usize| if i == IN { t.dst.cast_const() } else { t.args[i] };
                let [a, b] = [1, 2].map(|i| place(i).cast::<$A>());
                // SAFETY: the contract of `TileArgs`.
                let first = |i: usize, x: *const $A| (SCALARS >> i & 1 == 1).then(|| unsafe { *x });
                let (first_a, first_b) = (first(1, a), first(2, b));
                for at in 0..t.n {
                    // SAFETY: the contract of `TileArgs`.
                    unsafe {
                        let a = first_a.unwrap_or_else(|| *a.add(at));
                        let b = first_b.unwrap_or_else(|| *b.add(at));
                        let mask = $A::from((*c.add(at)).get()).wrapping_neg();
                        dst.add(at).write((a & mask) | (b & !mask));
                    }
                }
            }
        }
    )*};
}
select! { u8 u16 u32 u64 }

/// The functions of a choice, `None` where the condition is one element.
fn select<A>(scalars: u32, isa: Isa) -> Option<TileFns>
where
    TileSelect<A, 0, NONE>: Body<Args = TileArgs>,
    TileSelect<A, 0, 1>: Body<Args = TileArgs>,
    TileSelect<A, 0, 2>: Body<Args = TileArgs>,
    TileSelect<A, 2, NONE>: Body<Args = TileArgs>,
    TileSelect<A, 2, 2>: Body<Args = TileArgs>,
    TileSelect<A, 4, NONE>: Body<Args = TileArgs>,
    TileSelect<A, 4, 1>: Body<Args = TileArgs>,
{
    let mut in_place = [None; MAX_ARGS];
    let apart = match scalars {
        0 => {
            in_place[1] = Some(compiled::<TileSelect<A, 0, 1>>(isa));
            in_place[2] = Some(compiled::<TileSelect<A, 0, 2>>(isa));
            TileFns::apart::<TileSelect<A, 0, NONE>>(isa)
        }
        2 => {
            in_place[2] = Some(compiled::<TileSelect<A, 2, 2>>(isa));
            TileFns::apart::<TileSelect<A, 2, NONE>>(isa)
        }
        4 => {
            in_place[1] = Some(compiled::<TileSelect<A, 4, 1>>(isa));
            TileFns::apart::<TileSelect<A, 4, NONE>>(isa)
        }
        _ => return None,
    };
    Some(TileFns { in_place, ..apart })
}

/// The functions of an operation that never takes the place of an operand.
fn apart<A: Copy, F: Elementwise<A, K>, const K: usize>(isa: Isa) -> TileFns {
    TileFns::apart::<Tile<A, F, K, NONE>>(isa)
}

/// The functions of an operation on `$K` operands that may take the place of one that is no single
/// element. There are as many of those, at the beginning, as there are words after the colon.
macro_rules! everywhere {
    ($isa:expr, $A:ty, $F:ty, $K:ident: $($v:ident)*) => {{
        let mut in_place = [None; $crate::tile_fn::MAX_ARGS];
        everywhere!(@ in_place $isa, $A, $F, $K: $($v)*; 0 1 2 3 4 5 6);
        type Apart = $crate::tile_fn::Tile<$A, $F, $K, { $crate::tile_fn::NONE }>;
        let (apart, one) = ($crate::vector::compiled::<Apart>($isa), $crate::tile_fn::one::<Apart>($isa));
        $crate::tile_fn::TileFns { apart, in_place, one }
    }};
    (@ $to:ident $isa:expr, $A:ty, $F:ty, $K:ident: ; $($i:literal)*) => {};
    (@ $to:ident $isa:expr, $A:ty, $F:ty, $K:ident: $v:ident $($vs:ident)*; $i:literal $($is:literal)*) => {
        if <$F as $crate::tile_fn::Elementwise<$A, $K>>::SCALARS >> $i & 1 == 0 {
            $to[$i] = Some($crate::vector::compiled::<$crate::tile_fn::Tile<$A, $F, $K, $i>>($isa));
        }
        everywhere!(@ $to $isa, $A, $F, $K: $($vs)*; $($is)*);
    };
}
pub(crate) use everywhere;

/// `name: bound, result, closure`: a unit struct that stands for an operation.
macro_rules! ops1 {
    ($($name:ident: $bound:path, |$a:ident| $body:expr;)*) => {$(
        struct $name;
        impl<T: $bound> Elementwise<T, 1> for $name {
            type R = T;
            #[inline(always)]
            fn f<M: Machine>([$a]: [T; 1]) -> T { $body }
        }
    )*};
}

macro_rules! ops2 {
    ($($name:ident: $bound:path, $R:ty, |$a:ident, $b:ident| $body:expr;)*) => {$(
        struct $name;
        impl<T: $bound> Elementwise<T, 2> for $name {
            type R = $R;
            #[inline(always)]
            fn f<M: Machine>([$a, $b]: [T; 2]) -> $R { $body }
        }
    )*};
}

/// An operation of two operands, one of which is one element.
struct Scalar2<F, const SCALARS: u32>(PhantomData<F>);
impl<A, F: Elementwise<A, 2>, const SCALARS: u32> Elementwise<A, 2> for Scalar2<F, SCALARS> {
    type R = F::R;
    const SCALARS: u32 = SCALARS;
    #[inline(always)]
    fn f<M: Machine>(x: [A; 2]) -> F::R {
        F::f::<M>(x)
    }
}

ops1! {
    Copied: Copy, |a| a;
    Neg: Num, |a| a.neg();
    Abs: Num, |a| a.abs();
    Sign: Num, |a| a.sign();
    Exp: Float, |a| a.exp::<M>();
    Ln: Float, |a| a.ln::<M>();
    Ln1p: Float, |a| a.ln_1p::<M>();
    Tanh: Float, |a| a.tanh::<M>();
    Sqrt: Float, |a| a.sqrt();
    Erf: Float, |a| a.erf::<M>();
    NormalCdf: Float, |a| a.normal_cdf();
    Sin: Float, |a| a.sin();
    Cos: Float, |a| a.cos();
    Sigmoid: Float, |a| a.sigmoid::<M>();
    Softplus: Float, |a| a.softplus::<M>();
    Floor: Float, |a| a.floor();
    Expm1: Float, |a| a.expm1::<M>();
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
    LogAddExp: Float, T, |a, b| a.logaddexp::<M>(b);
    Atan2: Float, T, |a, b| T::from_f64(libm::atan2(a.to_f64(), b.to_f64()));
    Hypot: Float, T, |a, b| T::from_f64(libm::hypot(a.to_f64(), b.to_f64()));
    Polygamma: Float, T, |a, b| T::from_f64(special::polygamma(a.to_f64(), b.to_f64()));
    Equal: PartialEq, Bool, |a, b| (a == b).into();
    Less: Num, Bool, |a, b| (a < b).into();
    LessEqual: Num, Bool, |a, b| (a <= b).into();
}

struct Logic<const AND: bool>;
impl<const AND: bool> Elementwise<Bool, 2> for Logic<AND> {
    type R = Bool;
    #[inline(always)]
    fn f<M: Machine>([a, b]: [Bool; 2]) -> Bool {
        if AND { (a.get() & b.get()).into() } else { (a.get() | b.get()).into() }
    }
}

struct Not;
impl Elementwise<Bool, 1> for Not {
    type R = Bool;
    #[inline(always)]
    fn f<M: Machine>([a]: [Bool; 1]) -> Bool {
        (!a.get()).into()
    }
}

struct Cast<R>(PhantomData<R>);
impl<A: CastTo<R>, R: Copy> Elementwise<A, 1> for Cast<R> {
    type R = R;
    #[inline(always)]
    fn f<M: Machine>([a]: [A; 1]) -> R {
        a.cast()
    }
}

struct Narrowed<H>(PhantomData<H>);
impl<H: Narrow> Elementwise<f32, 1> for Narrowed<H> {
    type R = f32;
    #[inline(always)]
    fn f<M: Machine>([a]: [f32; 1]) -> f32 {
        H::narrow(a).widen()
    }
}

/// The loops of an operation on operands of type `dtype`, for an instruction set; bit `i` of
/// `scalars`: operand `i` is one element. `None` for a constant, for pairs that
/// [`ScalarOp::accepts`] refuses, and for single elements where there is no such loop.
pub(crate) fn tile_fns(op: ScalarOp, dtype: DType, scalars: u32, isa: Isa) -> Option<TileFns> {
    macro_rules! num {
        ($F:ident $K:literal) => {
            match scalars {
                0 => for_num!(dtype, T => Some(apart::<T, $F, $K>(isa)), None),
                _ => None,
            }
        };
    }
    const ONE: usize = 1;
    const TWO: usize = 2;
    macro_rules! arithmetic {
        ($F:ident) => {
            match dtype {
                DType::F32 => arithmetic!($F f32),
                DType::F64 => arithmetic!($F f64),
                _ => num!($F 2),
            }
        };
        ($F:ident $T:ty) => {
            match scalars {
                0 => Some(everywhere!(isa, $T, $F, TWO: a b)),
                1 => Some(everywhere!(isa, $T, Scalar2<$F, 1>, TWO: a b)),
                2 => Some(everywhere!(isa, $T, Scalar2<$F, 2>, TWO: a b)),
                _ => None,
            }
        };
    }
    // Comparisons with one number, of floats.
    macro_rules! compare {
        ($F:ident) => {
            match (dtype, scalars) {
                (DType::F32, 1) => Some(apart::<f32, Scalar2<$F, 1>, 2>(isa)),
                (DType::F32, 2) => Some(apart::<f32, Scalar2<$F, 2>, 2>(isa)),
                (DType::F64, 1) => Some(apart::<f64, Scalar2<$F, 1>, 2>(isa)),
                (DType::F64, 2) => Some(apart::<f64, Scalar2<$F, 2>, 2>(isa)),
                _ => num!($F 2),
            }
        };
    }
    let with_numbers = matches!(op, ScalarOp::Less | ScalarOp::LessEqual | ScalarOp::Select)
        || matches!(op, ScalarOp::Add | ScalarOp::Sub | ScalarOp::Mul | ScalarOp::Div);
    if !with_numbers && scalars != 0 {
        return None;
    }
    macro_rules! float {
        ($F:ident) => { float!($F 1) };
        ($F:ident $K:literal) => {
            match dtype {
                DType::F32 => Some(apart::<f32, $F, $K>(isa)),
                DType::F64 => Some(apart::<f64, $F, $K>(isa)),
                _ => None,
            }
        };
    }
    let bool_only = |f: TileFns| (dtype == DType::Bool).then_some(f);
    match op {
        ScalarOp::Const(_) => None,
        ScalarOp::Copy => for_any!(dtype, T => Some(apart::<T, Copied, 1>(isa))),
        ScalarOp::Neg => num!(Neg 1),
        ScalarOp::Abs => num!(Abs 1),
        ScalarOp::Sign => num!(Sign 1),
        ScalarOp::Exp => float!(Exp),
        ScalarOp::Ln => float!(Ln),
        ScalarOp::Ln1p => float!(Ln1p),
        ScalarOp::Tanh => float!(Tanh),
        ScalarOp::Sqrt => float!(Sqrt),
        ScalarOp::Erf => float!(Erf),
        ScalarOp::NormalCdf => float!(NormalCdf),
        ScalarOp::Sin if dtype == DType::F32 => Some(TileFns::apart::<Turned<0>>(isa)),
        ScalarOp::Cos if dtype == DType::F32 => Some(TileFns::apart::<Turned<1>>(isa)),
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
        ScalarOp::Not => bool_only(apart::<Bool, Not, 1>(isa)),
        ScalarOp::And => bool_only(apart::<Bool, Logic<true>, 2>(isa)),
        ScalarOp::Or => bool_only(apart::<Bool, Logic<false>, 2>(isa)),
        // Floats of 16 bits leave as `f32` only: `widened` sees to it.
        ScalarOp::Cast(to) => match (dtype, to) {
            (DType::F16, DType::F32) => Some(apart::<f16, Cast<f32>, 1>(isa)),
            (DType::Bf16, DType::F32) => Some(apart::<bf16, Cast<f32>, 1>(isa)),
            (DType::F16 | DType::Bf16, _) => None,
            _ => for_num!(
                dtype,
                S => for_any!(to, R => Some(apart::<S, Cast<R>, 1>(isa))),
                for_any!(to, R => Some(apart::<Bool, Cast<R>, 1>(isa)))
            ),
        },
        ScalarOp::Narrow(DType::F16) => Some(everywhere!(isa, f32, Narrowed<f16>, ONE: a)),
        ScalarOp::Narrow(_) => Some(everywhere!(isa, f32, Narrowed<bf16>, ONE: a)),
        ScalarOp::Add => arithmetic!(Add),
        ScalarOp::Sub => arithmetic!(Sub),
        ScalarOp::Mul => arithmetic!(Mul),
        ScalarOp::Div => arithmetic!(Div),
        ScalarOp::Max => num!(Max 2),
        ScalarOp::Min => num!(Min 2),
        ScalarOp::Fmod => num!(Fmod 2),
        ScalarOp::Pow => num!(Pow 2),
        ScalarOp::LogAddExp => float!(LogAddExp 2),
        ScalarOp::Atan2 => float!(Atan2 2),
        ScalarOp::Hypot => float!(Hypot 2),
        ScalarOp::Polygamma => float!(Polygamma 2),
        ScalarOp::Equal => for_any!(dtype, T => Some(apart::<T, Equal, 2>(isa))),
        ScalarOp::Less => compare!(Less),
        ScalarOp::LessEqual => compare!(LessEqual),
        ScalarOp::Select => for_size!(dtype.size(), T => select::<T>(scalars, isa)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bits of a loop of `f32`s.
    fn bits(f: TileFn, x: &[f32]) -> Vec<u32> {
        let mut y = vec![0f32; x.len()];
        let args = [x.as_ptr().cast(); MAX_ARGS];
        // SAFETY: as many elements of the right type, apart from the result.
        unsafe { f(TileArgs { n: x.len(), dst: y.as_mut_ptr().cast(), args }) };
        y.iter().map(|y| if y.is_nan() { 0 } else { y.to_bits() }).collect()
    }

    #[test]
    fn instruction_sets_and_vector_tails_agree() {
        use ScalarOp::*;
        let x: Vec<f32> = (0..20_000u32).map(|i| f32::from_bits(i.wrapping_mul(214_013))).collect();
        for op in [
            Exp, Expm1, Ln, Ln1p, Tanh, Erf, Sigmoid, Softplus, NormalCdf, Floor, Round, Sign,
            Sqrt, Max, Div,
        ] {
            let f = |isa| tile_fns(op, DType::F32, 0, isa).unwrap().apart;
            let whole = bits(f(Isa::Portable), &x);
            for isa in Isa::available() {
                assert_eq!(whole, bits(f(isa), &x), "{op:?} {isa:?}");
                for (i, x) in x.chunks(7).enumerate() {
                    assert_eq!(bits(f(isa), x), whole[7 * i..][..x.len()], "{op:?} {isa:?}");
                }
            }
        }
    }

    #[test]
    fn an_operand_may_be_one_number_or_where_the_result_is() {
        for isa in Isa::available() {
            for scalar in [0, 1] {
                let f = tile_fns(ScalarOp::Sub, DType::F32, 1 << scalar, isa).unwrap();
                let mut x: Vec<f32> = (0..45).map(|i| i as f32).collect();
                let dst = x.as_mut_ptr().cast::<u8>();
                let mut args = [dst.cast_const(); MAX_ARGS];
                args[scalar] = std::ptr::from_ref(&2f32).cast();
                assert!(f.in_place[scalar].is_none());
                // SAFETY: `n` elements, read and written in place, and one number.
                unsafe { f.in_place[1 - scalar].unwrap()(TileArgs { n: x.len(), dst, args }) };
                let sign = if scalar == 0 { -1.0 } else { 1.0 };
                assert!((0..45).all(|i| x[i] == sign * (i as f32 - 2.0)), "{isa:?} {x:?}");
            }
        }
    }
}
