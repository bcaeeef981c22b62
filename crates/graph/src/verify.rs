//! The verifier: every invariant of a graph, checked.

use petgraph::Direction;
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use pleach_tensor::Type;
use thiserror::Error;

use crate::{BuildErrors, Graph, NodeId, Operator, TypeError};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The graph holds errors of its user's code.
    #[error(transparent)]
    Build(#[from] BuildErrors),
    /// An operand does not come before its user.
    #[error("{user}: operand {operand} does not come before it")]
    Order {
        /// The user.
        user: NodeId,
        /// Its operand.
        operand: NodeId,
    },
    /// The edges of the DAG do not mirror the operands.
    #[error("{0}: the edges do not mirror the operands")]
    Edges(NodeId),
    /// The type rule refuses the node.
    #[error("{node}: {reason}")]
    IllTyped {
        /// The node.
        node: NodeId,
        /// What the type rule says.
        reason: TypeError,
    },
    /// The type rule gives another type than the node states.
    #[error("{node}: the type rule gives {inferred}, the node states {stated}")]
    Type {
        /// The node.
        node: NodeId,
        /// What the type rule gives.
        inferred: Type,
        /// What the node states.
        stated: Type,
    },
    /// Two nodes are equal although the graph shares equal nodes.
    #[error("{0} and {1} are equal")]
    Twins(NodeId, NodeId),
    /// An output or assignment is no node, or an assignment's types differ.
    #[error("output {0:?} is not well formed")]
    Root(String),
}

impl<O: Operator> Graph<O> {
    /// Checks every invariant: operands come before users; edges mirror operands; the type rule
    /// gives the stated type; equal nodes are one (unless the graph was recorded raw or read from text); outputs are nodes,
    /// assignments keep the type. Cost: O(nodes).
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn verify(&self) -> Result<(), VerifyError> {
        self.check()?;
        for id in self.ids() {
            let node = self.node(id);
            if let Some(&operand) = node.inputs.iter().find(|x| x.frame() != 0 || x.index() >= id.index()) {
                return Err(VerifyError::Order { user: id, operand });
            }
            let mut edges: Vec<(u16, usize)> = {
                let inner = self.inner.borrow();
                let at = NodeIndex::new(id.index());
                let edges = inner.root.dag.edges_directed(at, Direction::Incoming);
                edges.map(|e| (e.weight().0, e.source().index())).collect()
            };
            edges.sort_unstable();
            let mirrored =
                edges.len() == node.inputs.len()
                    && edges.iter().zip(&node.inputs).enumerate().all(|(slot, (edge, x))| {
                        usize::from(edge.0) == slot && edge.1 == x.index()
                    });
            if !mirrored {
                return Err(VerifyError::Edges(id));
            }
            let types: Vec<Type> = node.inputs.iter().map(|&x| self.ty(x)).collect();
            let inferred = node
                .op
                .infer(&types.iter().collect::<Vec<_>>())
                .map_err(|reason| VerifyError::IllTyped { node: id, reason })?;
            if inferred != node.ty {
                let stated = node.ty.clone();
                return Err(VerifyError::Type { node: id, inferred, stated });
            }
            let inner = self.inner.borrow();
            if !inner.twins {
                match inner.root.find(&node.op, &node.inputs) {
                    Some(first) if first != id.index() => {
                        return Err(VerifyError::Twins(NodeId::new(first), id));
                    }
                    _ => {}
                }
            }
        }
        for root in self.roots() {
            let fine = self.get(root.value).is_some()
                && root.target.is_none_or(|target| {
                    self.get(target).is_some_and(|t| t.ty == self.ty(root.value))
                });
            if !fine {
                return Err(VerifyError::Root(root.name.to_string()));
            }
        }
        Ok(())
    }
}
