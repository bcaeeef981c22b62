//! Joins what is added up of parts in zeros.
//!
//! ```text
//! %2 = pad(widths:[(0,3)]) %0        0 0 0 0 x x
//! %3 = pad(widths:[(4,0)]) %1   =>   %2 = concat(axis:0) %0 0 %1
//! %4 = add %2 %3
//! ```
//! The gradient of a value that is used in slices is such a sum: of the gates of a recurrent cell, of
//! the heads' queries, keys and values. Of the terms of a sum, those that lie apart along one axis
//! and fill the others are joined; the rest is added to that. Class: zero-sign, for `-0 + 0` is `+0`.
//! Cost: O(nodes), and sorting the terms of a sum. Run before [`fuse`](crate::Fuse).

use pleach_graph::{NodeId, Rewrite};
use pleach_ops::{Concat, Full, Graph, Op, Var};

use crate::claims::live_uses;
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Totals};

/// Name of the one rule of this pass.
const RULE: &str = "sum_of_parts";

/// Joins what is added up of parts in zeros.
#[derive(Clone, Copy, Debug)]
pub struct Join;

/// A term that is zero outside of a range of one axis.
#[derive(Clone, Copy, Debug)]
struct Part {
    term: NodeId,
    inner: NodeId,
    axis: usize,
    start: usize,
    stop: usize,
}

/// The axis along which a term is padded with zeros, if it is only one.
fn part(g: &Graph, term: NodeId) -> Option<Part> {
    let node = g.node(term);
    let Op::Pad(pad) = &node.op else { return None };
    let padded = |(_, widths): &(usize, &(usize, usize))| **widths != (0, 0);
    let mut axes = pad.widths().iter().enumerate().filter(padded);
    let (axis, &(before, after)) = axes.next()?;
    let n = node.ty.shape()[axis];
    let zero = pad.value() == 0.0 && axes.next().is_none() && before + after <= n;
    let (inner, start, stop) = (node.inputs[0], before, n - after.min(n));
    (zero && start < stop).then_some(Part { term, inner, axis, start, stop })
}

/// The terms of a sum, in order: sums that are used only in it are taken apart.
fn terms(g: &Graph, uses: &[u32], root: NodeId) -> Vec<NodeId> {
    let (mut work, mut terms) = (vec![root], Vec::new());
    while let Some(id) = work.pop() {
        let node = g.node(id);
        match node.op {
            Op::Add(_) if id == root || uses[id.index()] == 1 => work.extend(&node.inputs),
            _ => terms.push(id),
        }
    }
    terms.reverse();
    terms
}

/// The largest group of terms that lie apart along one axis, sorted.
fn apart(g: &Graph, terms: &[NodeId]) -> Vec<Part> {
    let parts: Vec<Part> = terms.iter().filter_map(|&term| part(g, term)).collect();
    let mut axes: Vec<usize> = parts.iter().map(|part| part.axis).collect();
    axes.sort_unstable();
    axes.dedup();
    let group = |axis: usize| {
        let mut group: Vec<Part> = parts.iter().copied().filter(|p| p.axis == axis).collect();
        group.sort_by_key(|p| (p.start, p.stop));
        let mut end = 0;
        group.retain(|p| {
            p.start >= end && {
                end = p.stop;
                true
            }
        });
        group
    };
    axes.into_iter().map(group).max_by_key(Vec::len).unwrap_or_default()
}

/// The parts beside each other, with zeros where there is none.
fn joined(new: &Graph, g: &Graph, parts: &[(Part, NodeId)], root: NodeId) -> Option<NodeId> {
    let ty = g.ty(root);
    let axis = parts.first()?.0.axis;
    let zeros = |n: usize| {
        let ty = ty.with_shape(ty.shape().with_axis(axis, n)).ok()?;
        Some(new.push(Full::new(&ty, 0.0).into(), &[]))
    };
    let (mut all, mut end) = (Vec::new(), 0);
    for (part, inner) in parts {
        if part.start > end {
            all.push(zeros(part.start - end)?);
        }
        all.push(*inner);
        end = part.stop;
    }
    if end < ty.shape()[axis] {
        all.push(zeros(ty.shape()[axis] - end)?);
    }
    Some(new.push(Concat::new(axis).into(), &all))
}

impl Pass for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::ZeroSign)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let is_pad = |id: NodeId| g.peek(id, |node| matches!(node.op, Op::Pad(_))) == Some(true);
        if !g.ids().any(is_pad) {
            cx.step(g.len() as u64);
            return Ok(Outcome::Unchanged);
        }
        let uses = live_uses(g);
        // A sum that is used once, in another sum, is a part of that one.
        let mut inner = vec![false; g.len()];
        for id in g.ids().filter(|id| uses[id.index()] > 0) {
            if let Op::Add(_) = g.op(id) {
                g.node(id).inputs.iter().for_each(|x| inner[x.index()] |= uses[x.index()] == 1);
            }
        }
        let (mut at, mut fired): (Vec<Option<NodeId>>, usize) = (vec![None; g.len()], 0);
        let (new, map) = g.rebuild(|new, old, node, inputs| {
            cx.step(1 + inputs.len() as u64);
            let sum = matches!(node.op, Op::Add(_)) && uses[old.index()] > 0 && !inner[old.index()];
            let start = new.len();
            let rewritten = (sum && cx.may(RULE, Class::ZeroSign)).then(|| {
                let terms = terms(g, &uses, old);
                cx.step(terms.len() as u64);
                let parts = apart(g, &terms);
                if parts.len() < 2 {
                    return None;
                }
                let inner = |part: &Part| Some((*part, at[part.inner.index()]?));
                let first =
                    joined(new, g, &parts.iter().map(inner).collect::<Option<Vec<_>>>()?, old)?;
                let joined = |term: &NodeId| parts.iter().any(|part| part.term == *term);
                // A term that stands in the sum twice is joined once.
                let mut seen: Vec<NodeId> = Vec::new();
                let rest = terms.iter().filter(|term| {
                    let again = seen.contains(term);
                    seen.push(**term);
                    again || !joined(term)
                });
                rest.copied().try_fold(Var::new(new, first), |sum, term| {
                    Some(sum + Var::new(new, at[term.index()]?))
                })
            });
            let id = match rewritten.flatten() {
                Some(sum) => {
                    fired += 1;
                    cx.applied(RULE, g, old, Totals::since(new, start) - Totals::of_node(g, old));
                    sum.id()
                }
                None => new.push(node.op.clone(), inputs),
            };
            at[old.index()] = Some(id);
            Rewrite::Replace(id)
        });
        Ok(if fired == 0 { Outcome::Unchanged } else { Outcome::Changed(new, map) })
    }
}
