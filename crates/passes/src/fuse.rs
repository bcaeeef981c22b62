//! Fuses elementwise operators into regions that run as one loop.
//!
//! ```text
//! %2 = mul %0 %1
//! %3 = exp %2           =>   %2 = fused{…} %0 %1
//! return %3                  return %2
//! ```
//! An operator joins the region of its first user; what is used elsewhere too is a further result of
//! the region, or computed again where it is read, if that is quicker. What an earlier region can compute of a later
//! one goes there, if less is kept between them then. No path leaves a region and comes back. Regions
//! that update variables and read a value in common are one: a parameter and its slots are read once
//! and written once. Splats become constants of the loop; views, reductions, products and random
//! numbers stay outside. A region of one operator stays as it is. Class: kernel-exact, for the loop
//! applies the same functions in the same order. Cost: O(nodes). Run last, after differentiation:
//! rules do not look into regions.

mod again;
mod ahead;
mod grow;

use std::sync::Arc;

use pleach_graph::{Body, NodeId, Rewrite};
use pleach_ops::{Fused, Graph, Op};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use again::Again;
use ahead::Ahead;
pub(crate) use grow::fusible;
use grow::{Units, is_splat};

use crate::{Class, Classes, Delta, Outcome, Pass, PassCx, PassError, Totals};

/// Names of the rules of this pass.
const RULE: &str = "region";
const AGAIN: &str = "recompute";
const AHEAD: &str = "ahead";

/// Fuses elementwise regions.
#[derive(Clone, Copy, Debug)]
pub struct Fuse {
    /// Most operands of a region: each is a stream that the loop reads.
    pub max_operands: usize,
    /// Most results of a region: each is a stream that the loop writes.
    pub max_results: usize,
    /// Most operators of a region: each keeps a tile in the nearest cache.
    pub max_size: usize,
    /// Bytes of a value from which on a region may compute it again instead of reading it.
    pub recompute_from: usize,
}

impl Default for Fuse {
    fn default() -> Fuse {
        Fuse { max_operands: 12, max_results: 8, max_size: 64, recompute_from: 1 << 20 }
    }
}

/// Operands of a region, in order of first use.
type Operands = SmallVec<[NodeId; 12]>;

impl Fuse {
    /// The units of the graph, and for every node the region that it is in.
    fn regions<'g>(&self, g: &'g Graph, cx: &mut PassCx<'_>) -> (Units<'g>, Vec<Option<usize>>) {
        let units = Units::grow(g, *self, cx);
        // What is not worth a loop of its own, or beyond the number of rewrites asked for.
        let mut left = cx.max_rewrites.unwrap_or(g.len());
        let mut good = vec![false; g.len()];
        for id in g.ids().filter(|&id| units.unit(id) == Some(id.index())) {
            let (size, operands) = units.extent(id.index());
            good[id.index()] = size >= 2 && operands > 0 && left > 0;
            left -= usize::from(good[id.index()]);
        }
        let region = |id| units.unit(id).filter(|&u| good[u]);
        let regions = g.ids().map(region).collect();
        (units, regions)
    }
}

/// For every node, whether its value is used outside of its region.
fn results(g: &Graph, regions: &[Option<usize>]) -> Vec<bool> {
    let live = g.live();
    let mut used = vec![false; g.len()];
    g.roots().iter().for_each(|root| used[root.value.index()] = true);
    for id in g.ids().filter(|id| live[id.index()]) {
        for x in &g.node(id).inputs {
            used[x.index()] |= regions[id.index()] != regions[x.index()];
        }
    }
    used
}

/// The region of these operators, with the values of some of them as results, and its operands.
fn region(g: &Graph, members: &[NodeId], results: &[NodeId]) -> Option<(Body<Op>, Operands)> {
    let mut operands = Operands::new();
    // The operators, each after the splats that are first used by it.
    let mut all: SmallVec<[NodeId; 64]> = SmallVec::new();
    for &m in members {
        for x in &g.node(m).inputs {
            let is_new = !all.contains(x) && !members.contains(x) && !operands.contains(x);
            match (is_new, is_splat(g, *x)) {
                (true, true) => all.push(*x),
                (true, false) => operands.push(*x),
                (false, _) => {}
            }
        }
        all.push(m);
    }
    Some((Body::of_nodes(g, &operands, &all, results)?, operands))
}

impl Pass for Fuse {
    fn name(&self) -> &'static str {
        "fuse"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::KernelExact)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE, AGAIN, AHEAD]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        if !cx.may(RULE, Class::KernelExact) {
            return Ok(Outcome::Unchanged);
        }
        let (units, mut regions) = self.regions(g, cx);
        let mut members: Vec<Vec<NodeId>> = vec![Vec::new(); g.len()];
        for (i, r) in regions.iter().enumerate() {
            r.iter().for_each(|&r| members[r].push(NodeId::new(i)));
        }
        let mut ahead = Vec::new();
        if cx.may(AHEAD, Class::KernelExact) {
            let count = regions.iter().enumerate().filter(|(i, r)| **r == Some(*i)).count();
            let most = cx.max_rewrites.map_or(usize::MAX, |left| left.saturating_sub(count));
            ahead = Ahead::new(g, *self).find(&mut regions, &mut members, most, cx);
        }
        if members.iter().all(Vec::is_empty) {
            return Ok(Outcome::Unchanged);
        }
        let mut used = results(g, &regions);
        let (mut copies, mut again) = (Vec::new(), Vec::new());
        if cx.may(AGAIN, Class::KernelExact) {
            let count = members.iter().filter(|members| !members.is_empty()).count();
            let done = count + ahead.len();
            let most = cx.max_rewrites.map_or(usize::MAX, |left| left.saturating_sub(done));
            (again, copies) = Again::find(g, *self, &units, &regions, &used, most, cx);
        }
        if !again.is_empty() {
            used = needed(g, &regions, &mut members, &mut copies);
        }
        let mut at: Vec<Option<NodeId>> = vec![None; g.len()];
        let mut bodies = FxHashSet::default();
        // Regions that stay apart, for no more rewrites are allowed.
        let mut apart = vec![false; g.len()];
        let (new, map) = g.rebuild_in(units.order(&regions), |new, old, node, inputs| {
            let i = old.index();
            if let Some(r) = regions[i] {
                apart[r] |= members[r].first() == Some(&old) && !cx.may(RULE, Class::KernelExact);
            }
            match regions[i].filter(|&r| !apart[r]) {
                None => {
                    // Only what is dead can use the inside of a region.
                    let dead = inputs.iter().any(|x| x.is_poisoned());
                    at[i] = (!dead).then(|| new.push(node.op.clone(), inputs));
                }
                // All results of a region are recorded when its first operator is met.
                Some(r) if members[r].first() == Some(&old) => {
                    let members = &members[r];
                    let results: Vec<NodeId> =
                        members.iter().copied().filter(|m| used[m.index()]).collect();
                    let start = new.len();
                    let copies = copies.get(r).map_or(&[][..], Vec::as_slice);
                    let mut inside = [&members[..], copies].concat();
                    inside.sort_unstable();
                    if record(g, new, &inside, &results, &mut at, &mut bodies).is_some() {
                        let gone: Totals = members.iter().map(|&m| Totals::of_node(g, m)).sum();
                        cx.applied(RULE, g, old, Totals::since(new, start) - gone);
                    }
                }
                Some(_) => {}
            }
            at[i].map_or(Rewrite::Drop, Rewrite::Replace)
        });
        again.into_iter().for_each(|x| cx.applied(AGAIN, g, x, Delta::default()));
        ahead.into_iter().for_each(|x| cx.applied(AHEAD, g, x, Delta::default()));
        Ok(Outcome::Changed(new, map))
    }
}

/// Leaves in `members` and `copies`, by region, what something needs; says for every node whether its
/// value is used outside of its region.
fn needed(
    g: &Graph,
    regions: &[Option<usize>],
    members: &mut [Vec<NodeId>],
    copies: &mut [Vec<NodeId>],
) -> Vec<bool> {
    let live = g.live();
    let mut copied: FxHashMap<NodeId, Vec<usize>> = FxHashMap::default();
    for (r, copies) in copies.iter().enumerate() {
        copies.iter().for_each(|&x| copied.entry(x).or_default().push(r));
    }
    let (mut own, mut used) = (vec![false; g.len()], vec![false; g.len()]);
    let mut wanted: FxHashSet<(usize, NodeId)> = FxHashSet::default();
    for root in g.roots() {
        (own[root.value.index()], used[root.value.index()]) = (true, true);
    }
    for id in g.ids().rev().filter(|id| live[id.index()]) {
        let (i, node) = (id.index(), g.node(id));
        // Regions, or none, in which it is computed.
        let mut places: Vec<Option<usize>> = if own[i] { vec![regions[i]] } else { vec![] };
        let others = copied.get(&id).into_iter().flatten();
        places.extend(others.filter(|&&r| wanted.contains(&(r, id))).map(|&r| Some(r)));
        for (place, x) in places.iter().flat_map(|p| node.inputs.iter().map(move |x| (p, x))) {
            let inside = place.is_some() && regions[x.index()] == *place;
            match place {
                Some(r) if !inside && copies[*r].contains(x) => {
                    wanted.insert((*r, *x));
                }
                _ => {
                    own[x.index()] = true;
                    used[x.index()] |= !inside;
                }
            }
        }
    }
    members.iter_mut().for_each(|members| members.retain(|m| own[m.index()]));
    for (r, copies) in copies.iter_mut().enumerate() {
        copies.retain(|&x| wanted.contains(&(r, x)));
    }
    used
}

/// Records the region of these operators, and notes in `at` where its results went. Equal regions have one
/// of the `bodies`.
fn record(
    g: &Graph,
    new: &Graph,
    members: &[NodeId],
    results: &[NodeId],
    at: &mut [Option<NodeId>],
    bodies: &mut FxHashSet<Arc<Body<Op>>>,
) -> Option<()> {
    let (body, operands) = region(g, members, results)?;
    let body = bodies.get(&body).cloned().unwrap_or_else(|| {
        let body = Arc::new(body);
        bodies.insert(body.clone());
        body
    });
    let outer: Operands = operands.iter().map(|x| at[x.index()]).collect::<Option<_>>()?;
    for (i, result) in results.iter().enumerate() {
        let _at = new.at_origin(g.origin(*result));
        let fused = Fused::new(body.clone(), i).ok()?;
        at[result.index()] = Some(new.push(Op::Fused(fused), &outer));
    }
    Some(())
}
