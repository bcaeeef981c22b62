//! What attention is made of, as one region.

use std::sync::Arc;

use pleach_graph::{Body, NodeId};
use pleach_tensor::Type;

use super::attention::seen;
use crate::{Attention, Graph, Op, Var};

/// The operators of attention without dropout, or of its gradient, as the body of a region.
///
/// The region's operands are `q` `[.., L, E]`, the keys in columns `kt` `[.., E, S]`, `v`
/// `[.., S, D]` and, for the gradient, what came for the result, `[.., L, D]`. Its result is that of
/// [`Attention`], or what goes to `q`, `kt` and `v`. Where weights are kept, `[.., L, S]`, they are the
/// second result, and the last operand of the gradient, which takes `w·(dw - Σ w·dw)·scale` for the scores'.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionRegion {
    /// Does position `i` see keys `0..=i` only?
    pub causal: bool,
    /// Factor of the scores.
    pub scale: f64,
    /// Is it the gradient?
    pub gradient: bool,
    /// Are weights kept for the gradient?
    pub kept: bool,
}

impl AttentionRegion {
    /// The body for operands of these types; `None` if they do not fit.
    pub fn body(&self, types: &[Type]) -> Option<Arc<Body<Op>>> {
        let kept = usize::from(self.kept);
        let (operands, results) = if self.gradient { (4 + kept, 3) } else { (3, 1 + kept) };
        if types.len() != operands {
            return None;
        }
        let g = Graph::new();
        let recorded = g.frame(types, |ids| self.record(&g, ids).unwrap_or_default());
        let (body, captured) = recorded.ok()?;
        (captured.is_empty() && body.results().len() == results).then_some(body)
    }

    fn record(&self, g: &Graph, ids: &[NodeId]) -> Option<Vec<NodeId>> {
        let [q, kt, v] = [0, 1, 2].map(|i| Var::new(g, ids[i]));
        if let &[_, _, _, dy, weights] = ids {
            return self.gradient_of([q, kt, v], Var::new(g, dy), Var::new(g, weights));
        }
        let attention = Attention { causal: self.causal, ..Attention::default() };
        let weights = attention.weigh(q.matmul(kt) * self.scale);
        let y = weights.matmul(v).id();
        let Some(&dy) = ids.get(3) else {
            return Some(if self.kept { vec![y, weights.id()] } else { vec![y] });
        };
        let grads = g.reverse(&[(y, dy)], &ids[..3]).ok()?;
        grads.into_iter().map(|dx| dx.value()).collect()
    }

    /// What goes to the operands for `dy`, by weights that were kept.
    fn gradient_of<'g>(
        &self,
        [q, kt, v]: [Var<'g>; 3],
        dy: Var<'g>,
        weights: Var<'g>,
    ) -> Option<Vec<NodeId>> {
        let weights = if self.causal { seen(weights).select(weights, 0.0) } else { weights };
        let came = dy.matmul(v.t());
        let mean = (weights * came).sum(-1).unsqueeze(-1);
        let scores = weights * (came - mean) * self.scale;
        let grads = [scores.matmul(kt.t()), q.t().matmul(scores), weights.t().matmul(dy)];
        let fit = |(dx, x): (&Var<'g>, Var<'g>)| dx.ty().is_some() && dx.ty() == x.ty();
        grads.iter().zip([q, kt, v]).all(fit).then(|| grads.iter().map(|dx| dx.id()).collect())
    }

    /// Which attention the body of a region is, if it is one.
    pub fn of(body: &Body<Op>) -> Option<AttentionRegion> {
        let is_product = |op: &Op| matches!(op, Op::MatMul(_));
        if !body.nodes().iter().any(|node| is_product(&node.op)) {
            return None;
        }
        let types: Vec<Type> = body.param_types().cloned().collect();
        let numbers = body.nodes().iter().filter_map(|node| match &node.op {
            Op::Full(full) => Some(full.value()),
            _ => None,
        });
        let (gradient, kept) = match (types.len(), body.results().len()) {
            (3, results) => (false, results == 2),
            (operands, _) => (true, operands == 5),
        };
        AttentionRegion::candidates(numbers)
            .map(|region| AttentionRegion { gradient, kept, ..region })
            .find(|region| region.body(&types).is_some_and(|own| *own == *body))
    }

    /// Attentions whose scale is one of some numbers that occur, or 1, which is not recorded; no
    /// gradients, nothing kept.
    pub fn candidates(numbers: impl Iterator<Item = f64>) -> impl Iterator<Item = AttentionRegion> {
        let scales = numbers.filter(|x| x.is_finite() && *x != 0.0).chain([1.0]);
        let (gradient, kept) = (false, false);
        scales.flat_map(move |scale| {
            [true, false].map(|causal| AttentionRegion { causal, scale, gradient, kept })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn a_region_is_found_again() {
        let ty = |rows: usize, columns: usize| Type::new(F32, [2, rows, columns]).unwrap();
        let types = [ty(5, 4), ty(4, 6), ty(6, 3), ty(5, 3), ty(5, 6)];
        for (causal, scale, gradient) in
            [(true, 0.3, false), (true, 0.3, true), (false, 1.0, false), (false, -2.0, true)]
        {
            for kept in [false, true] {
                let region = AttentionRegion { causal, scale, gradient, kept };
                let operands = if gradient { 4 + usize::from(kept) } else { 3 };
                let body = region.body(&types[..operands]).unwrap();
                let found = AttentionRegion::of(&body).unwrap();
                let what = |r: AttentionRegion| (r.causal, r.gradient, r.kept);
                assert_eq!(what(found), what(region), "{body}");
                assert!((found.scale - scale).abs() < 1e-7);
            }
        }
        let region = AttentionRegion { causal: true, scale: 0.5, gradient: false, kept: false };
        assert!(region.body(&types).is_none());
        assert!(region.body(&[ty(5, 4), ty(3, 6), ty(6, 3)]).is_none());
        let region = AttentionRegion { gradient: true, kept: true, ..region };
        assert!(region.body(&types[..4]).is_none());
        assert!(region.body(&[ty(5, 4), ty(4, 6), ty(6, 3), ty(5, 3), ty(1, 6)]).is_none());
    }
}
