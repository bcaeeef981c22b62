//! Lowering of fused regions: one loop for all of its results that are asked for.

use pleach_graph::{Body, Node, NodeId};
use pleach_kernels::{Lowering, Slice};
use pleach_ops::{Fused, Op};
use pleach_tensor::Type;
use rustc_hash::FxHashMap;

use crate::lower::Lowered;
use crate::lower_reduced::Made;
use crate::order::Lies;
use crate::scalar::region;

/// The live results of regions, by the operands of the region.
pub(crate) struct Siblings<'a>(FxHashMap<&'a [NodeId], Vec<(NodeId, &'a Fused)>>);

impl<'a> Siblings<'a> {
    pub(crate) fn new(nodes: &[&'a Node<Op>], live: &[bool]) -> Siblings<'a> {
        let mut siblings: FxHashMap<&[NodeId], Vec<(NodeId, &Fused)>> = FxHashMap::default();
        for (i, node) in nodes.iter().enumerate().filter(|(i, _)| live[*i]) {
            if let Op::Fused(fused) = &node.op {
                siblings.entry(&node.inputs).or_default().push((NodeId::new(i), fused));
            }
        }
        Siblings(siblings)
    }

    /// The live nodes that are results of the region of `fused`, itself among them.
    fn of(&self, fused: &Fused, inputs: &[NodeId]) -> Vec<(NodeId, &'a Fused)> {
        let found = self.0.get(inputs).into_iter().flatten().copied();
        found.filter(|(_, other)| other.body() == fused.body()).collect()
    }
}

/// How every value of a region would lie in memory of its own.
fn lies(body: &Body<Op>, inputs: &[Slice]) -> Vec<Lies> {
    let mut lies: Vec<Lies> = inputs.iter().map(Lies::of).collect();
    for node in &body.nodes()[body.params()..] {
        let mut operands = node.inputs.iter().map(|x| lies[x.index()].clone());
        let types: Vec<&Type> = node.inputs.iter().map(|x| &body.nodes()[x.index()].ty).collect();
        let own = match node.op.lower(&types, &node.ty) {
            Lowering::Fill { .. } => Lies::Repeated,
            Lowering::View(_) => operands.next_back().unwrap_or(Lies::Rows),
            _ => Lies::together(operands),
        };
        lies.push(own);
    }
    lies
}

impl Lowered {
    /// Lowers a region: all of its results that are live, at the first of them. Answers `false` if
    /// it is no loop.
    pub(crate) fn fused(
        &mut self,
        fused: &Fused,
        id: NodeId,
        node: &Node<Op>,
        siblings: &Siblings<'_>,
    ) -> bool {
        let found = siblings.of(fused, &node.inputs);
        let results: Vec<usize> = found.iter().map(|(_, fused)| fused.result()).collect();
        let Some(program) = region(fused.body(), &results) else {
            return self.entropy(fused.body(), id, node, &found)
                || self.attention(fused.body(), id, node, &found);
        };
        let inputs: Vec<Slice> = node.inputs.iter().map(|&x| self.value(x)).collect();
        let types = fused.body().result_types().collect::<Vec<_>>();
        let lies = lies(fused.body(), &inputs);
        let made = found.iter().zip(&results).map(|(&(node, _), &result)| Made {
            node,
            ty: types[result].clone(),
            lies: lies[fused.body().results()[result]].clone(),
        });
        self.looped(id, program, inputs, &made.collect::<Vec<_>>());
        true
    }
}
