//! What the cross-entropy of labels is made of, as one region.

use std::sync::Arc;

use pleach_graph::{Body, NodeId};
use pleach_tensor::Type;

use crate::{Graph, Op, Var};

/// The operators of `ln softmax(x)[label]` along the last axis, or of its gradient by `x`, as the body of a
/// region.
///
/// The region's operands are `x` `[.., C]`, the labels `[.., 1]` and, for the gradient, what came for the
/// result, `[.., 1]`. Its result is `[.., 1]`, or what goes to `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntropyRegion {
    /// Is it the gradient?
    pub gradient: bool,
}

impl EntropyRegion {
    /// The body for operands of these types; `None` if they do not fit.
    pub fn body(self, types: &[Type]) -> Option<Arc<Body<Op>>> {
        if types.len() != if self.gradient { 3 } else { 2 } {
            return None;
        }
        let g = Graph::new();
        let recorded = g.frame(types, |ids| record(&g, ids).unwrap_or_default());
        let (body, captured) = recorded.ok()?;
        (captured.is_empty() && body.results().len() == 1).then_some(body)
    }

    /// Which of them the body of a region is, if it is one.
    pub fn of(body: &Body<Op>) -> Option<EntropyRegion> {
        if !body.nodes().iter().any(|n| matches!(n.op, Op::Gather(_) | Op::ScatterAdd(_))) {
            return None;
        }
        let types: Vec<Type> = body.param_types().cloned().collect();
        let region = EntropyRegion { gradient: types.len() == 3 };
        region.body(&types).is_some_and(|own| *own == *body).then_some(region)
    }
}

fn record(g: &Graph, ids: &[NodeId]) -> Option<Vec<NodeId>> {
    let [x, labels] = [0, 1].map(|i| Var::new(g, ids[i]));
    let y = x.log_softmax(-1).gather(-1, labels).id();
    let Some(&dy) = ids.get(2) else { return Some(vec![y]) };
    let grads = g.reverse(&[(y, dy)], &ids[..1]).ok()?;
    grads.into_iter().map(|dx| dx.value()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn a_region_is_found_again() {
        let ty = |dtype, columns: usize| Type::new(dtype, [4, columns]).unwrap();
        let types = [ty(F32, 7), ty(I64, 1), ty(F32, 1)];
        for gradient in [false, true] {
            let region = EntropyRegion { gradient };
            let body = region.body(&types[..if gradient { 3 } else { 2 }]).unwrap();
            assert_eq!(EntropyRegion::of(&body), Some(region), "{body}");
        }
        assert!(EntropyRegion { gradient: false }.body(&types).is_none());
        assert!(
            EntropyRegion { gradient: true }.body(&[ty(F32, 7), ty(I64, 1), ty(F32, 2)]).is_none()
        );
    }
}
