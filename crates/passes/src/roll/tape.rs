//! A graph as a word: the operators that outputs need, in order. Sources, whole views and scalars of them are no
//! letters: many steps use one, which stands in the first of them.

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use pleach_graph::{Node, NodeId, Operator, Traits};
use pleach_ops::{Graph, Op};
use rustc_hash::FxHasher;
use smallvec::SmallVec;

/// The operators that outputs need, in order.
#[derive(Debug)]
pub(super) struct Tape<'g> {
    pub(super) g: &'g Graph,
    pub(super) ids: Vec<NodeId>,
    pub(super) nodes: Vec<Arc<Node<Op>>>,
    /// Their operands. Where the order is free, sources come first: they may be recorded anywhere.
    pub(super) operands: Vec<SmallVec<[NodeId; 4]>>,
    /// What operators with the same of these may be in different steps of a loop.
    pub(super) labels: Vec<u64>,
    /// The last operator that uses the value; beyond all of them, if an output is it.
    pub(super) last: Vec<usize>,
    places: Vec<Option<usize>>,
}

impl<'g> Tape<'g> {
    pub(super) fn of(g: &'g Graph) -> Tape<'g> {
        let live = g.live();
        let mut tape = Tape {
            g,
            ids: Vec::new(),
            nodes: Vec::new(),
            operands: Vec::new(),
            labels: Vec::new(),
            last: Vec::new(),
            places: vec![None; g.len()],
        };
        for id in g.ids().filter(|id| live[id.index()]) {
            let node = g.node(id);
            let view = matches!(node.op, Op::Permute(_) | Op::Reshape(_) | Op::Broadcast(_));
            let scalar = || node.ty.rank() == 0 && node.inputs.iter().all(|&x| !tape.differs(x));
            let source = node.inputs.iter().all(|&x| tape.place(x).is_none());
            if node.inputs.is_empty() || source && (view || scalar()) {
                continue;
            }
            let at = tape.ids.len();
            for x in &node.inputs {
                if let Some(x) = tape.place(*x) {
                    tape.last[x] = at;
                }
            }
            tape.places[id.index()] = Some(at);
            tape.ids.push(id);
            tape.labels.push(label(&node, at));
            let mut operands = SmallVec::from_slice(&node.inputs);
            if node.op.traits().has(Traits::COMMUTATIVE) {
                operands.sort_by_key(|&x| (tape.place(x), x));
            }
            tape.operands.push(operands);
            tape.nodes.push(node);
            tape.last.push(at);
        }
        for root in g.roots() {
            if let Some(at) = tape.place(root.value) {
                tape.last[at] = usize::MAX;
            }
        }
        tape
    }

    /// Where an operator stands; `None` for sources, and views of them, which are recorded anywhere.
    pub(super) fn place(&self, id: NodeId) -> Option<usize> {
        self.places[id.index()]
    }

    /// Is it a scalar that may be another one in each step?
    pub(super) fn differs(&self, id: NodeId) -> bool {
        matches!(self.g.op(id), Op::Constant(_)) && self.g.ty(id).rank() == 0
    }

    /// A value as views of a slice: the views, the last first, and the slice.
    pub(super) fn part(&self, id: NodeId) -> Option<(SmallVec<[NodeId; 2]>, NodeId)> {
        let (mut views, mut id) = (SmallVec::new(), id);
        loop {
            match self.g.op(id) {
                Op::Slice(_) => return Some((views, id)),
                Op::Reshape(_) | Op::Permute(_) if views.len() < 2 => views.push(id),
                _ => return None,
            }
            id = self.g.node(id).inputs[0];
        }
    }
}

/// Equal for nodes that may be the same operator in two steps. What a user marked is equal to nothing.
fn label(node: &Node<Op>, at: usize) -> u64 {
    let mut hash: FxHasher = BuildHasherDefault::<FxHasher>::default().build_hasher();
    match &node.op {
        Op::Checkpoint(_) => at.hash(&mut hash),
        // They may move.
        Op::Slice(_) | Op::Pad(_) => {}
        op => op.hash(&mut hash),
    }
    (std::mem::discriminant(&node.op), &node.ty, node.inputs.len()).hash(&mut hash);
    hash.finish()
}
