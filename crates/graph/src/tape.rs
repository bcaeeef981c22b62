//! Storage of one frame: a petgraph DAG whose index order is topological, with an interner.

use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;

use hashbrown::HashTable;
use petgraph::graph::{DiGraph, NodeIndex};
use pleach_tensor::Type;
use rustc_hash::FxHasher;
use smallvec::SmallVec;

use crate::{NodeId, Operator, Origin, Slot};

/// Operands of a node, in order.
pub type Inputs = SmallVec<[NodeId; 2]>;

/// One operation: operator, ordered operands, type of the result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node<O> {
    /// What is done.
    pub op: O,
    /// To what, in order. The edges of the DAG mirror this.
    pub inputs: Inputs,
    /// Type of the result.
    pub ty: Type,
}

#[derive(Debug)]
pub(crate) struct Tape<O> {
    pub(crate) dag: DiGraph<Arc<Node<O>>, Slot, u32>,
    pub(crate) origins: Vec<Origin>,
    interner: HashTable<u32>,
}

impl<O> Default for Tape<O> {
    fn default() -> Self {
        Tape { dag: DiGraph::default(), origins: Vec::new(), interner: HashTable::new() }
    }
}

fn hash<O: Operator>(op: &O, inputs: &[NodeId]) -> u64 {
    BuildHasherDefault::<FxHasher>::default().hash_one((op, inputs))
}

impl<O: Operator> Tape<O> {
    pub(crate) fn len(&self) -> usize {
        self.dag.node_count()
    }

    pub(crate) fn node(&self, index: usize) -> &Arc<Node<O>> {
        &self.dag[NodeIndex::new(index)]
    }

    /// The node that is `op` of `inputs`, if it is on the tape.
    pub(crate) fn find(&self, op: &O, inputs: &[NodeId]) -> Option<usize> {
        self.interner
            .find(hash(op, inputs), |&i| {
                let node = self.node(i as usize);
                node.op == *op && node.inputs.as_slice() == inputs
            })
            .map(|&i| i as usize)
    }

    /// Appends a node; the only place that writes operands and edges. `parents` are the tape
    /// indices of the inputs that are on this tape.
    pub(crate) fn append(&mut self, node: Node<O>, parents: &[usize], origin: Origin) -> usize {
        let hash_of = hash(&node.op, &node.inputs);
        let index = self.dag.add_node(Arc::new(node));
        for (slot, &parent) in parents.iter().enumerate() {
            self.dag.add_edge(NodeIndex::new(parent), index, Slot(slot as u16));
        }
        self.origins.push(origin);
        let dag = &self.dag;
        let rehash = |&i: &u32| {
            let node = &dag[NodeIndex::new(i as usize)];
            hash(&node.op, &node.inputs)
        };
        // In a raw graph equal nodes exist; the first one is the one that is found.
        let taken = self.interner.find(hash_of, |&i| {
            let (old, new) = (&dag[NodeIndex::new(i as usize)], &dag[index]);
            old.op == new.op && old.inputs == new.inputs
        });
        if taken.is_none() {
            self.interner.insert_unique(hash_of, index.index() as u32, rehash);
        }
        index.index()
    }
}
