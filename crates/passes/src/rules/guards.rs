//! Conditions of rules: what splats must be, and what facts must hold.
//!
//! Each answers why it does not hold, in words for the user who reads the ledger.

use pleach_graph::NodeId;
use pleach_ops::{Graph, Op};
use pleach_tensor::{BF16, DType, F16, F32};

use crate::Range;

type Verdict = Result<(), &'static str>;

fn that(holds: bool, otherwise: &'static str) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn all(xs: &[NodeId], otherwise: &'static str, holds: impl Fn(NodeId) -> bool) -> Verdict {
    that(xs.iter().all(|&x| holds(x)), otherwise)
}

fn splat(g: &Graph, x: NodeId) -> Option<f64> {
    match &g.node(x).op {
        Op::Full(full) => Some(full.value()),
        _ => None,
    }
}

/// Is this number far from where its type overflows or underflows? For integers: does a double
/// hold it?
fn is_ordinary(value: f64, dtype: DType) -> bool {
    let size = value.abs();
    match dtype {
        d if !d.is_float() => size < 2f64.powi(53),
        F32 | BF16 => size == 0.0 || (1e-30..=1e30).contains(&size),
        F16 => size == 0.0 || (1e-3..=1e3).contains(&size),
        _ => size == 0.0 || (1e-200..=1e200).contains(&size),
    }
}

fn combined(g: &Graph, cs: &[NodeId], f: fn(f64, f64) -> f64) -> bool {
    let values: Option<Vec<f64>> = cs.iter().map(|&c| splat(g, c)).collect();
    let (Some(values), Some(&first)) = (values, cs.first()) else { return false };
    let dtype = g.ty(first).dtype();
    let result = values.iter().copied().reduce(f);
    values.iter().copied().chain(result).all(|v| is_ordinary(v, dtype))
}

/// Are the values floats?
pub fn float(g: &Graph, xs: &[NodeId]) -> Verdict {
    all(xs, "it holds for floats only", |x| g.ty(x).dtype().is_float())
}

/// Are the values of types with a sign?
pub fn signed(g: &Graph, xs: &[NodeId]) -> Verdict {
    all(xs, "unsigned integers wrap", |x| g.ty(x).dtype() != DType::U8)
}

/// Are the constants far from overflow and underflow?
pub fn ordinary(g: &Graph, cs: &[NodeId]) -> Verdict {
    that(combined(g, cs, |a, _| a), "a constant is near overflow or underflow")
}

/// Are the constants and their sum far from overflow and underflow?
pub fn ordinary_sum(g: &Graph, cs: &[NodeId]) -> Verdict {
    that(combined(g, cs, |a, b| a + b), "the sum of the constants may overflow")
}

/// Are the constants and their product far from overflow and underflow?
pub fn ordinary_product(g: &Graph, cs: &[NodeId]) -> Verdict {
    that(combined(g, cs, |a, b| a * b), "the product of the constants may overflow")
}

/// Are the constants floats, and they and their reciprocals ordinary numbers?
pub fn invertible(g: &Graph, cs: &[NodeId]) -> Verdict {
    float(g, cs)?;
    all(cs, "the reciprocal is no ordinary number", |c| {
        splat(g, c).is_some_and(|v| v != 0.0 && is_ordinary(v, g.ty(c).dtype()))
    })
}

/// Are the constants floats, each ±2ᵏ with an ordinary reciprocal?
pub fn power_of_two(g: &Graph, cs: &[NodeId]) -> Verdict {
    invertible(g, cs)?;
    all(cs, "the divisor is no power of two", |c| {
        splat(g, c).is_some_and(|v| v.to_bits() & ((1 << 52) - 1) == 0)
    })
}

/// Are the constants floats, ordinary and above zero?
pub fn above_zero(g: &Graph, cs: &[NodeId]) -> Verdict {
    invertible(g, cs)?;
    all(cs, "the factor is not above zero", |c| splat(g, c).is_some_and(|v| v > 0.0))
}

/// Are the values no NaN?
pub fn number(g: &Graph, xs: &[NodeId]) -> Verdict {
    all(xs, "it is not proved that the value is a number", |x| !Range::of(g, x).nan)
}

/// A bound of what stays in range; `narrow` in `f16`, whose range is that of few powers of two.
fn bound(g: &Graph, x: NodeId, wide: f64, narrow: f64) -> f64 {
    if g.ty(x).dtype() == F16 { narrow } else { wide }
}

/// Are the values neither infinite nor NaN?
pub fn finite(g: &Graph, xs: &[NodeId]) -> Verdict {
    all(xs, "it is not proved that the value is finite", |x| Range::of(g, x).is_finite())
}

/// Are the values away from zero and from overflow, also when squared?
pub fn nonzero(g: &Graph, xs: &[NodeId]) -> Verdict {
    all(xs, "it is not proved that the value is away from zero and finite", |x| {
        let (r, far) = (Range::of(g, x), bound(g, x, 1e15, 100.0));
        r.is_within(-far, far) && (r.low > 1.0 / far || r.high < -1.0 / far)
    })
}

/// Are the values positive, away from zero and from overflow?
pub fn positive(g: &Graph, xs: &[NodeId]) -> Verdict {
    all(xs, "it is not proved that the value is positive and finite", |x| {
        let far = bound(g, x, 1e30, 1e3);
        Range::of(g, x).is_within(1.0 / far, far)
    })
}

/// Are the values in `[-40, 40]`, so that the exponential neither overflows nor underflows, nor
/// that of the sum of two?
pub fn moderate(g: &Graph, xs: &[NodeId]) -> Verdict {
    all(xs, "it is not proved that the exponential stays in range", |x| {
        let far = bound(g, x, 40.0, 4.0);
        Range::of(g, x).is_within(-far, far)
    })
}

/// Are the values in `[-25, 25]`, so that the quotient of two exponentials is in range, and so are
/// its derivatives, which divide by a square?
pub fn mild(g: &Graph, xs: &[NodeId]) -> Verdict {
    all(xs, "it is not proved that the derivative of the quotient stays in range", |x| {
        let far = bound(g, x, 25.0, 2.0);
        Range::of(g, x).is_within(-far, far)
    })
}
