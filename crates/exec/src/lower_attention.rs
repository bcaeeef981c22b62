//! Lowering of regions that are attention, or its gradient: one instruction for all results.

use pleach_graph::{Body, Node, NodeId};
use pleach_kernels::{Kernel, Slice, attention_fits};
use pleach_ops::{AttentionRegion, Fused, Op};

use crate::lower::Lowered;

/// A slice with its last two axes the other way round.
fn turned(mut x: Slice) -> Slice {
    let rank = x.dims.len();
    x.dims.swap(rank - 2, rank - 1);
    x.strides.swap(rank - 2, rank - 1);
    x
}

impl Lowered {
    /// Lowers a region that is attention, with these of its results. Answers `false` if it is none.
    pub(crate) fn attention(
        &mut self,
        body: &Body<Op>,
        id: NodeId,
        node: &Node<Op>,
        found: &[(NodeId, &Fused)],
    ) -> bool {
        let Some(AttentionRegion { causal, scale, gradient, .. }) = AttentionRegion::of(body)
        else {
            return false;
        };
        let mut inputs: Vec<Slice> = node.inputs.iter().map(|&x| self.value(x)).collect();
        inputs[1] = turned(inputs[1].clone());
        let last = |x: &Slice, back| x.dims[x.dims.len() - back];
        let widths = [last(&inputs[1], 1), last(&inputs[2], 1)];
        if !attention_fits(last(&inputs[1], 2), widths, inputs[0].dtype) {
            return false;
        }
        let mut outputs = Vec::new();
        for (result, ty) in body.result_types().enumerate() {
            let mut nodes = found.iter().filter(|(_, fused)| fused.result() == result).peekable();
            let (keys, weights) = (gradient && result == 1, !gradient && result == 1);
            if weights && nodes.peek().is_none() {
                continue;
            }
            let mut y = self.fresh(ty);
            if keys {
                y = turned(y);
            }
            // The order of axes of the operand: what takes heads apart puts them together again.
            let y = if weights { y } else { in_order_of(y, &inputs[result]) };
            let value = if keys { turned(y.clone()) } else { y.clone() };
            nodes.for_each(|&(id, _)| drop(self.values.insert(id, value.clone())));
            outputs.push(y);
        }
        self.emit(id, Kernel::Attention { causal, scale, inputs, outputs });
        true
    }
}

/// A whole block of memory, with axes in the order in which they lie in another slice, the last one
/// innermost.
fn in_order_of(mut x: Slice, other: &Slice) -> Slice {
    let mut order: Vec<usize> = (0..x.dims.len()).collect();
    let stride = |axis: usize| other.strides[axis].unsigned_abs();
    order.sort_by_key(|&axis| (axis + 1 == x.dims.len(), std::cmp::Reverse(stride(axis))));
    let mut step = 1;
    for axis in order.into_iter().rev() {
        x.strides[axis] = step as isize;
        step *= x.dims[axis];
    }
    x
}
