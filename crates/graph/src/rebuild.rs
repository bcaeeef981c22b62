//! Rewriting: a graph is never edited, it is built anew, node by node, operands first.

use std::sync::Arc;

use crate::tape::{Inputs, Node};
use crate::{Graph, NodeId, Operator};

/// What becomes of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// The same operator of the mapped operands.
    Keep,
    /// This node of the new graph.
    Replace(NodeId),
    /// Nothing. Nodes that need it are dropped with it; no output may.
    Drop,
}

/// Where the nodes of an old graph went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeMap(Vec<Option<NodeId>>);

impl NodeMap {
    /// Every one of `n` nodes stays where it is.
    pub fn identity(n: usize) -> NodeMap {
        NodeMap((0..n).map(|i| Some(NodeId::new(i))).collect())
    }

    /// The new node that has the value of `old`, if it was not dropped.
    pub fn get(&self, old: NodeId) -> Option<NodeId> {
        if old.frame() != 0 {
            return None;
        }
        self.0.get(old.index()).copied().flatten()
    }

    /// First this map, then `next`.
    #[must_use]
    pub fn then(&self, next: &NodeMap) -> NodeMap {
        NodeMap(self.0.iter().map(|id| id.and_then(|id| next.get(id))).collect())
    }

    /// Number of old nodes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Was the old graph empty?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<O: Operator> Graph<O> {
    /// Builds the graph anew through [`Graph::push`]. `rewrite` is asked for every node, whose
    /// operands are not dropped, with the new graph, the old id, the node and its operands in the
    /// new graph. Outputs, assignments and errors are carried over, the language's context is
    /// not; every new node comes from where its old one does. Even a raw graph is shared now.
    ///
    /// # Panics
    /// If `rewrite` drops a node that an output or an assignment needs: a defect of the pass.
    pub fn rebuild(
        &self,
        rewrite: impl FnMut(&Graph<O>, NodeId, &Node<O>, &[NodeId]) -> Rewrite,
    ) -> (Graph<O>, NodeMap) {
        self.rebuild_in(self.ids(), rewrite)
    }

    /// As [`Graph::rebuild`], but nodes are visited, and so recorded, in the given order, which
    /// names every node once, after its operands.
    ///
    /// # Panics
    /// As [`Graph::rebuild`]; a node that comes before one of its operands is dropped.
    pub fn rebuild_in(
        &self,
        order: impl IntoIterator<Item = NodeId>,
        mut rewrite: impl FnMut(&Graph<O>, NodeId, &Node<O>, &[NodeId]) -> Rewrite,
    ) -> (Graph<O>, NodeMap) {
        let rewrite = |(): &mut (), new: &Graph<O>, old, node: &Node<O>, inputs: &[NodeId]| {
            rewrite(new, old, node, inputs)
        };
        self.rebuild_noting(order, &mut (), rewrite, |(), _, _, _, _| {})
    }

    /// As [`Graph::rebuild_in`], and tells what became of every node that was not dropped: `note` gets
    /// the new graph, the old id, the new one, and the old node's operands in the new graph. Both
    /// closures may change `state`.
    ///
    /// # Panics
    /// As [`Graph::rebuild_in`].
    pub fn rebuild_noting<S>(
        &self,
        order: impl IntoIterator<Item = NodeId>,
        state: &mut S,
        mut rewrite: impl FnMut(&mut S, &Graph<O>, NodeId, &Node<O>, &[NodeId]) -> Rewrite,
        mut note: impl FnMut(&mut S, &Graph<O>, NodeId, NodeId, &[NodeId]),
    ) -> (Graph<O>, NodeMap) {
        let new = Graph::default();
        {
            let (mut new, old) = (new.inner.borrow_mut(), self.inner.borrow());
            new.errors.clone_from(&old.errors);
            new.root.reserve(old.root.len());
        }
        let mut map: Vec<Option<NodeId>> = vec![None; self.len()];
        // What is kept of what was kept needs no type rule and no identities again.
        let (shared, mut verbatim) = (self.is_shared(), vec![false; self.len()]);
        let mut kept = 0;
        let mut origins = vec![None; self.inner.borrow().origins.len()];
        for old in order {
            let node = self.node(old);
            let dropped = NodeId::poison(u32::MAX as usize);
            let inputs: Inputs =
                node.inputs.iter().map(|x| map[x.index()].unwrap_or(dropped)).collect();
            {
                let (inner, mut new) = (self.inner.borrow(), new.inner.borrow_mut());
                let origin = inner.root.origins[old.index()];
                let carry = || new.origins.id(inner.origins.get(origin).clone());
                new.origin = Some(*origins[origin.index()].get_or_insert_with(carry));
            }
            let id = match rewrite(state, &new, old, &node, &inputs) {
                Rewrite::Keep if inputs.contains(&dropped) => None,
                Rewrite::Keep if shared && node.inputs.iter().all(|x| verbatim[x.index()]) => {
                    verbatim[old.index()] = true;
                    let first = new.len() == kept;
                    kept += 1;
                    Some(new.append_again(&node, inputs.clone(), first))
                }
                Rewrite::Keep => Some(new.push(node.op.clone(), &inputs)),
                Rewrite::Replace(id) => Some(id),
                Rewrite::Drop => None,
            };
            if let Some(id) = id {
                note(state, &new, old, id, &inputs);
            }
            map[old.index()] = id;
        }
        new.inner.borrow_mut().origin = None;
        let map = NodeMap(map);
        let at = |id: NodeId| map.get(id).expect("a pass must not drop what an output needs");
        for root in self.roots() {
            match root.target {
                None => new.output(&root.name, at(root.value)),
                Some(target) => new.assign(&root.name, at(target), at(root.value)),
            }
        }
        (new, map)
    }

    /// For every node: does an output, an assignment or its target need it?
    /// What was found is kept until something is recorded or asked for.
    pub fn live(&self) -> Arc<[bool]> {
        let mut inner = self.inner.borrow_mut();
        let kept = inner.live.take().filter(|live| live.len() == inner.root.len());
        let live = kept.unwrap_or_else(|| {
            let roots = inner.roots.iter().flat_map(|r| [Some(r.value), r.target]);
            inner.root.needed_by(roots.flatten().map(NodeId::index)).into()
        });
        inner.live = Some(live.clone());
        live
    }
}
