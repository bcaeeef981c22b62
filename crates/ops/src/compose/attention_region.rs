//! What attention is made of, as one region.

use std::sync::Arc;

use pleach_graph::{Body, NodeId};
use pleach_tensor::Type;

use crate::{Attention, Graph, Op, Var};

/// The operators of attention without dropout, or of its gradient, as the body of a region.
///
/// The region's operands are `q` `[.., L, E]`, the keys in columns `kt` `[.., E, S]`, `v`
/// `[.., S, D]` and, for the gradient, what came for the result, `[.., L, D]`. Its result is that of
/// [`Attention`], or what goes to `q`, `kt` and `v`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionRegion {
    /// Does position `i` see keys `0..=i` only?
    pub causal: bool,
    /// Factor of the scores.
    pub scale: f64,
    /// Is it the gradient?
    pub gradient: bool,
}

impl AttentionRegion {
    /// The body for operands of these types; `None` if they do not fit.
    pub fn body(&self, types: &[Type]) -> Option<Arc<Body<Op>>> {
        let (operands, results) = if self.gradient { (4, 3) } else { (3, 1) };
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
        let attention = Attention { causal: self.causal, ..Attention::default() };
        let y = attention.weigh(q.matmul(kt) * self.scale).matmul(v).id();
        let Some(&dy) = ids.get(3) else { return Some(vec![y]) };
        let grads = g.reverse(&[(y, dy)], &ids[..3]).ok()?;
        grads.into_iter().map(|dx| dx.value()).collect()
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
        AttentionRegion::candidates(numbers, types.len() == 4)
            .find(|region| region.body(&types).is_some_and(|own| *own == *body))
    }

    /// Attentions whose scale is one of some numbers that occur, or 1, which is not recorded.
    pub fn candidates(
        numbers: impl Iterator<Item = f64>,
        gradient: bool,
    ) -> impl Iterator<Item = AttentionRegion> {
        let scales = numbers.filter(|x| x.is_finite() && *x != 0.0).chain([1.0]);
        scales.flat_map(move |scale| {
            [true, false].map(|causal| AttentionRegion { causal, scale, gradient })
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
        let types = [ty(5, 4), ty(4, 6), ty(6, 3), ty(5, 3)];
        for (causal, scale, gradient) in
            [(true, 0.3, false), (true, 0.3, true), (false, 1.0, false), (false, -2.0, true)]
        {
            let region = AttentionRegion { causal, scale, gradient };
            let body = region.body(&types[..if gradient { 4 } else { 3 }]).unwrap();
            let found = AttentionRegion::of(&body).unwrap();
            assert_eq!((found.causal, found.gradient), (causal, gradient), "{body}");
            assert!((found.scale - scale).abs() < 1e-7);
        }
        let region = AttentionRegion { causal: true, scale: 0.5, gradient: false };
        assert!(region.body(&types).is_none());
        assert!(region.body(&[ty(5, 4), ty(3, 6), ty(6, 3)]).is_none());
    }
}
