//! Losses that ask for a distance: hinges and triplets.

use super::{Reduction, alike, wrong};
use crate::Var;

options! {
    /// `x` where `t` is 1, `max(0, margin - x)` where it is -1: near pairs should have small
    /// distances `x`, others at least the margin. Shapes must be equal.
    ///
    /// Other values of `t` get the sum of both. The slope at the hinge is 0.
    HingeEmbedding
    optional {}
    with {
        /// Distance that others should have.
        margin: f64 = 1.0,
        /// What becomes of the elements' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

options! {
    /// `max(0, margin - t·(a - b))`: `a` should be larger than `b` where `t` is 1, smaller where
    /// it is -1. Shapes must be equal. The slope at the hinge is 0.
    MarginRanking
    optional {}
    with {
        /// By how much.
        margin: f64 = 0.0,
        /// What becomes of the elements' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

options! {
    /// `max(0, margin + d(anchor, positive) - d(anchor, negative))`, where `d` is the norm of order
    /// `p` of `a - b + eps` over the last axis. Shapes must be equal, with at least one axis.
    ///
    /// The slope at the hinge is 0. **Source** Balntas et al., BMVC 2016.
    TripletMargin
    optional {}
    with {
        /// By how much farther the negative should be.
        margin: f64 = 1.0,
        /// Order of the norm, at least 1; infinity is the largest difference.
        p: f64 = 2.0,
        /// Keeps the distance of equal vectors away from 0, where it has no gradient.
        eps: f64 = 1e-6,
        /// If the positive is nearer to the negative than the anchor is, that distance counts.
        swap: bool = false,
        /// What becomes of the rows' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

impl HingeEmbedding {
    /// The loss of distances against targets of -1 or 1.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        if let Err(refused) = alike("hinge_embedding", x, &[target]) {
            return refused;
        }
        let far = target.equal(1).select(0.0, (-x + self.margin).relu());
        let near = target.equal(-1).select(0.0, x);
        self.reduction.of(far + near)
    }
}

impl MarginRanking {
    /// The loss of pairs of scores against targets of -1 or 1.
    #[track_caller]
    pub fn call<'g>(&self, a: Var<'g>, b: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = a.graph().at();
        match alike("margin_ranking", a, &[b, target]) {
            Ok(()) => {
                let t = target.as_float_of(a);
                self.reduction.of((-t * (a - b) + self.margin).relu())
            }
            Err(refused) => refused,
        }
    }
}

impl TripletMargin {
    /// The loss of vectors along the last axis.
    #[track_caller]
    pub fn call<'g>(&self, anchor: Var<'g>, positive: Var<'g>, negative: Var<'g>) -> Var<'g> {
        let _at = anchor.graph().at();
        let all = [anchor, positive, negative];
        if let Err(refused) = alike("triplet_margin", anchor, &[positive, negative]) {
            return refused;
        }
        if self.p.is_nan() || self.p < 1.0 {
            return wrong("triplet_margin", &all, format!("p must be at least 1, got {}", self.p));
        }
        if let Err(reason) = anchor.axis(-1) {
            return anchor.refuse("triplet_margin", &all, reason);
        }
        let distance = |a: Var<'g>, b: Var<'g>| norm(a - b + self.eps, self.p);
        let near = distance(anchor, positive);
        let mut far = distance(anchor, negative);
        if self.swap {
            far = far.minimum(distance(positive, negative));
        }
        self.reduction.of((near - far + self.margin).relu())
    }
}

/// The norm of order `p` over the last axis, which is removed.
#[track_caller]
fn norm(x: Var<'_>, p: f64) -> Var<'_> {
    if p == 2.0 {
        return x.length(-1).squeeze(-1);
    }
    let size = x.abs();
    if p == 1.0 {
        return size.sum(-1);
    }
    let largest = size.max(-1);
    if p == f64::INFINITY {
        return largest;
    }
    // (Σ |x|ᵖ)^(1/p), by logarithms; zeros add nothing.
    let zero = size.equal(0.0);
    let power = zero.select(0.0, (zero.select(1.0, size).ln() * p).exp());
    let sum = power.sum(-1);
    let none = sum.equal(0.0);
    none.select(0.0, (none.select(1.0, sum).ln() / p).exp())
}

impl<'g> Var<'g> {
    /// The mean hinge loss of distances with margin 1, see [`HingeEmbedding`].
    #[track_caller]
    pub fn hinge_embedding(self, target: Var<'g>) -> Var<'g> {
        HingeEmbedding::default().call(self, target)
    }

    /// Mean of `max(0, -t·(a - b))`, see [`MarginRanking`].
    #[track_caller]
    pub fn margin_ranking(self, other: Var<'g>, target: Var<'g>) -> Var<'g> {
        MarginRanking::default().call(self, other, target)
    }

    /// The mean loss of this anchor, a positive and a negative, see [`TripletMargin`].
    #[track_caller]
    pub fn triplet_margin(self, positive: Var<'g>, negative: Var<'g>) -> Var<'g> {
        TripletMargin::default().call(self, positive, negative)
    }
}

#[cfg(test)]
mod tests {
    use crate::loss::*;
    use crate::prelude::*;

    fn row(x: &[f64]) -> Tensor {
        Tensor::new([x.len()], x.to_vec()).unwrap()
    }

    #[test]
    fn hinges_have_slope_zero_at_the_hinge() {
        let g = Graph::new();
        let (x, t) = (g.input("x", F64, [4]), g.input("t", I64, [4]));
        let at =
            [&row(&[0.25, 0.25, 1.0, 3.0]), &Tensor::new([4], vec![1i64, -1, -1, -1]).unwrap()];
        let y = HingeEmbedding::default().reduction(Reduction::None).call(x, t);
        assert_eq!(y.eval(&at).unwrap().to_f64s(), [0.25, 0.75, 0.0, 0.0]);
        assert_eq!(g.grad(y, &[x])[0].eval(&at).unwrap().to_f64s(), [1.0, -1.0, 0.0, 0.0]);
        let rank = MarginRanking::default().margin(1.0).reduction(Reduction::None);
        let y = rank.call(x, x.full_like(0.0), t);
        assert_eq!(y.eval(&at).unwrap().to_f64s(), [0.75, 1.25, 2.0, 4.0]);
    }

    #[test]
    fn every_order_of_the_norm_is_the_same_on_one_axis() {
        let g = Graph::new();
        let [a, p, n] = ["a", "p", "n"].map(|name| g.input(name, F64, [1, 2]));
        let at =
            [[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]].map(|v| Tensor::new([1, 2], v.to_vec()).unwrap());
        let at = [&at[0], &at[1], &at[2]];
        for order in [1.0, 2.0, 3.5, f64::INFINITY] {
            let loss = TripletMargin::default().p(order).eps(0.0);
            let y = loss.call(a, p, n);
            assert!((y.eval(&at).unwrap().item().unwrap() - 3.0).abs() < 1e-14, "{order}");
            for d in g.grad(y, &[a, p, n]) {
                assert!(d.eval(&at).unwrap().to_f64s().iter().all(|v| v.is_finite()));
            }
        }
        // The positive is farther from the negative than the anchor is: swapping changes nothing.
        let swapped = TripletMargin::default().eps(0.0).swap(true).call(a, p, n);
        assert_eq!(swapped.eval(&at).unwrap().item(), Some(3.0));
        let swapped = TripletMargin::default().eps(0.0).swap(true).call(p, a, n);
        assert_eq!(swapped.eval(&at).unwrap().item(), Some(3.0)); // not 1 + 3 - √10
        assert!(TripletMargin::default().p(0.5).call(a, p, n).ok().is_err());
        assert!(a.margin_ranking(p, g.input("t", F64, [2])).ok().is_err());
    }
}
