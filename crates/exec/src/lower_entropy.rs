//! Lowering of regions that are the cross-entropy of labels, its gradient, or both.

use pleach_graph::{Body, Node, NodeId};
use pleach_kernels::{Kernel, Slice, entropy_fits};
use pleach_ops::{EntropyRegion, Fused, Op};

use crate::lower::Lowered;

impl Lowered {
    /// Lowers a region that is the cross-entropy of labels, with these of its results. Answers `false`
    /// if it is none.
    pub(crate) fn entropy(
        &mut self,
        body: &Body<Op>,
        id: NodeId,
        node: &Node<Op>,
        found: &[(NodeId, &Fused)],
    ) -> bool {
        let Some(region) = EntropyRegion::of(body).filter(|_| node.ty.dtype().is_wide()) else {
            return false;
        };
        let mut inputs: Vec<Slice> = node.inputs.iter().map(|&x| self.value(x)).collect();
        if !entropy_fits(&inputs[0]) {
            let logits = body.param_types().next().expect("the logits");
            inputs[0] = self.laid_out(id, inputs[0].clone(), logits);
        }
        let mut outputs = Vec::new();
        for (result, ty) in body.result_types().enumerate() {
            let nodes: Vec<NodeId> =
                found.iter().filter(|(_, f)| f.result() == result).map(|&(id, _)| id).collect();
            if nodes.is_empty() {
                continue;
            }
            let y = self.fresh(ty);
            nodes.into_iter().for_each(|id| drop(self.values.insert(id, y.clone())));
            outputs.push(y);
        }
        // What came is read for the gradient alone.
        if region != EntropyRegion::Gradient && found.iter().all(|(_, f)| f.result() == 0) {
            inputs.truncate(2);
        }
        self.emit(id, Kernel::Entropy { inputs, outputs });
        true
    }
}
