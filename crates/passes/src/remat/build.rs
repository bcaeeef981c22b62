//! Builds the graph in which values that are not kept are computed again where they are needed.

use std::collections::HashMap;
use std::ops::Range;

use pleach_graph::{NodeId, NodeMap, Rewrite};
use pleach_ops::{Checkpoint, Graph, Op};
use smallvec::SmallVec;

use super::tape::{Tape, is_mark};

/// A graph with values that are computed again.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) graph: Graph,
    pub(super) map: NodeMap,
    /// Which node was computed again, by which new nodes.
    pub(super) again: Vec<(NodeId, Range<usize>)>,
}

/// What is being built.
struct Builder<'t> {
    tape: &'t Tape<'t>,
    kept: &'t [bool],
    /// Where operands went.
    at: Vec<NodeId>,
    /// Values that were computed again; those that are the same as before are not among them.
    clones: HashMap<NodeId, NodeId>,
    again: Vec<(NodeId, Range<usize>)>,
}

/// What lies after the turn computes what is not kept again, each value at most once, before its first
/// use. Marks of the user's go.
pub(super) fn build(tape: &Tape<'_>, kept: &[bool]) -> Built {
    let (at, clones) = (tape.g.ids().collect(), HashMap::new());
    let mut builder = Builder { tape, kept, at, clones, again: Vec::new() };
    let (graph, map) = tape.g.rebuild(|new, old, node, inputs| {
        node.inputs.iter().zip(inputs).for_each(|(x, &to)| builder.at[x.index()] = to);
        if is_mark(&node.op) {
            return Rewrite::Replace(inputs[0]);
        }
        if old.index() <= tape.turn || !tape.live[old.index()] {
            return Rewrite::Keep;
        }
        let fresh: SmallVec<[NodeId; 4]> =
            node.inputs.iter().map(|&x| builder.value(new, x)).collect();
        if fresh[..] == *inputs {
            return Rewrite::Keep;
        }
        Rewrite::Replace(new.push(node.op.clone(), &fresh))
    });
    Built { graph, map, again: builder.again }
}

impl Builder<'_> {
    fn is_kept(&self, x: NodeId) -> bool {
        x.index() > self.tape.turn || self.kept[self.tape.base[x.index()]]
    }

    /// Where the value is after the turn: where it was, or computed again from what is kept.
    fn value(&mut self, new: &Graph, x: NodeId) -> NodeId {
        // Operands before users, without recursion.
        let mut todo = vec![(x, false)];
        while let Some((x, ready)) = todo.pop() {
            if self.is_kept(x) || self.clones.contains_key(&x) {
                continue;
            }
            if ready {
                self.compute_again(new, x);
                continue;
            }
            todo.push((x, true));
            let operands = self.tape.g.peek(x, |node| node.inputs.clone()).unwrap_or_default();
            todo.extend(operands.iter().map(|&x| (x, false)));
        }
        self.found(x)
    }

    fn found(&self, x: NodeId) -> NodeId {
        self.clones.get(&x).copied().unwrap_or(self.at[x.index()])
    }

    fn compute_again(&mut self, new: &Graph, x: NodeId) {
        let node = self.tape.g.node(x);
        let start = new.len();
        let _at = new.at_origin(self.tape.g.origin(x));
        let mut inputs: SmallVec<[NodeId; 4]> =
            node.inputs.iter().map(|&x| self.found(x)).collect();
        let is_same = node.inputs.iter().zip(&inputs).all(|(x, &to)| self.at[x.index()] == to);
        if is_mark(&node.op) {
            self.clones.insert(x, inputs[0]);
            return;
        }
        if is_same {
            let Some(slot) = self.tape.told_apart(&node.inputs) else { return };
            let apart = Op::from(Checkpoint { epoch: 1 });
            inputs[slot] = new.push(apart, &[inputs[slot]]);
        }
        let clone = new.push(node.op.clone(), &inputs);
        self.clones.insert(x, clone);
        self.again.push((x, start..new.len()));
    }
}
