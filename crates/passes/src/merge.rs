//! Products with a common operand become one product.
//!
//! ```text
//! %2 = matmul %x %a : [32, 128]       %2 = concat(axis:1) %a %b
//! %3 = matmul %x %b : [32, 128]   =>  %3 = matmul %x %2 : [32, 256], of which both are slices
//! ```
//! So do products with a common right operand, row by row: what an unrolled network does at every
//! step, with slices of one value, is one product before them all. None of the products needs another:
//! each has as many products on the longest path to it.
//!
//! What is concatenated is written and read once more, unless it is *fixed*, made of constants and
//! variables that the step does not assign: a plan computes that once. It must cost less than half of
//! what is saved, the common operand read once instead of each time, and that must be much larger than
//! each product: a product that is read where it was written is in the cache, a part of many is not.
//! Slices of one value along one axis are that value, seen as a matrix. Nothing is joined that takes more
//! than `max_bytes`. Class: rounding, for kernels may add up wide and narrow products in different orders.
//! Cost: O(nodes), and sorting groups. Run after [`hoist`](crate::Hoist) and
//! [`simplify`](crate::Simplify), before [`fuse`](crate::Fuse).

pub(crate) mod group;

use std::collections::{HashMap, HashSet};

use pleach_graph::{Node, NodeId};
use pleach_ops::{Graph, Op};

use crate::claims::{live_uses, replace};
use crate::fixed::fixed;
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError};
use group::{Common, Group};

/// Names of the rules of this pass.
const LEFT: &str = "common_left";
const RIGHT: &str = "common_right";

/// Joins products with a common operand.
#[derive(Clone, Copy, Debug)]
pub struct Merge {
    /// Most bytes that joined products take, for all of them live as long as one.
    pub max_bytes: usize,
    /// Times the bytes of each product that the common operand must have.
    pub large: u64,
}

impl Default for Merge {
    fn default() -> Merge {
        Merge { max_bytes: 64 << 20, large: 16 }
    }
}

impl Pass for Merge {
    fn name(&self) -> &'static str {
        "merge"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![LEFT, RIGHT]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        let levels = levels(g);
        let groups = self.groups(g, &levels, cx);
        if groups.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let member: HashMap<NodeId, (usize, usize)> = groups
            .iter()
            .enumerate()
            .flat_map(|(at, group)| {
                group.members.iter().enumerate().map(move |(i, &id)| (id, (at, i)))
            })
            .collect();
        let starts: Vec<Vec<usize>> = groups.iter().map(|group| group.starts(g)).collect();
        let mut products: Vec<Option<NodeId>> = vec![None; groups.len()];
        Ok(replace(g, order(g, &groups, &member), cx, |new, old, places, cx| {
            let &(at, i) = member.get(&old)?;
            let group = &groups[at];
            if !cx.may(group.rule(), Class::Rounding) {
                return None;
            }
            let product = match products[at] {
                Some(product) => product,
                None => group.product(g, new, places)?,
            };
            products[at] = Some(product);
            Some((group.rule(), group.part(new, product, i, &starts[at])?))
        }))
    }
}

impl Merge {
    /// What is joined: no product twice, what saves most first.
    fn groups(&self, g: &Graph, levels: &[u32], cx: &mut PassCx<'_>) -> Vec<Group> {
        let (uses, fixed) = (live_uses(g), fixed(g));
        // In order of the first product, so that nothing depends on hashes.
        let (mut found, mut candidates) = (HashMap::new(), Vec::<Group>::new());
        for id in g.ids().filter(|id| uses[id.index()] > 0) {
            let node = g.node(id);
            if !is_product(&node) {
                continue;
            }
            for common in [Common::Left, Common::Right] {
                let Some(key) = group::key(g, &node, common) else { continue };
                let at = *found.entry((key, levels[id.index()])).or_insert_with(|| {
                    candidates.push(Group::new(common));
                    candidates.len() - 1
                });
                candidates[at].members.push(id);
            }
        }
        candidates.iter_mut().for_each(|group| group.find_steps(g));
        candidates.retain(|group| group.members.len() > 1);
        let mut groups: Vec<(u64, Group)> = candidates
            .into_iter()
            .filter_map(|group| Some((self.saved(g, &fixed, &group, cx)?, group)))
            .collect();
        groups.sort_by_key(|(saved, group)| (std::cmp::Reverse(*saved), group.members[0]));
        let mut taken: HashSet<NodeId> = HashSet::new();
        groups.retain(|(_, group)| {
            let free = group.members.iter().all(|id| !taken.contains(id));
            if free {
                taken.extend(&group.members);
            }
            free
        });
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// The bytes that a group saves, if it should be joined.
    fn saved(&self, g: &Graph, fixed: &[bool], group: &Group, cx: &mut PassCx<'_>) -> Option<u64> {
        let why = match group.bytes(g, fixed) {
            None => "they are too large",
            Some(bytes) if bytes.taken > self.max_bytes as u64 => "it takes too much memory",
            Some(bytes) if bytes.spent.saturating_mul(2) >= bytes.saved => {
                "putting operands together costs more than it saves"
            }
            Some(bytes) if bytes.shared < bytes.largest.saturating_mul(self.large) => {
                "the common operand is small"
            }
            Some(bytes) => return Some(bytes.saved - bytes.spent),
        };
        cx.skip(group.rule(), g, group.members[0], why);
        None
    }
}

/// The nodes in order, but that what any product of a group needs comes before the first of them. That
/// needs none of them: levels see to it.
fn order(g: &Graph, groups: &[Group], member: &HashMap<NodeId, (usize, usize)>) -> Vec<NodeId> {
    let (mut done, mut begun) = (vec![false; g.len()], vec![false; groups.len()]);
    let (mut order, mut todo) = (Vec::with_capacity(g.len()), Vec::new());
    for id in g.ids() {
        todo.push((id, false));
        while let Some((id, ready)) = todo.pop() {
            if done[id.index()] {
                continue;
            }
            if ready {
                done[id.index()] = true;
                order.push(id);
                continue;
            }
            todo.push((id, true));
            let mut need = |id: NodeId| {
                let operands = g.peek(id, |node| node.inputs.clone()).unwrap_or_default();
                todo.extend(operands.iter().filter(|x| !done[x.index()]).map(|&x| (x, false)));
            };
            match member.get(&id) {
                Some(&(at, _)) if !std::mem::replace(&mut begun[at], true) => {
                    groups[at].members.iter().for_each(|&id| need(id));
                }
                _ => need(id),
            }
        }
    }
    order
}

/// Is this a product of floats?
fn is_product(node: &Node<Op>) -> bool {
    matches!(node.op, Op::MatMul(_)) && node.ty.dtype().is_float() && node.ty.numel() > 0
}

/// For every node, the products on the longest path up to it, itself included.
fn levels(g: &Graph) -> Vec<u32> {
    let mut levels = vec![0; g.len()];
    for id in g.ids() {
        levels[id.index()] = g
            .peek(id, |node| {
                let before = node.inputs.iter().map(|x| levels[x.index()]).max();
                before.unwrap_or(0) + u32::from(is_product(node))
            })
            .unwrap_or(0);
    }
    levels
}
