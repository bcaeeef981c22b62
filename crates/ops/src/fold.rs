//! Folding while recording: operators of splats whose bits IEEE 754 determines.

use pleach_graph::{NodeId, Simpler, Traits};
use pleach_tensor::Tensor;
use smallvec::SmallVec;

use crate::{Full, Graph, Op};

/// `op` of splats as a splat: for exact elementwise operators, and for views, which keep the
/// value. A splat takes no memory, whatever its shape.
pub(crate) fn splat(op: &Op, exact: bool, g: &Graph, inputs: &[NodeId]) -> Option<Simpler<Op>> {
    if inputs.is_empty() {
        return None;
    }
    let view = matches!(op, Op::Reshape(_) | Op::Permute(_) | Op::Broadcast(_));
    let foldable = view || exact && op.traits_elementwise();
    if !foldable {
        return None;
    }
    let is_full = |&id: &NodeId| g.peek(id, |node| matches!(node.op, Op::Full(_))) == Some(true);
    if !inputs.iter().all(is_full) {
        return None;
    }
    let nodes: SmallVec<[_; 3]> = inputs.iter().map(|&id| g.node(id)).collect();
    let splats: SmallVec<[&Full; 3]> = nodes
        .iter()
        .filter_map(|node| if let Op::Full(full) = &node.op { Some(full) } else { None })
        .collect();
    let types: SmallVec<[_; 3]> = nodes.iter().map(|n| &n.ty).collect();
    let ty = op.operation().infer(&types).ok()?;
    let value = if view {
        splats[0].value()
    } else {
        let scalars: SmallVec<[Tensor; 3]> = splats.iter().map(|f| f.scalar()).collect();
        let refs: SmallVec<[&Tensor; 3]> = scalars.iter().collect();
        let scalar_ty = pleach_tensor::Type::scalar(ty.dtype());
        let scalar = op.eval(&refs, &scalar_ty).ok()?;
        let value = scalar.item()?;
        // An integer that a double cannot hold stays unfolded; every float is held.
        if !ty.dtype().is_float() && Tensor::full(&scalar_ty, value) != scalar {
            return None;
        }
        value
    };
    Some(Simpler::Push(Op::Full(Full::new(&ty, value)), SmallVec::new()))
}

impl Op {
    fn traits_elementwise(&self) -> bool {
        self.operation().traits().has(Traits::ELEMENTWISE)
    }
}
