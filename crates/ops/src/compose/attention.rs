//! Scaled dot-product attention.

use pleach_graph::TypeError;
use pleach_tensor::{DType, Shape};

use crate::{GraphExt, Var};

/// `y = softmax(s · q kᵀ + mask) v`, for every index of the leading axes.
///
/// | | shape | dtype |
/// |---|---|---|
/// | `q` | `[.., L, E]` | float |
/// | `k` | `[.., S, E]` | as `q` |
/// | `v` | `[.., S, D]` | as `q` |
/// | `mask` | broadcasts with `[.., L, S]` | bool, or as `q` |
/// | `y` | `[.., L, D]` | as `q` |
///
/// Leading axes broadcast. With [`grouped`](Attention::grouped), axis -3 counts heads, and those
/// of `q` are a multiple of those of `k` and of `v`: query head `i` attends to head
/// `i · heads_k / heads_q`, and no key is copied.
///
/// **Numerics** the largest score of a row is subtracted first: nothing overflows. A row that may
/// attend to nothing gives zeros, and its gradient is zero, as in PyTorch.
///
/// **Source** Vaswani et al., NeurIPS 2017, eq. 1; grouped: Ainslie et al., EMNLP 2023.
///
/// ```
/// use pleach_ops::Attention;
/// use pleach_ops::prelude::*;
/// let g = Graph::new();
/// let [q, k, v] = ["q", "k", "v"].map(|name| g.input(name, F32, [2, 8, 16, 64]));
/// let y = Attention::default().causal().call(q, k, v);
/// assert_eq!(y.shape(), [2, 8, 16, 64].into());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Attention<'g> {
    /// Booleans: `true` takes part. Floats: added to the scores.
    pub mask: Option<Var<'g>>,
    /// Does position `i` see keys `0..=i` only? Together with a mask, both hold.
    pub causal: bool,
    /// Probability with which a weight is zero in graphs for training.
    pub dropout: f64,
    /// Factor of the scores; `1/√E` if nothing is said.
    pub scale: Option<f64>,
    /// May several heads of `q` share one of `k` and `v`?
    pub grouped: bool,
}

impl<'g> Attention<'g> {
    /// Booleans: `true` takes part. Floats: added to the scores.
    #[must_use]
    pub fn mask(self, mask: Var<'g>) -> Self {
        Attention { mask: Some(mask), ..self }
    }

    /// Position `i` sees keys `0..=i` only.
    #[must_use]
    pub fn causal(self) -> Self {
        Attention { causal: true, ..self }
    }

    /// In graphs for training, a weight is zero with probability `p`.
    #[must_use]
    pub fn dropout(self, p: f64) -> Self {
        Attention { dropout: p, ..self }
    }

    /// The factor of the scores, `1/√E` if nothing is said.
    #[must_use]
    pub fn scale(self, scale: f64) -> Self {
        Attention { scale: Some(scale), ..self }
    }

    /// Several heads (axis -3) of `q` share one of `k` and `v`.
    #[must_use]
    pub fn grouped(self) -> Self {
        Attention { grouped: true, ..self }
    }

    /// The values, averaged by how well the keys fit the queries.
    #[track_caller]
    pub fn call(&self, q: Var<'g>, k: Var<'g>, v: Var<'g>) -> Var<'g> {
        let _at = q.graph().at();
        if let Err(refused) = self.check(&[q, k, v]) {
            return refused;
        }
        let weights = self.weights(q, k);
        self.mix(weights.dropout(self.dropout), v)
    }

    /// What the keys weigh for each query, `[.., L, S]`, without dropout. Rows add up to 1, or are
    /// zeros.
    #[track_caller]
    pub fn weights(&self, q: Var<'g>, k: Var<'g>) -> Var<'g> {
        let _at = q.graph().at();
        if let Err(refused) = self.check(&[q, k]) {
            return refused;
        }
        let (length, inner) = (q.size(-2), q.size(-1));
        let scale = self.scale.unwrap_or_else(|| (inner as f64).sqrt().recip());
        // Scaled afterwards: one rounding, and not one of every number of the query.
        let scores = unfold(self.fold(q, k).matmul(k.t()), length) * scale;
        self.weigh(scores)
    }

    /// Weights of these scores.
    #[track_caller]
    pub(super) fn weigh(&self, scores: Var<'g>) -> Var<'g> {
        match self.masked(scores) {
            Ok(masked) if masked.id() == scores.id() => scores.softmax(-1),
            Ok(masked) => masked.masked_softmax(),
            Err(refused) => refused,
        }
    }

    /// Values mixed by weights, `[.., L, S]`: the second half of [`Attention::call`], for those
    /// who want the weights too.
    #[track_caller]
    pub fn mix(&self, weights: Var<'g>, v: Var<'g>) -> Var<'g> {
        let _at = weights.graph().at();
        let length = weights.size(-2);
        unfold(self.fold(weights, v).matmul(v), length)
    }

    /// Queries of heads that share a head of `keys`, one after the other: `[.., H, L, E]` becomes
    /// `[.., heads of keys, L · group, E]`.
    #[track_caller]
    fn fold(&self, x: Var<'g>, keys: Var<'g>) -> Var<'g> {
        let (shape, heads) = (x.shape(), keys.size(-3));
        let rank = shape.rank();
        if !self.grouped || rank < 3 || heads == 0 || shape[rank - 3] == heads {
            return x;
        }
        let mut folded = shape.to_vec();
        folded[rank - 2] = shape[rank - 3] / heads * shape[rank - 2];
        folded[rank - 3] = heads;
        x.reshape(folded)
    }

    /// Scores that may not take part are minus infinity.
    #[track_caller]
    fn masked(&self, scores: Var<'g>) -> Result<Var<'g>, Var<'g>> {
        let mut masked = scores;
        if let Some(mask) = self.mask {
            let [mask, scores] = mask.broadcast_with("attention", scores)?;
            masked = if mask.dtype() == DType::Bool {
                mask.select(scores, f64::NEG_INFINITY)
            } else {
                scores + mask
            };
        }
        if self.causal {
            masked = seen(scores).select(masked, f64::NEG_INFINITY);
        }
        Ok(masked)
    }

    /// Queries, keys and, if there are three, values that fit.
    #[track_caller]
    fn check(&self, x: &[Var<'g>]) -> Result<(), Var<'g>> {
        let q = x[0];
        let refuse = |reason| Err(q.refuse("attention", x, reason));
        let mut shapes: Vec<Shape> = Vec::new();
        for (operand, v) in x.iter().enumerate() {
            let Some(ty) = v.ty() else { return Err(q.untyped("attention", x)) };
            if ty.rank() < 2 {
                let (expected, got) = ("at least 2", ty.shape().clone());
                return refuse(TypeError::Rank { operand, expected, got });
            }
            shapes.push(ty.shape().clone());
        }
        let sizes = |what, left, right| refuse(TypeError::Sizes { what, left, right });
        if q.size(-1) != x[1].size(-1) {
            return sizes("widths of queries and keys", q.size(-1), x[1].size(-1));
        }
        if let Some(v) = x.get(2).filter(|v| v.size(-2) != x[1].size(-2)) {
            return sizes("numbers of keys and values", x[1].size(-2), v.size(-2));
        }
        let heads = q.size(-3);
        for other in &x[1..] {
            let shared = other.size(-3);
            let whole = shared > 0 && heads.is_multiple_of(shared);
            if self.grouped && shared != heads && !whole {
                return sizes("heads of queries, and a multiple of those of keys", heads, shared);
            }
        }
        Ok(())
    }
}

/// Does query `i` see key `j ≤ i`? For scores or weights `[.., L, S]`.
#[track_caller]
pub(super) fn seen(x: Var<'_>) -> Var<'_> {
    let (g, shape) = (x.graph(), [x.size(-2), x.size(-1)]);
    g.iota(DType::I64, shape, 1).less_equal(g.iota(DType::I64, shape, 0))
}

/// Takes rows of `length` apart again: `[.., h, n · length, S]` becomes `[.., h · n, length, S]`.
#[track_caller]
fn unfold(x: Var<'_>, length: usize) -> Var<'_> {
    let mut shape = x.shape().to_vec();
    let rank = shape.len();
    if rank < 3 || shape[rank - 2] == length || length == 0 {
        return x;
    }
    shape[rank - 3] *= shape[rank - 2] / length;
    shape[rank - 2] = length;
    x.reshape(shape)
}

impl<'g> Var<'g> {
    /// Attention of these queries to keys and values, without mask, see [`Attention`].
    #[track_caller]
    pub fn attention(self, keys: Var<'g>, values: Var<'g>) -> Var<'g> {
        Attention::default().call(self, keys, values)
    }

    /// Softmax over the last axis, where a row of `-∞` gives zeros.
    #[track_caller]
    fn masked_softmax(self) -> Var<'g> {
        let last = self.shape().rank().saturating_sub(1);
        let e = (self - self.peak(&[last])).exp();
        let sum = e.sum(-1);
        let sum = sum.equal(0.0).select(1.0, sum);
        e / sum.unreduce(&[last], self)
    }
}

#[cfg(test)]
#[path = "attention_tests.rs"]
mod tests;
