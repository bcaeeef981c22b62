//! Arithmetic, powers, exponentials, trigonometry, rounding, comparison, where.

use super::super::call::{Build, one};

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[
    ("abs", |c| one(c.x()?.abs())),
    ("add", |c| one(c.x()? + c.var("other")? * c.float_or("alpha", 1.0)?)),
    ("cos", |c| one(c.x()?.cos())),
    ("div-no_rounding_mode", |c| one(c.x()? / c.var("other")?)),
    ("erf", |c| one(c.x()?.erf())),
    ("exp", |c| one(c.x()?.exp())),
    ("floor", |c| one(c.x()?.floor())),
    ("log", |c| one(c.x()?.ln())),
    ("log1p", |c| one(c.x()?.ln_1p())),
    ("maximum", |c| one(c.x()?.maximum(c.var("other")?))),
    ("minimum", |c| one(c.x()?.minimum(c.var("other")?))),
    ("mul", |c| one(c.x()? * c.var("other")?)),
    ("neg", |c| one(-c.x()?)),
    ("sign", |c| one(c.x()?.sign())),
    ("sin", |c| one(c.x()?.sin())),
    ("sqrt", |c| one(c.x()?.sqrt())),
    ("square", |c| one(c.x()?.square())),
    ("sub", |c| one(c.x()? - c.var("other")? * c.float_or("alpha", 1.0)?)),
    ("where", |c| one(c.var("condition")?.select(c.var("input")?, c.var("other")?))),
];
