//! What the cross-entropy of labels is made of, as one region.

use std::sync::Arc;

use pleach_graph::{Body, NodeId};
use pleach_tensor::Type;

use crate::{Graph, Op, Var};

/// The operators of `ln softmax(x)[label]` along the last axis, of its gradient by `x`, or of both, as the
/// body of a region.
///
/// The region's operands are `x` `[.., C]`, the labels `[.., 1]` and, for the gradient, what came for the
/// value, `[.., 1]`. Its results are the value `[.., 1]`, what goes to `x`, or these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntropyRegion {
    /// The value alone.
    Value,
    /// The gradient alone.
    Gradient,
    /// The value, then the gradient, from one softmax.
    Both,
}

impl EntropyRegion {
    /// The body for operands of these types; `None` if they do not fit.
    pub fn body(self, types: &[Type]) -> Option<Arc<Body<Op>>> {
        let [operands, results] = match self {
            EntropyRegion::Value => [2, 1],
            EntropyRegion::Gradient => [3, 1],
            EntropyRegion::Both => [3, 2],
        };
        if types.len() != operands {
            return None;
        }
        let g = Graph::new();
        let recorded = g.frame(types, |ids| self.record(&g, ids).unwrap_or_default());
        let (body, captured) = recorded.ok()?;
        (captured.is_empty() && body.results().len() == results).then_some(body)
    }

    /// Which of them the body of a region is, if it is one.
    pub fn of(body: &Body<Op>) -> Option<EntropyRegion> {
        if !body.nodes().iter().any(|n| matches!(n.op, Op::Gather(_) | Op::ScatterAdd(_))) {
            return None;
        }
        let types: Vec<Type> = body.param_types().cloned().collect();
        let region = match (types.len(), body.results().len()) {
            (2, 1) => EntropyRegion::Value,
            (3, 1) => EntropyRegion::Gradient,
            (3, 2) => EntropyRegion::Both,
            _ => return None,
        };
        region.body(&types).is_some_and(|own| *own == *body).then_some(region)
    }

    fn record(self, g: &Graph, ids: &[NodeId]) -> Option<Vec<NodeId>> {
        let [x, labels] = [0, 1].map(|i| Var::new(g, ids[i]));
        let y = x.log_softmax(-1).gather(-1, labels).id();
        let Some(&dy) = ids.get(2) else { return Some(vec![y]) };
        let dx = g.reverse(&[(y, dy)], &ids[..1]).ok()?.pop()?.value()?;
        Some(if self == EntropyRegion::Both { vec![y, dx] } else { vec![dx] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn a_region_is_found_again() {
        let ty = |dtype, columns: usize| Type::new(dtype, [4, columns]).unwrap();
        let types = [ty(F32, 7), ty(I64, 1), ty(F32, 1)];
        use EntropyRegion::{Both, Gradient, Value};
        for (region, operands) in [(Value, 2), (Gradient, 3), (Both, 3)] {
            let body = region.body(&types[..operands]).unwrap();
            assert_eq!(EntropyRegion::of(&body), Some(region), "{body}");
        }
        assert!(Value.body(&types).is_none());
        for region in [Gradient, Both] {
            assert!(region.body(&types[..2]).is_none());
            assert!(region.body(&[ty(F32, 7), ty(I64, 1), ty(F32, 2)]).is_none());
        }
    }
}
