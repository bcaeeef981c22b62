//! What is computed again for next to nothing: values that loops make of what is kept anyway.

use pleach_graph::{NodeId, least_cut};
use pleach_ops::Op;

use super::tape::Tape;
use crate::fuse::fusible;

/// Most values for which the least cut is looked for.
const MOST: usize = 10_000;

/// Is one run of a loop over its operands all that it takes?
fn is_cheap(op: &Op) -> bool {
    matches!(op, Op::Fused(_)) || fusible(op)
}

/// What is kept if only elementwise operators are computed again, such that the bytes that are kept for the
/// gradient are fewest: the least cut between what cannot be computed again so and what the gradient reads.
/// What is kept for other reasons weighs nothing. `None` if there is nothing to gain, or the tape is very long.
///
/// **Source** the partition of forward and backward graphs in PyTorch's AOTAutograd; the reduction to a cut
/// of vertices is the textbook one.
pub(super) fn kept(tape: &Tape<'_>) -> Option<Vec<bool>> {
    let own = |i: &usize| tape.live[*i] && tape.base[*i] == *i;
    let values: Vec<usize> = (0..=tape.turn).filter(own).collect();
    if values.len() > MOST {
        return None;
    }
    let mut place = vec![usize::MAX; tape.turn + 1];
    values.iter().enumerate().for_each(|(at, &i)| place[i] = at);
    let (mut edges, mut sources, mut sinks) = (Vec::new(), Vec::new(), Vec::new());
    for (at, &i) in values.iter().enumerate() {
        let node = tape.g.node(NodeId::new(i));
        if tape.again[i] && is_cheap(&node.op) {
            edges.extend(node.inputs.iter().map(|x| (place[tape.base[x.index()]], at)));
        } else {
            sources.push(at);
        }
        if tape.backward[i].is_some() {
            sinks.push(at);
        }
    }
    let weight = |&i: &usize| {
        let anyway = !tape.again[i] && tape.backward[i].is_some();
        Some(if anyway { 0 } else { tape.bytes[i] })
    };
    let cut = least_cut(&values.iter().map(weight).collect::<Vec<_>>(), &edges, &sources, &sinks)?;
    let mut kept: Vec<bool> = tape.again.iter().map(|again| !again).collect();
    values.iter().zip(&cut).filter(|(_, cut)| **cut).for_each(|(&i, _)| kept[i] = true);
    tape.stash().iter().any(|&i| !kept[i]).then_some(kept)
}
