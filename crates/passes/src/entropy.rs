//! The cross-entropy of labels becomes one region, with its gradient where what comes for it does not
//! wait for it, else that is another: a row of classes is read once, and the softmax never reaches memory.
//!
//! ```text
//! %2 = max(axes:[1]) %x
//!  …   log_softmax                  =>   %9 = fused{…} %x %label
//! %9 = gather(axis:1) %8 %label
//! ```
//! Nothing is recognized by hand: [`EntropyRegion`] records what it is, over the operands that are there,
//! as in [`attend`](crate::Attend). Class: rounding. Fires where all that is inside is used inside alone,
//! along the last axis, and the price goes down. Cost: O(nodes). Run before all that makes the recorded
//! form another one, after [`prune`](crate::Prune).

use pleach_graph::{Node, NodeId};
use pleach_ops::{EntropyRegion, Graph, Op};
use rustc_hash::FxHashSet;

use crate::regions::{self, Found, MOST, Search};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError};

/// Name of the one rule of this pass.
const RULE: &str = "cross_entropy";

/// Makes regions of the cross-entropy of labels.
#[derive(Clone, Copy, Debug)]
pub struct Entropy;

/// The regions of the cross-entropy whose result is this node, one of those that may be one, and of its
/// gradients.
fn entropy(search: &Search<'_>, y: NodeId, values: &FxHashSet<NodeId>) -> Option<Vec<Found>> {
    let g = search.g;
    let &[picked, labels] = &g.node(y).inputs[..] else { return None };
    // `log_softmax` is a difference from a difference from the logits.
    let of = |id: NodeId| match g.op(id) {
        Op::Sub(_) => Some(g.node(id).inputs[0]),
        _ => None,
    };
    let x = of(of(picked)?)?;
    let region = |region: EntropyRegion, operands: &[NodeId]| {
        search.found(operands, |types| region.body(types))
    };
    let value = region(EntropyRegion::Value, &[x, labels]);
    let value = value.filter(|found| found.results == [(y, 0)])?;
    let mut gradients = Vec::new();
    // Labels that very many losses use would take quadratic time.
    for &user in search.users[labels.index()].iter().take(MOST) {
        let node = g.node(user);
        if let (Op::ScatterAdd(_), &[dy, _]) = (&node.op, &node.inputs[..])
            && g.ty(dy) == g.ty(y)
        {
            gradients.push([x, labels, dy]);
        }
    }
    // A value waits for what comes for it only if that waits for no other value, which might wait for
    // this one.
    let both = gradients.iter().enumerate().find_map(|(i, of)| {
        let both = region(EntropyRegion::Both, of).filter(|both| both.results.len() == 2)?;
        search.comes_without(of[2], y, values).then_some((i, both))
    });
    let mut all = Vec::new();
    match both {
        Some((i, both)) => {
            gradients.remove(i);
            all.push(both);
        }
        None => all.push(value),
    }
    all.extend(gradients.iter().filter_map(|of| region(EntropyRegion::Gradient, of)));
    Some(all)
}

impl Pass for Entropy {
    fn name(&self) -> &'static str {
        "entropy"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        // One element of every row.
        let picks = |id: &NodeId| {
            let of = |node: &Node<Op>| {
                let last = node.ty.rank().checked_sub(1);
                let along = matches!(&node.op, Op::Gather(gather) if Some(gather.axis()) == last);
                along && last.is_some_and(|last| node.ty.shape()[last] == 1)
            };
            g.peek(*id, of) == Some(true)
        };
        let picked: Vec<NodeId> = g.ids().filter(picks).collect();
        let all: FxHashSet<NodeId> = picked.iter().copied().collect();
        Ok(regions::make(g, cx, RULE, &picked, |search, y| entropy(search, y, &all)))
    }
}
