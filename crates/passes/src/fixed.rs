//! Which values are the same in every run.

use std::collections::HashSet;

use pleach_graph::NodeId;
use pleach_ops::{Graph, Op};

/// For every node: is it made of constants, and of variables that are not assigned? A plan computes such
/// values once, if it has room for them. A custom operator is called in every run.
pub(crate) fn fixed(g: &Graph) -> Vec<bool> {
    let assigned: HashSet<NodeId> = g.roots().iter().filter_map(|root| root.target).collect();
    let mut fixed = vec![false; g.len()];
    for id in g.ids() {
        fixed[id.index()] = g
            .peek(id, |node| match node.op {
                Op::Input(_) | Op::Parameter(_) | Op::Custom(_) => false,
                Op::Variable(_) => !assigned.contains(&id),
                _ => node.inputs.iter().all(|x| fixed[x.index()]),
            })
            .unwrap_or(false);
    }
    fixed
}
