//! Fuses elementwise operators into regions that run as one loop.
//!
//! ```text
//! %2 = mul %0 %1
//! %3 = exp %2           =>   %2 = fused{…} %0 %1
//! return %3                  return %2
//! ```
//! An operator joins the region of its first user, so nothing is computed twice; what is used
//! elsewhere too is a further result of the region. No path leaves a region and comes back. Regions
//! that update variables and read a value in common are one: a parameter and its slots are read once
//! and written once. Splats become constants of the loop; views, reductions, products and random
//! numbers stay outside. A region of one operator stays as it is. Class: kernel-exact, for the loop
//! applies the same functions in the same order. Cost: O(nodes). Run last, after differentiation:
//! rules do not look into regions.

mod grow;

use std::sync::Arc;

use pleach_graph::{Body, NodeId, Rewrite};
use pleach_ops::{Fused, Graph, Op};
use pleach_tensor::Type;
use smallvec::SmallVec;

use grow::{Units, joined};

use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Totals};

/// Name of the one rule of this pass.
const RULE: &str = "region";

/// Fuses elementwise regions.
#[derive(Clone, Copy, Debug)]
pub struct Fuse {
    /// Most operands of a region: each is a stream that the loop reads.
    pub max_operands: usize,
    /// Most results of a region: each is a stream that the loop writes.
    pub max_results: usize,
    /// Most operators of a region: each keeps a tile in the nearest cache.
    pub max_size: usize,
}

impl Default for Fuse {
    fn default() -> Fuse {
        Fuse { max_operands: 12, max_results: 8, max_size: 64 }
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
fn region(
    g: &Graph,
    new: &Graph,
    members: &[NodeId],
    results: &[NodeId],
) -> Option<(Arc<Body<Op>>, Operands)> {
    let inside = |x: &NodeId| members.contains(x);
    let mut operands = Operands::new();
    for &m in members {
        let outside: Operands = g.node(m).inputs.iter().copied().filter(|x| !inside(x)).collect();
        operands = joined(g, &operands, m, &outside);
    }
    let types: Vec<Type> = operands.iter().map(|&x| g.ty(x)).collect();
    let body = new.frame(&types, |params| {
        let mut at: Vec<(NodeId, NodeId)> =
            operands.iter().copied().zip(params.iter().copied()).collect();
        for &m in members {
            let node = g.node(m);
            let local = |x: &NodeId| {
                let found = at.iter().find(|(old, _)| old == x);
                found.map_or_else(|| new.push(g.op(*x), &[]), |(_, local)| *local)
            };
            let inputs: SmallVec<[NodeId; 4]> = node.inputs.iter().map(local).collect();
            let id = new.push(node.op.clone(), &inputs);
            at.push((m, id));
        }
        let local = |x: &NodeId| at.iter().find(|(old, _)| old == x).map(|(_, local)| *local);
        results.iter().filter_map(local).collect()
    });
    let (body, captured) = body.ok()?;
    debug_assert!(captured.is_empty(), "a region takes all that it uses as operands");
    Some((body, operands))
}

impl Pass for Fuse {
    fn name(&self) -> &'static str {
        "fuse"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::KernelExact)
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        if !cx.may(RULE, Class::KernelExact) {
            return Ok(Outcome::Unchanged);
        }
        let (units, regions) = self.regions(g, cx);
        let mut members: Vec<Vec<NodeId>> = vec![Vec::new(); g.len()];
        for (i, r) in regions.iter().enumerate() {
            r.iter().for_each(|&r| members[r].push(NodeId::new(i)));
        }
        if members.iter().all(Vec::is_empty) {
            return Ok(Outcome::Unchanged);
        }
        let used = results(g, &regions);
        let mut at: Vec<Option<NodeId>> = vec![None; g.len()];
        // Regions that stay apart, for no more rewrites are allowed.
        let mut apart = vec![false; g.len()];
        let (new, map) = g.rebuild_in(units.order(), |new, old, node, inputs| {
            let i = old.index();
            if let Some(r) = regions[i] {
                apart[r] |= members[r][0] == old && !cx.may(RULE, Class::KernelExact);
            }
            match regions[i].filter(|&r| !apart[r]) {
                None => {
                    // Only what is dead can use the inside of a region.
                    let dead = inputs.iter().any(|x| x.is_poisoned());
                    at[i] = (!dead).then(|| new.push(node.op.clone(), inputs));
                }
                // All results of a region are recorded when its first operator is met.
                Some(r) if members[r][0] == old => {
                    let members = &members[r];
                    let results: Vec<NodeId> =
                        members.iter().copied().filter(|m| used[m.index()]).collect();
                    let start = new.len();
                    if record(g, new, members, &results, &mut at).is_some() {
                        let gone: Totals = members.iter().map(|&m| Totals::of_node(g, m)).sum();
                        cx.applied(RULE, g, old, Totals::since(new, start) - gone);
                    }
                }
                Some(_) => {}
            }
            at[i].map_or(Rewrite::Drop, Rewrite::Replace)
        });
        Ok(Outcome::Changed(new, map))
    }
}

/// Records the region of these operators, and notes in `at` where its results went.
fn record(
    g: &Graph,
    new: &Graph,
    members: &[NodeId],
    results: &[NodeId],
    at: &mut [Option<NodeId>],
) -> Option<()> {
    let (body, operands) = region(g, new, members, results)?;
    let outer: Operands = operands.iter().map(|x| at[x.index()]).collect::<Option<_>>()?;
    for (i, result) in results.iter().enumerate() {
        let _at = new.at_origin(g.origin(*result));
        let fused = Fused::new(body.clone(), i).ok()?;
        at[result.index()] = Some(new.push(Op::Fused(fused), &outer));
    }
    Some(())
}
