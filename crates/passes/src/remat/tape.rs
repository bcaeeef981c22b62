//! What a graph keeps for its gradient: values with memory of their own, and who needs them when.

use std::sync::Arc;

use pleach_graph::{Node, NodeId};
use pleach_ops::{Graph, Op};

use crate::Totals;
use crate::fixed::fixed;

/// A graph as a tape: what comes up to the first output, and what comes after it and uses values of
/// before.
#[derive(Debug)]
pub(super) struct Tape<'g> {
    pub(super) g: &'g Graph,
    pub(super) live: Arc<[bool]>,
    /// The node of the first output, usually the loss.
    pub(super) turn: usize,
    /// For every node, the node in whose memory its value is: its own, or what it is a view of.
    pub(super) base: Vec<usize>,
    /// Bytes of memory of its own; 0 for views, splats and what comes from outside.
    pub(super) bytes: Vec<u64>,
    /// May its value be computed again?
    pub(super) again: Vec<bool>,
    /// The last node up to the turn that reads its memory.
    pub(super) forward: Vec<usize>,
    /// The last node after the turn that reads its memory, if one does.
    pub(super) backward: Vec<Option<usize>>,
}

/// Is the value a view, if its operand is laid out without gaps or not?
fn is_view(op: &Op, dense: bool) -> bool {
    match op {
        Op::Permute(_) | Op::Broadcast(_) | Op::Slice(_) | Op::Flip(_) | Op::Windows(_) => true,
        Op::Checkpoint(_) => true,
        Op::StopGradient(_) | Op::StraightThrough(_) => true,
        Op::Reshape(_) => dense,
        _ => false,
    }
}

impl<'g> Tape<'g> {
    /// `None` if the graph has no output that is read, or nothing comes after it.
    pub(super) fn new(g: &'g Graph) -> Option<Tape<'g>> {
        let (n, live, roots) = (g.len(), g.live(), g.roots());
        let turn = roots.iter().find(|root| root.target.is_none())?.value.index();
        let mut tape = Tape {
            g,
            live,
            turn,
            base: (0..n).collect(),
            bytes: vec![0; n],
            again: vec![false; n],
            forward: (0..n).collect(),
            backward: vec![None; n],
        };
        // What a plan computes once.
        let (mut dense, fixed) = (vec![true; n], fixed(g));
        for i in (0..n).filter(|&i| tape.live[i]) {
            let node = g.node(NodeId::new(i));
            let first = node.inputs.first().map(|x| x.index());
            match first {
                Some(x) if is_view(&node.op, dense[x]) => {
                    tape.base[i] = tape.base[x];
                    let moved = !matches!(node.op, Op::Reshape(_) | Op::Checkpoint(_));
                    dense[i] = dense[x] && !moved;
                    tape.again[i] = tape.again[tape.base[i]];
                }
                Some(_) => {
                    // Loops stay: they keep their carries only. So do maxima and their places, which
                    // a plan makes together; places are bytes there.
                    let of = |x: NodeId| g.op(NodeId::new(tape.base[x.index()]));
                    let stays = match node.op {
                        Op::Scan(_) | Op::ArgMaxPool(_) => true,
                        Op::Gather(_) => matches!(of(node.inputs[1]), Op::ArgMaxPool(_)),
                        _ => fixed[i],
                    };
                    tape.again[i] = i <= turn && !stays;
                    tape.bytes[i] = match node.op {
                        Op::ArgMaxPool(_) => node.ty.numel() as u64,
                        _ => node.ty.bytes() as u64,
                    };
                }
                None => {}
            }
            for x in &node.inputs {
                let x = tape.base[x.index()];
                if i <= turn {
                    tape.forward[x] = i;
                } else {
                    tape.backward[x] = Some(i);
                }
            }
        }
        for root in &roots {
            tape.again[tape.base[root.value.index()]] = false;
        }
        (0..n).rev().any(|i| i > turn && tape.live[i]).then_some(tape)
    }

    /// The values that are kept for what comes after the turn, and could be computed again.
    pub(super) fn stash(&self) -> Vec<usize> {
        (0..=self.turn).filter(|&i| self.is_stashed(i)).collect()
    }

    pub(super) fn is_stashed(&self, i: usize) -> bool {
        self.live[i] && self.again[i] && self.bytes[i] > 0 && self.backward[i].is_some()
    }

    /// Bytes times the nodes for which they are kept, by the work of computing them again: what
    /// should be computed again first.
    pub(super) fn worth(&self, i: usize) -> f64 {
        let totals = Totals::of_node(self.g, NodeId::new(i));
        let gap = self.backward[i].map_or(0, |last| last - self.forward[i]);
        self.bytes[i] as f64 * gap as f64 / (totals.flops + totals.bytes).max(1) as f64
    }

    /// What is kept if the tape is cut behind these nodes, in increasing order: what crosses a cut on
    /// its way forward, and what lies behind the last of them.
    pub(super) fn kept(&self, cuts: &[usize]) -> Vec<bool> {
        let kept = |i: usize| {
            let next = cuts.partition_point(|&cut| cut < i);
            !self.again[i] || cuts.get(next).is_none_or(|&cut| cut < self.forward[i])
        };
        (0..self.base.len()).map(kept).collect()
    }

    /// The bytes that cross a cut behind every node up to the turn, on their way forward.
    pub(super) fn crossing(&self) -> Vec<u64> {
        let mut changes = vec![0i64; self.turn + 2];
        for i in (0..=self.turn).filter(|&i| self.live[i] && self.again[i]) {
            changes[i] += self.bytes[i] as i64;
            changes[self.forward[i]] -= self.bytes[i] as i64;
        }
        let mut sum = 0;
        let summed = changes.iter().take(self.turn + 1).map(|change| {
            sum += change;
            sum as u64
        });
        summed.collect()
    }

    /// The nodes behind which the user marked a cut.
    pub(super) fn marks(&self) -> Vec<usize> {
        (0..=self.turn).filter(|&i| self.live[i] && is_mark(&self.g.op(NodeId::new(i)))).collect()
    }

    /// The first operand that can be told apart from itself; none if all are constants.
    pub(super) fn told_apart(&self, inputs: &[NodeId]) -> Option<usize> {
        let constant =
            |node: &Node<Op>| matches!(node.op, Op::Full(_) | Op::Constant(_) | Op::Iota(_));
        inputs.iter().position(|x| self.g.peek(*x, constant) == Some(false))
    }
}

/// Is it a mark of the user's?
pub(super) fn is_mark(op: &Op) -> bool {
    matches!(op, Op::Checkpoint(checkpoint) if checkpoint.epoch == 0)
}
