//! Lowering of regions that are the cross-entropy of labels, or its gradient.

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
        if EntropyRegion::of(body).is_none() || !node.ty.dtype().is_wide() {
            return false;
        }
        let mut inputs: Vec<Slice> = node.inputs.iter().map(|&x| self.value(x)).collect();
        if !entropy_fits(&inputs[0]) {
            let logits = body.param_types().next().expect("the logits");
            inputs[0] = self.laid_out(id, inputs[0].clone(), logits);
        }
        let output = self.fresh(&node.ty);
        for &(id, _) in found {
            self.values.insert(id, output.clone());
        }
        self.emit(id, Kernel::Entropy { inputs, output });
        true
    }
}
