//! Random values of every distribution, from a key.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use pleach_graph::TypeError;
use pleach_tensor::{DType, F64, I64, Shape};

use crate::{GraphExt, Var};

/// The least draw of [`Var::uniform`] is 0, whose logarithm is infinite: half of the next stands
/// for it.
const LEAST: f64 = f64::EPSILON / 4.0;

/// Distributions. `self` is a key: the same key gives the same values.
impl<'g> Var<'g> {
    /// Uniform in `[low, high)`; a draw that rounding takes to `high` may be `high`.
    #[track_caller]
    pub fn uniform_in(self, dtype: DType, shape: impl Into<Shape>, low: f64, high: f64) -> Var<'g> {
        let _at = self.graph().at();
        (self.uniform(dtype.compute(), shape) * (high - low) + low).back_to(dtype)
    }

    /// `true` with probability `p`, each element by itself, of the shape of `p`. `p ≤ 0` and NaN
    /// are never, `p ≥ 1` is always.
    #[track_caller]
    pub fn bernoulli(self, p: Var<'g>) -> Var<'g> {
        let _at = self.graph().at();
        self.uniform(p.dtype().compute(), p.shape()).less(p.wide())
    }

    /// Integers (i64) in `low .. high`. Each is as likely as the others to within
    /// `(high - low) · 2⁻⁵³`.
    #[track_caller]
    pub fn randint(self, low: i64, high: i64, shape: impl Into<Shape>) -> Var<'g> {
        let _at = self.graph().at();
        match high.checked_sub(low) {
            Some(n) if (1..1 << 53).contains(&n) => {
                (self.uniform(F64, shape) * n as f64).floor().cast(I64) + low
            }
            _ => {
                let why = format!("{low} .. {high} holds nothing, or more than 2^53 integers");
                self.refuse("randint", &[self], TypeError::Attribute(why))
            }
        }
    }

    /// `0 .. n` (i64) in an order of which all are equally likely. Two of the draws that it sorts
    /// are equal, and then stay in order, with probability `n² · 2⁻⁵⁴`.
    #[track_caller]
    pub fn permutation(self, n: usize) -> Var<'g> {
        let _at = self.graph().at();
        self.uniform(F64, [n]).argsort(0, false)
    }

    /// Exponential with rate 1: `-ln(1 - u)`.
    #[track_caller]
    pub fn exponential(self, dtype: DType, shape: impl Into<Shape>) -> Var<'g> {
        let _at = self.graph().at();
        (-(-self.uniform(dtype.compute(), shape)).ln_1p()).back_to(dtype)
    }

    /// Gumbel's distribution of extremes: `-ln(-ln u)`.
    #[track_caller]
    pub fn gumbel(self, dtype: DType, shape: impl Into<Shape>) -> Var<'g> {
        let _at = self.graph().at();
        (-(-self.uniform(F64, shape).maximum(LEAST).ln()).ln()).cast(dtype)
    }

    /// Indices (i64) along the last axis of `logits`, index `i` with probability
    /// `softmax(logits)ᵢ`: one draw for each row. An index whose logit is `-∞` is never drawn.
    ///
    /// **Source** the Gumbel-max trick; Maddison et al., NIPS 2014, eq. 2.
    #[track_caller]
    pub fn categorical(self, logits: Var<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let Some(ty) = logits.ty() else { return logits };
        if !ty.dtype().is_float() || ty.rank() == 0 {
            let why = format!("logits are floats with a last axis, got {ty}");
            return self.refuse("categorical", &[self, logits], TypeError::Attribute(why));
        }
        (logits + self.gumbel(ty.dtype(), ty.shape())).argmax(-1)
    }

    /// Standard normal, but in `[low, high]`: by the inverse of the distribution function. Where
    /// both bounds lie beyond 5 on one side, digits are lost to the tail.
    #[track_caller]
    pub fn truncated_normal(
        self,
        dtype: DType,
        shape: impl Into<Shape>,
        low: f64,
        high: f64,
    ) -> Var<'g> {
        let _at = self.graph().at();
        if low.is_nan() || high.is_nan() || low >= high {
            let why = format!("a normal number cannot lie between {low} and {high}");
            return self.refuse("truncated_normal", &[self], TypeError::Attribute(why));
        }
        let below = |x: f64| self.graph().full(F64, [], x * FRAC_1_SQRT_2).erf();
        let (from, to) = (below(low), below(high));
        let u = self.uniform(F64, shape) * (to - from) + from;
        (u.erfinv() * SQRT_2).clamp(low, high).cast(dtype)
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    const N: usize = 40_000;

    fn key(g: &Graph, n: i64) -> Var<'_> {
        g.constant(Tensor::scalar(n))
    }

    fn values(v: Var<'_>) -> Vec<f64> {
        v.eval(&[]).unwrap().to_f64s()
    }

    /// Mean and variance within five standard errors (the variance of a variance by its kurtosis).
    fn moments(v: Var<'_>, mean: f64, variance: f64, kurtosis: f64) {
        let x = values(v);
        let n = x.len() as f64;
        let m = x.iter().sum::<f64>() / n;
        let s = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        assert!((m - mean).abs() < 5.0 * (variance / n).sqrt(), "mean {m}, not {mean}");
        let error = variance * ((kurtosis - 1.0) / n).sqrt();
        assert!((s - variance).abs() < 5.0 * error, "variance {s}, not {variance}");
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let g = Graph::new();
        for dtype in [F32, F64] {
            moments(key(&g, 1).uniform_in(dtype, [N], -1.0, 3.0), 1.0, 16.0 / 12.0, 1.8);
            moments(key(&g, 2).exponential(dtype, [N]), 1.0, 1.0, 9.0);
            let euler = 0.577_215_664_901_532_9;
            let variance = std::f64::consts::PI.powi(2) / 6.0;
            moments(key(&g, 3).gumbel(dtype, [N]), euler, variance, 5.4);
            // Between -1 and 2: φ and Φ from tables.
            let y = key(&g, 4).truncated_normal(dtype, [N], -1.0, 2.0);
            moments(y, 0.229_637_2, 0.519_762_5, 2.4);
            assert!(values(y).iter().all(|y| (-1.0..=2.0).contains(y)));
        }
        moments(key(&g, 5).randint(-2, 4, [N]), 0.5, 35.0 / 12.0, 1.8);
        let integers = values(key(&g, 5).randint(-2, 4, [N]));
        assert!((-2..4).all(|i| integers.contains(&f64::from(i))) && integers.len() == N);
        let p = g.full(F32, [N], 0.3);
        moments(key(&g, 6).bernoulli(p).cast(F64), 0.3, 0.21, 2.0);
    }

    #[test]
    fn permutations_of_three_are_equally_likely() {
        let g = Graph::new();
        let mut counts = std::collections::HashMap::new();
        for i in 0..1200 {
            *counts.entry(key(&g, i).permutation(3).eval(&[]).unwrap().to_i64s()).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        let chi: f64 = counts.values().map(|&n| (f64::from(n) - 200.0).powi(2) / 200.0).sum();
        assert!(chi < 20.5, "{counts:?}"); // 5 degrees of freedom, p = 0.001.
        let mut all = key(&g, 7).permutation(1000).eval(&[]).unwrap().to_i64s();
        assert!(!all.is_sorted());
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1000));
    }

    #[test]
    fn categories_come_as_often_as_they_should() {
        let g = Graph::new();
        let logits = g.constant(Tensor::new([3], vec![0.0, 2f64.ln(), f64::NEG_INFINITY]).unwrap());
        let drawn = key(&g, 8).categorical(logits.broadcast_to([N, 3]));
        assert_eq!(drawn.ty().unwrap().to_string(), format!("i64[{N}]"));
        moments(drawn, 2.0 / 3.0, 2.0 / 9.0, 2.0);
        assert_eq!(values(drawn), values(key(&g, 8).categorical(logits.broadcast_to([N, 3]))));
        assert_ne!(values(drawn), values(key(&g, 9).categorical(logits.broadcast_to([N, 3]))));
    }

    #[test]
    fn wrong_arguments_are_refused() {
        let g = Graph::new();
        let k = key(&g, 1);
        assert!(k.randint(3, 3, [2]).ok().is_err());
        assert!(k.randint(i64::MIN, i64::MAX, [2]).ok().is_err());
        assert!(k.truncated_normal(F32, [2], 1.0, 1.0).ok().is_err());
        assert!(k.categorical(g.full(F32, [], 0.0)).ok().is_err());
        assert!(k.bernoulli(g.full(I64, [2], 0.0)).ok().is_err());
    }
}
