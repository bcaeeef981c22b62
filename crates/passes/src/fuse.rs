//! Fuses elementwise operators into regions that run as one loop.
//!
//! ```text
//! %2 = mul %0 %1
//! %3 = exp %2           =>   %2 = fused{…} %0 %1
//! return %3                  return %2
//! ```
//! A region has one result; every other operator in it is used inside only, so nothing is
//! computed twice, and no path leaves a region and comes back. Splats become constants of the
//! loop; views, reductions, products and random numbers stay outside, and so do outputs, but as
//! results of regions. A region of one operator stays as it is. Class: kernel-exact, for the loop
//! applies the same functions in the same order. Cost: O(nodes). Run last, after differentiation:
//! rules do not look into regions.

use pleach_graph::{NodeId, Operator, Rewrite, Traits};
use pleach_ops::{Fused, Graph, Op};
use pleach_tensor::Type;
use smallvec::SmallVec;

use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Totals};

/// Name of the one rule of this pass.
const RULE: &str = "region";

/// Fuses elementwise regions.
#[derive(Clone, Copy, Debug)]
pub struct Fuse {
    /// Most operands of a region: each is a stream that the loop reads.
    pub max_operands: usize,
    /// Most operators of a region: each keeps a tile in the nearest cache.
    pub max_size: usize,
}

impl Default for Fuse {
    fn default() -> Fuse {
        Fuse { max_operands: 12, max_size: 64 }
    }
}

/// Operands of a region, in order of first use.
type Operands = SmallVec<[NodeId; 12]>;

/// Where the live users of a node are.
#[derive(Clone, Copy, PartialEq)]
enum Users {
    None,
    /// All in the region with this result.
    In(usize),
    /// Not all in one region.
    Mixed,
}

fn fusible(op: &Op) -> bool {
    op.traits().has(Traits::ELEMENTWISE) && {
        let identity = matches!(op, Op::StopGradient(_) | Op::StraightThrough(_));
        !identity && !matches!(op, Op::Custom(_))
    }
}

fn is_splat(g: &Graph, id: NodeId) -> bool {
    matches!(g.node(id).op, Op::Full(_))
}

/// The operands of a region after operator `id` of `inputs` joined it.
fn joined(g: &Graph, region: &Operands, id: NodeId, inputs: &[NodeId]) -> Operands {
    let mut operands: Operands = region.iter().copied().filter(|&x| x != id).collect();
    for &x in inputs {
        if !is_splat(g, x) && !operands.contains(&x) {
            operands.push(x);
        }
    }
    operands
}

impl Fuse {
    /// For every node, the result of the region that it is in. Regions grow from results to
    /// operands, in one sweep down the tape: all users of a node are known when it is looked at.
    fn regions(&self, g: &Graph, cx: &mut PassCx<'_>) -> Vec<Option<usize>> {
        let n = g.len();
        let live = g.live();
        let mut region: Vec<Option<usize>> = vec![None; n];
        let mut users = vec![Users::None; n];
        let mut sizes = vec![0usize; n];
        let mut operands: Vec<Operands> = vec![Operands::new(); n];
        g.roots().iter().for_each(|root| users[root.value.index()] = Users::Mixed);
        for id in g.ids().rev().filter(|id| live[id.index()]) {
            let (i, node) = (id.index(), g.node(id));
            cx.step(1 + node.inputs.len() as u64);
            if fusible(&node.op) {
                let fits = |r: usize| {
                    let of = joined(g, &operands[r], id, &node.inputs);
                    let alike = g.node(NodeId::new(r)).ty.shape() == node.ty.shape();
                    let room = sizes[r] < self.max_size && of.len() <= self.max_operands;
                    (alike && room).then_some((r, of))
                };
                let grown = if let Users::In(r) = users[i] { fits(r) } else { None };
                let (r, of) =
                    grown.unwrap_or_else(|| (i, joined(g, &Operands::new(), id, &node.inputs)));
                (region[i], operands[r]) = (Some(r), of);
                sizes[r] += 1;
            }
            for x in &node.inputs {
                let user = region[i].map_or(Users::Mixed, Users::In);
                let known = &mut users[x.index()];
                *known = if *known == Users::None || *known == user { user } else { Users::Mixed };
            }
        }
        // What is not worth a loop of its own, or beyond the number of rewrites asked for.
        let mut left = cx.max_rewrites.unwrap_or(n);
        let mut good = vec![false; n];
        for r in 0..n {
            good[r] = sizes[r] >= 2 && !operands[r].is_empty() && left > 0;
            left -= usize::from(good[r]);
        }
        region.iter().map(|r| r.filter(|&r| good[r])).collect()
    }
}

/// The region of these operators, the last of which is its result, and its operands.
fn region(g: &Graph, new: &Graph, members: &[NodeId]) -> Option<(Fused, Operands)> {
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
        at.last().map(|(_, result)| *result).into_iter().collect()
    });
    let (body, captured) = body.ok()?;
    debug_assert!(captured.is_empty(), "a region takes all that it uses as operands");
    Some((Fused::new(body).ok()?, operands))
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
        let regions = self.regions(g, cx);
        let mut members: Vec<Vec<NodeId>> = vec![Vec::new(); g.len()];
        for (i, r) in regions.iter().enumerate() {
            r.iter().for_each(|&r| members[r].push(NodeId::new(i)));
        }
        if members.iter().all(Vec::is_empty) {
            return Ok(Outcome::Unchanged);
        }
        let mut at: Vec<Option<NodeId>> = vec![None; g.len()];
        let (new, map) = g.rebuild(|new, old, node, inputs| {
            let i = old.index();
            if regions[i].is_some_and(|r| r != i) {
                return Rewrite::Drop;
            }
            let id = if regions[i].is_none() {
                // Only what is dead can use the inside of a region.
                let dead = inputs.iter().any(|x| x.is_poisoned());
                (!dead).then(|| new.push(node.op.clone(), inputs))
            } else {
                region(g, new, &members[i]).and_then(|(fused, operands)| {
                    let outer: Option<Operands> = operands.iter().map(|x| at[x.index()]).collect();
                    let start = new.len();
                    let id = new.push(Op::Fused(fused), &outer?);
                    let gone: Totals = members[i].iter().map(|&m| Totals::of_node(g, m)).sum();
                    cx.applied(RULE, g, old, Totals::since(new, start) - gone);
                    Some(id)
                })
            };
            at[i] = id;
            id.map_or(Rewrite::Drop, Rewrite::Replace)
        });
        Ok(Outcome::Changed(new, map))
    }
}
