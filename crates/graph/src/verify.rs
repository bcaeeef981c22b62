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
            if let Some(&operand) =
                node.inputs.iter().find(|x| x.frame() != 0 || x.index() >= id.index())
            {
                return Err(VerifyError::Order { user: id, operand });
            }
            let mut edges: Vec<(u16, usize)> = {
                let mut inner = self.inner.borrow_mut();
                inner.root.draw_edges();
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
            let mut inner = self.inner.borrow_mut();
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
    use pleach_tensor::{DType, F32, F64};

    use super::VerifyError;
    use crate::tape::Node;
    use crate::toy::{Graph, MOOD, Quirk, Toy, add, cube, mul, x};
    use crate::{NodeId, Root, Slot};

    /// `a`, `b`, `a·b`, `a³`, `b²`.
    fn graph() -> Graph {
        let g = Graph::new();
        let (a, b) = (x(&g, "a"), x(&g, "b"));
        mul(&g, a, b);
        g.output("y", cube(&g, a));
        g.push(Toy::Square, &[b]);
        assert_eq!(g.verify(), Ok(()));
        g
    }

    fn replace(g: &Graph, index: usize, change: impl FnOnce(&mut Node<Toy>)) {
        let mut inner = g.inner.borrow_mut();
        change(Arc::make_mut(&mut inner.root.dag[NodeIndex::new(index)]));
    }

    #[test]
    fn an_operand_after_its_user_is_found() {
        let g = graph();
        replace(&g, 2, |node| node.inputs[1] = NodeId::new(3));
        let (user, operand) = (NodeId::new(2), NodeId::new(3));
        assert_eq!(g.verify(), Err(VerifyError::Order { user, operand }));
        let g = graph();
        replace(&g, 2, |node| node.inputs[1] = NodeId::in_frame(7, 0));
        assert!(matches!(g.verify(), Err(VerifyError::Order { .. })));
    }

    #[test]
    fn edges_that_do_not_mirror_the_operands_are_found() {
        type Dag = DiGraph<Arc<Node<Toy>>, Slot>;
        let broken: [fn(&mut Dag); 4] = [
            |dag| _ = dag.remove_edge(EdgeIndex::new(0)),
            |dag| _ = dag.add_edge(NodeIndex::new(0), NodeIndex::new(2), Slot(2)),
            |dag| dag[EdgeIndex::new(0)] = Slot(1),
            |dag| {
                dag[EdgeIndex::new(0)] = Slot(1);
                dag[EdgeIndex::new(1)] = Slot(0);
            },
        ];
        for (case, break_it) in broken.into_iter().enumerate() {
            let g = graph();
            break_it(&mut g.inner.borrow_mut().root.dag);
            let found = VerifyError::Edges(NodeId::new(2));
            assert_eq!(g.verify(), Err(found), "case {case}");
        }
    }

    #[test]
    fn equal_nodes_are_found() {
        let g = graph();
        replace(&g, 4, |node| (node.op, node.inputs[0]) = (Toy::Cube, NodeId::new(1)));
        assert_eq!(g.verify(), Ok(()), "another cube is no twin");
        let g = graph();
        let again = mul(&g, NodeId::new(0), NodeId::new(0));
        let sum = add(&g, NodeId::new(0), NodeId::new(0));
        replace(&g, sum.index(), |node| node.op = Toy::Mul);
        assert_eq!(g.verify(), Err(VerifyError::Twins(again, sum)));
    }

    #[test]
    fn outputs_that_are_no_values_are_found() {
        for (value, target) in [(9, None), (0, Some(9)), (0, Some(5))] {
            let g = graph();
            g.push(Toy::Cast(F32), &[NodeId::new(0)]);
            let root = Root {
                name: "odd".into(),
                value: NodeId::new(value),
                target: target.map(NodeId::new),
            };
            g.inner.borrow_mut().roots.push(root);
            assert_eq!(g.verify(), Err(VerifyError::Root("odd".into())));
        }
    }

    #[test]
    fn type_rules_that_change_their_mind_are_found() {
        let verify = |mood: Option<DType>| {
            let g = graph();
            let node = g.push(Toy::Odd(Quirk::Fickle), &[NodeId::new(0)]);
            MOOD.set(mood);
            let found = g.verify();
            MOOD.set(Some(F64));
            (node, found)
        };
        assert_eq!(verify(Some(F64)).1, Ok(()));
        let (id, found) = verify(Some(F32));
        assert!(matches!(found, Err(VerifyError::Type { node, .. }) if node == id));
        let text = "%5: the type rule gives f32[3], the node states f64[3]";
        assert_eq!(found.unwrap_err().to_string(), text);
        let (id, found) = verify(None);
        assert!(matches!(found, Err(VerifyError::IllTyped { node, .. }) if node == id));
    }

    #[test]
    fn errors_of_the_user_are_found() {
        let g = graph();
        g.push(Toy::Add, &[]);
        assert!(matches!(g.verify(), Err(VerifyError::Build(_))));
    }
}
