//! Facts about values: an interval that holds them, and whether they may be NaN.

use pleach_graph::NodeId;
use pleach_ops::{Graph, Op};
use pleach_tensor::{DType, Tensor};

/// Operators that a proof looks through: bounds its work to a constant.
const DEPTH: usize = 5;

/// All elements of a value are in `[low, high]`, or NaN if `nan`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Least value.
    pub low: f64,
    /// Largest value.
    pub high: f64,
    /// May an element be NaN?
    pub nan: bool,
}

impl Range {
    const ANY: Range = Range { low: f64::NEG_INFINITY, high: f64::INFINITY, nan: true };

    fn new(low: f64, high: f64) -> Range {
        Range { low, high, nan: false }
    }

    /// What is proved about a value, from the few operators nearest to it.
    pub fn of(g: &Graph, id: NodeId) -> Range {
        range(g, id, DEPTH)
    }

    /// What is proved about all values, from all that they are made of, constants too.
    pub(crate) fn of_all(g: &Graph, live: &[bool]) -> Vec<Range> {
        let mut all: Vec<Range> = vec![Range::ANY; g.len()];
        for id in g.ids().filter(|id| live[id.index()]) {
            all[id.index()] = match &g.node(id).op {
                Op::Constant(c) if c.value().dtype().is_float() => Range::of_constant(c.value()),
                _ => step(g, id, &|x| all[x.index()]),
            };
        }
        all
    }

    fn of_constant(value: &Tensor) -> Range {
        let hull = |range: Range, v: f64| Range {
            low: range.low.min(v),
            high: range.high.max(v),
            nan: range.nan || v.is_nan(),
        };
        let all = value.to_f64s();
        all.first().map_or(Range::ANY, |&v| all.iter().copied().fold(Range::new(v, v), hull))
    }

    /// Neither infinite nor NaN?
    pub fn is_finite(self) -> bool {
        self.is_within(f64::MIN, f64::MAX)
    }

    /// In `[low, high]`, and not NaN?
    pub fn is_within(self, low: f64, high: f64) -> bool {
        !self.nan && low <= self.low && self.high <= high
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Range {
        Range { low: f(self.low), high: f(self.high), nan: self.nan }
    }

    /// The range of a sum of so many values of this range, in any order.
    fn times(self, terms: usize, dtype: DType) -> Range {
        // Twice the largest sum is room for rounding as long as all errors together are less than it.
        let terms = terms as f64;
        let most = 2.0 * terms * self.low.abs().max(self.high.abs());
        if self.nan || !most.is_finite() || terms * dtype.epsilon() > 0.5 {
            return Range::ANY;
        }
        Range::new(-most, most).rounded(dtype)
    }

    fn union(self, o: Range) -> Range {
        Range { low: self.low.min(o.low), high: self.high.max(o.high), nan: self.nan || o.nan }
    }

    /// The hull of `f` at the corners; anything if a corner is NaN, as `0·∞` and `∞ - ∞` are.
    fn corners(self, o: Range, f: impl Fn(f64, f64) -> f64) -> Range {
        let at =
            [f(self.low, o.low), f(self.low, o.high), f(self.high, o.low), f(self.high, o.high)];
        if at.iter().any(|v| v.is_nan()) {
            return Range::ANY;
        }
        let hull = at.iter().fold((at[0], at[0]), |(l, h), &v| (l.min(v), h.max(v)));
        // Inside of the interval an infinite factor may meet a zero.
        let infinite = |r: Range| r.low.is_infinite() || r.high.is_infinite();
        let zero = |r: Range| r.low <= 0.0 && r.high >= 0.0;
        let mixed = (infinite(self) && zero(o)) || (infinite(o) && zero(self));
        Range { low: hull.0, high: hull.1, nan: self.nan || o.nan || mixed }
    }

    /// Room for rounding; what leaves the range of the type may be infinite.
    fn rounded(self, dtype: DType) -> Range {
        let slack = |v: f64| v.abs() * dtype.epsilon().max(1e-6);
        let limit = 0.9 * dtype.largest();
        let (low, high) = (self.low - slack(self.low), self.high + slack(self.high));
        Range {
            low: if low < -limit { f64::NEG_INFINITY } else { low },
            high: if high > limit { f64::INFINITY } else { high },
            nan: self.nan,
        }
    }
}

fn range(g: &Graph, id: NodeId, depth: usize) -> Range {
    step(g, id, &|x| if depth == 0 { Range::ANY } else { range(g, x, depth - 1) })
}

/// The range of a value, by those of its operands.
fn step(g: &Graph, id: NodeId, of: &dyn Fn(NodeId) -> Range) -> Range {
    let node = g.node(id);
    if let Op::Full(full) = &node.op {
        let v = full.value();
        return if v.is_nan() { Range::ANY } else { Range::new(v, v) };
    }
    if !node.ty.dtype().is_float() {
        return match node.ty.dtype() {
            DType::Bool => Range::new(0.0, 1.0),
            DType::U8 => Range::new(0.0, 255.0),
            _ => Range::new(-1e19, 1e19),
        };
    }
    let x = |slot: usize| node.inputs.get(slot).map_or(Range::ANY, |&x| of(x));
    let dtype = node.ty.dtype();
    match &node.op {
        Op::Sigmoid(_) => Range { nan: x(0).nan, ..Range::new(0.0, 1.0) },
        Op::Tanh(_) => Range { nan: x(0).nan, ..Range::new(-1.0, 1.0) },
        Op::Sin(_) | Op::Cos(_) => Range { nan: !x(0).is_finite(), ..Range::new(-1.0, 1.0) },
        Op::Uniform(_) => Range::new(0.0, 1.0),
        Op::Exp(_) => x(0).map(f64::exp).rounded(dtype),
        Op::Softplus(_) => {
            let softplus = |v: f64| v.max(0.0) + (-v.abs()).exp().ln_1p();
            x(0).map(softplus).rounded(dtype)
        }
        Op::Sqrt(_) => {
            let of = x(0);
            let nan = of.nan || of.low < 0.0;
            Range { nan, ..of.map(|v| v.max(0.0).sqrt()) }.rounded(dtype)
        }
        Op::Abs(_) => {
            let of = x(0);
            let (a, b) = (of.low.abs(), of.high.abs());
            let low = if of.low <= 0.0 && of.high >= 0.0 { 0.0 } else { a.min(b) };
            Range { low, high: a.max(b), nan: of.nan }
        }
        Op::Neg(_) => {
            let of = x(0);
            Range { low: -of.high, high: -of.low, nan: of.nan }
        }
        Op::Add(_) => x(0).corners_of_sum(x(1), 1.0).rounded(dtype),
        Op::Sub(_) => x(0).corners_of_sum(x(1), -1.0).rounded(dtype),
        Op::Mul(_) if node.inputs[0] == node.inputs[1] => {
            let of = x(0);
            let (a, b) = (of.low * of.low, of.high * of.high);
            let low = if of.low <= 0.0 && of.high >= 0.0 { 0.0 } else { a.min(b) };
            Range { low, high: a.max(b), nan: of.nan }.rounded(dtype)
        }
        Op::Mul(_) => x(0).corners(x(1), |a, b| a * b).rounded(dtype),
        Op::Div(_) => {
            let by = x(1);
            if by.low > 0.0 || by.high < 0.0 {
                x(0).corners(by, |a, b| a / b).rounded(dtype)
            } else {
                Range::ANY
            }
        }
        Op::MatMul(_) => {
            let terms = g.ty(node.inputs[0]).shape().last().copied().unwrap_or(0);
            x(0).corners(x(1), |a, b| a * b).times(terms, dtype)
        }
        Op::Sum(_) => {
            let terms = g.ty(node.inputs[0]).numel() / node.ty.numel().max(1);
            x(0).times(terms, dtype)
        }
        Op::Maximum(_) => Range { low: x(0).low.max(x(1).low), ..x(0).union(x(1)) },
        Op::Minimum(_) => Range { high: x(0).high.min(x(1).high), ..x(0).union(x(1)) },
        Op::Select(_) => x(1).union(x(2)),
        Op::Cast(_) => x(0).rounded(dtype),
        Op::StopGradient(_)
        | Op::StraightThrough(_)
        | Op::Checkpoint(_)
        | Op::Reshape(_)
        | Op::Permute(_)
        | Op::Broadcast(_)
        | Op::Flip(_)
        | Op::Slice(_)
        | Op::Windows(_) => x(0),
        Op::Pad(pad) if pad.value().is_nan() => Range::ANY,
        Op::Pad(pad) => x(0).union(Range::new(pad.value(), pad.value())),
        _ => Range::ANY,
    }
}

impl Range {
    /// The range of `x + sign·y`.
    fn corners_of_sum(self, o: Range, sign: f64) -> Range {
        let o = if sign < 0.0 { Range { low: -o.high, high: -o.low, nan: o.nan } } else { o };
        // Opposite infinities make NaN.
        let clash = (self.low.is_infinite() && o.high.is_infinite())
            || (self.high.is_infinite() && o.low.is_infinite());
        if clash {
            return Range::ANY;
        }
        Range { low: self.low + o.low, high: self.high + o.high, nan: self.nan || o.nan }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pleach_ops::prelude::*;
    use pleach_tensor::F32;

    #[test]
    fn what_is_bounded_is_known_and_what_is_fed_is_not() {
        let g = Graph::new();
        let x = g.input("x", F32, [3]);
        let c = g.input("i", I64, [3]).cast(F32);
        let of = |v: Var<'_>| Range::of(&g, v.id());
        assert_eq!(of(x), Range::ANY);
        assert!(of(x.sigmoid()).nan, "the sigmoid of NaN is NaN");
        assert!(of(c.tanh()).is_within(-1.0, 1.0));
        assert!(of(c.tanh().exp()).is_within(0.36, 2.72));
        assert!(of(c.tanh() * c.tanh() + 1.0).is_within(0.99, 2.01));
        assert!(of(c.less(0.0).select(c.tanh(), 3.0)).is_within(-1.0, 3.0));
        assert!(!of(c.exp()).is_finite(), "it overflows");
        assert!(!of(c.exp() - c.exp()).is_finite());
        assert!(!of(c.exp() * c.tanh()).is_finite(), "∞·0");
        assert!(!of(c.tanh().sqrt()).is_finite(), "the root of a negative number");
        assert!(of(c.abs()).is_within(0.0, 1e20));
        let (t, far) = (c.tanh(), g.full(F32, [3], 1e30));
        assert!(of(t / 2.0).is_within(-0.51, 0.51) && !of(t / t).is_finite());
        assert!(of(t.sum_all()).is_within(-7.0, 7.0) && !of(x.sum_all()).is_finite());
        assert!(!of(t.sum_all()).is_within(-2.9, 2.9), "three times as large");
        let products = |v: Var<'_>| of(v.reshape([1, 3]).matmul(v.reshape([3, 1])));
        assert!(!products(t).is_within(-2.9, 2.9));
        assert!(products(t).is_within(-7.0, 7.0) && !products(far).is_finite(), "it overflows");
        let padded = of((t.slice(0, 0..2) + 2.0).pad(&[(1, 0)]));
        assert!(padded.is_within(-0.01, 3.01) && !padded.is_within(0.5, 4.0), "zeros around it");
    }
}
