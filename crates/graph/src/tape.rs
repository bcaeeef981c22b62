//! Storage of one frame: a petgraph DAG whose index order is topological, with an interner.

use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use pleach_tensor::Type;
use rustc_hash::FxHasher;
use smallvec::SmallVec;

use crate::interner::{Interner, Key};
use crate::origin::OriginId;
use crate::{NodeId, Operator, Slot};

/// Operands of a node, in order.
pub type Inputs = SmallVec<[NodeId; 2]>;

/// Operands that one node may have: edges number them in 16 bits.
pub(crate) const MAX_OPERANDS: usize = 1 << 16;

/// One operation: operator, ordered operands, type of the result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node<O> {
    /// What is done.
    pub op: O,
    /// To what, in order. The edges of the DAG, once drawn, mirror this.
    pub inputs: Inputs,
    /// Type of the result.
    pub ty: Type,
}

#[derive(Debug)]
pub(crate) struct Tape<O> {
    pub(crate) dag: DiGraph<Arc<Node<O>>, Slot, u32>,
    /// Nodes whose edges are drawn: the first ones. See [`Tape::draw_edges`].
    drawn: usize,
    pub(crate) origins: Vec<OriginId>,
    /// Of the first nodes. See [`Tape::intern`].
    interner: Interner,
}

impl<O> Default for Tape<O> {
    fn default() -> Self {
        let (dag, interner) = (DiGraph::default(), Interner::default());
        Tape { dag, drawn: 0, origins: Vec::new(), interner }
    }
}

impl Key {
    pub(crate) fn new<O: Operator>(op: &O, inputs: &[NodeId]) -> Self {
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one((op, inputs));
        Key((hash ^ (hash >> 32)) as u32)
    }
}

impl<O: Operator> Tape<O> {
    pub(crate) fn len(&self) -> usize {
        self.dag.node_count()
    }

    /// Makes room for so many further nodes.
    pub(crate) fn reserve(&mut self, nodes: usize) {
        self.dag.reserve_nodes(nodes);
        self.origins.reserve(nodes);
    }

    pub(crate) fn node(&self, index: usize) -> &Arc<Node<O>> {
        &self.dag[NodeIndex::new(index)]
    }

    /// The first node that is `op` of `inputs`, if one is on the tape.
    pub(crate) fn find(&mut self, op: &O, inputs: &[NodeId]) -> Option<usize> {
        self.intern();
        self.find_key(Key::new(op, inputs), op, inputs)
    }

    /// Tells the interner of nodes that were appended because they were known to be new: what a pass builds and
    /// nobody pushes to is never interned.
    pub(crate) fn intern(&mut self) {
        if self.interner.len() == self.len() {
            return;
        }
        // What was reserved was for the nodes of the whole graph.
        let room = self.dag.capacity().0.max(self.len()) - self.interner.len();
        self.interner.reserve(room);
        for index in self.interner.len()..self.len() {
            let node = &self.dag[NodeIndex::new(index)];
            self.interner.insert(Key::new(&node.op, &node.inputs), &node.inputs);
        }
    }

    /// Appends a node that is known to be no twin, to be interned when somebody asks for it.
    pub(crate) fn append_new(&mut self, node: Arc<Node<O>>, origin: OriginId) -> usize {
        self.origins.push(origin);
        self.dag.add_node(node).index()
    }

    /// As [`Tape::find`]; all nodes must have been interned.
    pub(crate) fn find_key(&self, key: Key, op: &O, inputs: &[NodeId]) -> Option<usize> {
        debug_assert_eq!(self.interner.len(), self.len(), "nodes that are not found");
        self.interner.find(key, inputs, |index| {
            let node = self.node(index);
            node.inputs.as_slice() == inputs && node.op == *op
        })
    }

    /// Draws the edges of the nodes that were appended since the last time: operands are enough to
    /// record, differentiate and rebuild a graph, and its edges take more room than its nodes' places.
    /// Whoever asks for users calls this before.
    pub(crate) fn draw_edges(&mut self) {
        for index in self.drawn..self.len() {
            let user = NodeIndex::new(index);
            for slot in 0..self.dag[user].inputs.len() {
                let operand = NodeIndex::new(self.dag[user].inputs[slot].index());
                self.dag.add_edge(operand, user, Slot(slot as u16));
            }
        }
        self.drawn = self.len();
    }

    /// Users of a node and the slot in which they have it, the last drawn one first. None of an id
    /// that is no node here.
    pub(crate) fn users(&self, id: NodeId) -> impl Iterator<Item = (NodeId, usize)> {
        let edges = self.dag.edges_directed(NodeIndex::new(id.index()), Direction::Outgoing);
        edges.map(|edge| (NodeId::new(edge.target().index()), usize::from(edge.weight().0)))
    }

    /// Appends a node; the only place that writes operands. `twin`: an equal node is
    /// on the tape already, and stays the one that is found.
    pub(crate) fn append(
        &mut self,
        key: Key,
        node: Arc<Node<O>>,
        origin: OriginId,
        twin: bool,
    ) -> usize {
        debug_assert_eq!(self.interner.len(), self.len(), "nodes that are not found");
        match twin {
            true => self.interner.skip(),
            false => self.interner.insert(key, &node.inputs),
        }
        self.append_new(node, origin)
    }

    /// For every node: do `results` need it?
    pub(crate) fn needed_by(&self, results: impl IntoIterator<Item = usize>) -> Vec<bool> {
        let mut needed = vec![false; self.len()];
        results.into_iter().for_each(|i| needed[i] = true);
        for i in (0..self.len()).rev() {
            if needed[i] {
                self.node(i).inputs.iter().for_each(|x| needed[x.index()] = true);
            }
        }
        needed
    }

    /// For every node before `end`: does it depend on one of `from`?
    pub(crate) fn reached_from(
        &self,
        from: impl IntoIterator<Item = usize>,
        end: usize,
    ) -> Vec<bool> {
        let mut reached = vec![false; end];
        let mut start = end;
        for i in from.into_iter().filter(|&i| i < end) {
            reached[i] = true;
            start = start.min(i);
        }
        for i in start..end {
            reached[i] |= self.node(i).inputs.iter().any(|x| reached[x.index()]);
        }
        reached
    }
}
