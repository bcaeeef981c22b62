//! Keeps values of a loop for the loop of its gradient, which would compute them again.
//!
//! ```text
//! %3 = scan(… {%2 = tanh(matmul(c, w)); …}) …                  the values %2 of all steps
//! %5 = scan(… {%2 = tanh(matmul(c, w)); %3 = mul %2 %2; …}) …  are stacked by the first loop,
//! =>                                                            and slices of the second
//! ```
//! A loop sees what an earlier loop saw if it goes over the values that it stacked, in either
//! direction, over the same slices and with the same captures. What both compute of these is equal.
//! Of that, what the rest of the second loop uses is stacked by the first; what is cheap to compute
//! from it (sums, products of elements, views) is computed again. Nothing is stacked that costs more
//! to write and read, in bytes, than it saves in work; nor if it would take more than `max_bytes`.
//! Class: kernel-exact. Cost: O(nodes). Run before [`simplify`](crate::Simplify), which may make what
//! is equal different.

use std::collections::HashMap;

use pleach_graph::{NodeId, Operator, Traits};
use pleach_ops::{Cost, Graph, Op};
use pleach_tensor::Type;
use smallvec::SmallVec;

use crate::family::{Edit, Edited, Family, is_view, replace};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError};

/// Name of the one rule of this pass.
const RULE: &str = "kept_for_gradient";

/// Keeps values of loops for later loops.
#[derive(Clone, Copy, Debug)]
pub struct Stash {
    /// Most bytes that one loop stacks for another. A loop alone remembers its carries only, so that
    /// a long one can be differentiated at all: this bound keeps that promise.
    pub max_bytes: usize,
}

impl Default for Stash {
    fn default() -> Stash {
        Stash { max_bytes: 64 << 20 }
    }
}

/// What a loop is given by an earlier one.
#[derive(Debug)]
struct Gift {
    from: usize,
    /// Nodes of the body, with the nodes of the earlier body that are equal.
    nodes: Vec<(usize, usize)>,
}

/// For every node of the body of `b`, the node of the body of `a` that has the same value at the
/// same slice.
fn equal(g: &Graph, a: &Family, b: &Family) -> Vec<Option<usize>> {
    let (bodies, carries) = ((a.nodes(), b.nodes()), a.of.carries());
    let results = a.of.body().results();
    let param = |i: usize| {
        let operand = b.operands[i];
        let slice = b.is_slice(i);
        if i >= b.of.carries()
            && let Some(same) = (carries..a.of.body().params())
                .find(|&j| a.operands[j] == operand && a.is_slice(j) == slice)
        {
            return Some(same);
        }
        let Op::Scan(scan) = g.op(operand) else { return None };
        let of_a = slice && *scan.of() == a.of && g.node(operand).inputs[..] == a.operands[..];
        match scan.result() {
            r if !of_a || r < carries => None,
            r if r < results.len() => Some(results[r]),
            r => Some(r - results.len()),
        }
    };
    type Key = (Op, SmallVec<[usize; 4]>);
    let key = |op: &Op, mut inputs: SmallVec<[usize; 4]>| -> Key {
        if op.traits().has(Traits::COMMUTATIVE) {
            inputs.sort_unstable();
        }
        (op.clone(), inputs)
    };
    let mut known: HashMap<Key, usize> = HashMap::new();
    for (i, node) in bodies.0.iter().enumerate().skip(a.of.body().params()) {
        let inputs = node.inputs.iter().map(|x| x.index()).collect();
        known.entry(key(&node.op, inputs)).or_insert(i);
    }
    let mut equal: Vec<Option<usize>> = Vec::with_capacity(bodies.1.len());
    for (i, node) in bodies.1.iter().enumerate() {
        equal.push(match i < b.of.body().params() {
            true => param(i),
            false => {
                let inputs: Option<_> = node.inputs.iter().map(|x| equal[x.index()]).collect();
                inputs.and_then(|inputs| known.get(&key(&node.op, inputs)).copied())
            }
        });
    }
    equal
}

/// May a value be computed again rather than kept?
fn is_cheap(op: &Op) -> bool {
    is_view(op)
        || matches!(op, Op::Add(_) | Op::Sub(_) | Op::Mul(_) | Op::Neg(_) | Op::Select(_))
        || matches!(op, Op::Full(_) | Op::Constant(_))
}

/// The work of a node in a fused body: elementwise operators move nothing of their own.
fn work(family: &Family, node: usize) -> u64 {
    let node = &family.nodes()[node];
    let types: SmallVec<[&Type; 4]> =
        node.inputs.iter().map(|x| &family.nodes()[x.index()].ty).collect();
    let Cost { flops, bytes } = node.op.cost(&types, &node.ty);
    let fused = node.op.traits().has(Traits::ELEMENTWISE) || is_view(&node.op);
    if fused { flops } else { flops.saturating_add(bytes) }
}

impl Stash {
    /// What loop `b` is given by loop `a`, if that is worth it.
    fn gift(
        &self,
        g: &Graph,
        families: &[Family],
        a: usize,
        b: usize,
        cx: &mut PassCx<'_>,
    ) -> Option<Gift> {
        let (from, to) = (&families[a], &families[b]);
        cx.step((from.nodes().len() + to.nodes().len()) as u64);
        if from.of.length() != to.of.length() {
            return None;
        }
        let (equal, params) = (equal(g, from, to), to.of.body().params());
        let needed = to.live_nodes();
        let mut wanted = vec![false; equal.len()];
        to.of.body().results().iter().zip(to.needed()).for_each(|(&r, needed)| wanted[r] |= needed);
        for (i, node) in to.nodes().iter().enumerate() {
            if needed[i] && equal[i].is_none() {
                node.inputs.iter().for_each(|x| wanted[x.index()] = true);
            }
        }
        let mut kept: Vec<bool> =
            (0..equal.len()).map(|i| wanted[i] && i >= params && equal[i].is_some()).collect();
        // What is cheap to compute of what is there is not kept.
        let mut there: Vec<bool> = (0..kept.len()).map(|i| i < params).collect();
        for (i, node) in to.nodes().iter().enumerate().skip(params) {
            let again = is_cheap(&node.op) && node.inputs.iter().all(|x| there[x.index()]);
            kept[i] &= !again;
            there[i] = again || kept[i];
        }
        let nodes: Vec<(usize, usize)> =
            (0..kept.len()).filter(|&i| kept[i]).filter_map(|i| Some((i, equal[i]?))).collect();
        if nodes.is_empty() {
            return None;
        }
        let results = to.of.body().results().iter().zip(to.needed());
        let asked = results.filter(|(_, needed)| *needed).map(|(&r, _)| r);
        let after = to.needed_by(asked, |i| kept[i]);
        let saved: u64 = (params..kept.len())
            .filter(|&i| needed[i] && (kept[i] || !after[i]))
            .map(|i| work(to, i))
            .sum();
        let bytes: usize = nodes.iter().map(|&(i, _)| to.nodes()[i].ty.bytes()).sum();
        if 2 * bytes as u64 >= saved {
            cx.skip(RULE, g, to.first(), "to keep values moves more than to compute them again");
            return None;
        }
        if bytes.saturating_mul(to.of.length()) > self.max_bytes {
            cx.skip(RULE, g, to.first(), "the values of all steps would take too much memory");
            return None;
        }
        Some(Gift { from: a, nodes })
    }
}

impl Pass for Stash {
    fn name(&self) -> &'static str {
        "stash"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::KernelExact)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        if !cx.may(RULE, Class::KernelExact) {
            return Ok(Outcome::Unchanged);
        }
        let families = Family::all(g);
        let number: HashMap<NodeId, usize> = (families.iter().enumerate())
            .flat_map(|(number, family)| family.live.iter().map(move |(id, _)| (*id, number)))
            .collect();
        let mut gifts: Vec<Option<Gift>> = Vec::with_capacity(families.len());
        let mut stacked: Vec<Vec<usize>> = vec![Vec::new(); families.len()];
        for (b, family) in families.iter().enumerate() {
            let mut sources: Vec<usize> =
                family.operands.iter().filter_map(|x| number.get(x).copied()).collect();
            sources.sort_unstable();
            sources.dedup();
            let gift = sources.iter().find_map(|&a| self.gift(g, &families, a, b, cx));
            if let Some(Gift { from, nodes }) = &gift {
                for (_, node) in nodes {
                    if !stacked[*from].contains(node) {
                        stacked[*from].push(*node);
                    }
                }
            }
            gifts.push(gift);
        }
        if gifts.iter().all(Option::is_none) {
            return Ok(Outcome::Unchanged);
        }
        let mut edits: Vec<Option<Edited>> = families.iter().map(|_| None).collect();
        Ok(replace(g, &families, cx, (RULE, Class::KernelExact), |new, at, operands| {
            let mut edit = Edit { stacked: stacked[at].clone(), ..Edit::default() };
            if let Some(Gift { from, nodes }) = &gifts[at]
                && let Some(giver) = &edits[*from]
            {
                for (to, node) in nodes {
                    let i = stacked[*from].iter().position(|n| n == node)?;
                    edit.sliced.push((*to, giver.stacked(new, i)));
                }
            }
            if edit.stacked.is_empty() && edit.sliced.is_empty() {
                return None;
            }
            let edited = families[at].edit(new, operands, &edit)?;
            let results = edited.results(new, &families[at]);
            edits[at] = Some(edited);
            Some(results)
        }))
    }
}
