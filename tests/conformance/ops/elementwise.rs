//! Arithmetic, powers, exponentials, trigonometry, rounding, comparison, where.

use pleach::prelude::*;

use super::super::call::{Build, Built, Call, one};

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[
    ("abs", |c| one(c.x()?.abs())),
    ("acos", |c| one(c.x()?.acos())),
    ("acosh", |c| one(c.x()?.acosh())),
    ("add", |c| one(c.x()? + c.var("other")? * c.float_or("alpha", 1.0)?)),
    ("addcdiv", |c| {
        one(c.x()?.addcdiv(c.var("tensor1")?, c.var("tensor2")?, c.float_or("value", 1.0)?))
    }),
    ("addcmul", |c| {
        one(c.x()?.addcmul(c.var("tensor1")?, c.var("tensor2")?, c.float_or("value", 1.0)?))
    }),
    ("asin", |c| one(c.x()?.asin())),
    ("asinh", |c| one(c.x()?.asinh())),
    ("atan", |c| one(c.x()?.atan())),
    ("atan2", |c| one(c.x()?.atan2(c.var("other")?))),
    ("atanh", |c| one(c.x()?.atanh())),
    ("ceil", |c| one(c.x()?.ceil())),
    ("clamp", clamp),
    ("clamp_max", clamp),
    ("clamp_min", clamp),
    ("cos", |c| one(c.x()?.cos())),
    ("cosh", |c| one(c.x()?.cosh())),
    ("digamma", |c| one(c.x()?.digamma())),
    ("div-no_rounding_mode", |c| one(c.x()? / c.var("other")?)),
    ("erf", |c| one(c.x()?.erf())),
    ("erfc", |c| one(c.x()?.erfc())),
    ("erfinv", |c| one(c.x()?.erfinv())),
    ("exp", |c| one(c.x()?.exp())),
    ("exp2", |c| one(c.x()?.exp2())),
    ("expm1", |c| one(c.x()?.expm1())),
    ("float_power", |c| one(c.x()?.float_power(c.var("exponent")?))),
    ("floor", |c| one(c.x()?.floor())),
    ("fmax", |c| one(c.x()?.fmax(c.var("other")?))),
    ("fmin", |c| one(c.x()?.fmin(c.var("other")?))),
    ("frac", |c| one(c.x()?.frac())),
    ("hypot", |c| one(c.x()?.hypot(c.var("other")?))),
    ("lerp", lerp),
    ("lgamma", |c| one(c.x()?.lgamma())),
    ("log", |c| one(c.x()?.ln())),
    ("log10", |c| one(c.x()?.log10())),
    ("log1p", |c| one(c.x()?.ln_1p())),
    ("log2", |c| one(c.x()?.log2())),
    ("logaddexp", |c| one(c.x()?.logaddexp(c.var("other")?))),
    ("logit", logit),
    ("masked_fill", |c| one(c.x()?.masked_fill(c.var("mask")?, like(c.x()?, c.var("value")?)))),
    ("maximum", |c| one(c.x()?.maximum(c.var("other")?))),
    ("minimum", |c| one(c.x()?.minimum(c.var("other")?))),
    ("mul", |c| one(c.x()? * c.var("other")?)),
    ("neg", |c| one(-c.x()?)),
    ("pow", |c| one(c.x()?.pow(c.var("exponent")?))),
    ("reciprocal", |c| one(c.x()?.reciprocal())),
    ("remainder", |c| one(c.x()?.remainder(c.var("other")?))),
    ("round", |c| one(c.x()?.round())),
    ("rsqrt", |c| one(c.x()?.rsqrt())),
    ("sign", |c| one(c.x()?.sign())),
    ("sin", |c| one(c.x()?.sin())),
    ("sinh", |c| one(c.x()?.sinh())),
    ("sqrt", |c| one(c.x()?.sqrt())),
    ("square", |c| one(c.x()?.square())),
    ("sub", |c| one(c.x()? - c.var("other")? * c.float_or("alpha", 1.0)?)),
    ("tan", |c| one(c.x()?.tan())),
    ("trunc", |c| one(c.x()?.trunc())),
    ("where", |c| one(c.var("condition")?.select(c.var("input")?, c.var("other")?))),
    ("xlogy", |c| one(c.x()?.xlogy(c.var("y|other")?))),
];

/// An operand of another element type is brought to that of `x`, as PyTorch promotes it.
fn like<'g>(x: Var<'g>, other: Var<'g>) -> Var<'g> {
    if other.dtype() == x.dtype() { other } else { other.cast(x.dtype()) }
}

/// The bounds, both optional, are tensors or numbers.
fn clamp<'g>(c: &Call<'g>) -> Built<'g> {
    let x = c.x()?;
    let low = c.maybe("min")?.map_or(x, |low| x.clamp_min(like(x, low)));
    one(c.maybe("max")?.map_or(low, |high| low.clamp_max(like(x, high))))
}

/// The weight is a tensor or a number.
fn lerp<'g>(c: &Call<'g>) -> Built<'g> {
    let (x, end) = (c.x()?, c.var("end")?);
    one(match c.float("weight") {
        Ok(weight) if c.data("weight").is_err() => x.lerp(end, weight),
        _ => x.lerp(end, c.var("weight")?),
    })
}

fn logit<'g>(c: &Call<'g>) -> Built<'g> {
    let x = c.x()?;
    one(match c.given("eps") {
        Some(_) => x.logit_within(c.float("eps")?),
        None => x.logit(),
    })
}
