//! Fuses elementwise operators into regions that run as one loop.
//!
//! ```text
//! %2 = mul %0 %1
//! %3 = exp %2           =>   %2 = fused{…} %0 %1
//! return %3                  return %2
//! ```
//! A region has one result; every other operator in it is used inside only, so nothing is
//! computed twice. Splats become constants of the loop; views, reductions, products and random
//! numbers stay outside. Class: kernel-exact, for the loop applies the same scalar functions in
//! the same order. Cost: O(nodes). Run last, after differentiation: rules do not look into
//! regions.

use pleach_graph::{NodeId, Operator, Rewrite, Traits};
use pleach_ops::{Fused, Graph, Op};
use pleach_tensor::Type;

use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Totals};

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
        Fuse { max_operands: 12, max_size: 40 }
    }
}

fn fusible(op: &Op) -> bool {
    op.traits().has(Traits::ELEMENTWISE)
        && !matches!(op, Op::Custom(_) | Op::Fused(_) | Op::StopGradient(_))
}

impl Fuse {
    /// The region of every node: the node that is its result. Grown from results to operands, in
    /// one sweep down the tape.
    fn regions(&self, g: &Graph) -> Vec<Option<usize>> {
        let n = g.len();
        let live = g.live();
        let mut root: Vec<Option<usize>> = vec![None; n];
        let mut size = vec![0usize; n];
        let mut pinned = vec![false; n];
        for r in g.roots() {
            pinned[r.value.index()] = true;
        }
        // All users of a node come later, so their regions are known when it is looked at.
        let mut users: Vec<Option<Option<usize>>> = vec![None; n];
        let mut operands: Vec<Vec<NodeId>> = vec![Vec::new(); n];
        for i in (0..n).rev().filter(|&i| live[i]) {
            let node = g.node(NodeId::new(i));
            if fusible(&node.op) {
                let joined = match users[i] {
                    Some(Some(region)) if !pinned[i] => {
                        let fits = size[region] < self.max_size
                            && g.ty(NodeId::new(region)).shape() == node.ty.shape()
                            && self.room(g, &operands[region], &node.inputs, NodeId::new(i));
                        fits.then_some(region)
                    }
                    _ => None,
                };
                let region = joined.unwrap_or(i);
                root[i] = Some(region);
                size[region] += 1;
                operands[region].retain(|x| x.index() != i);
                for &x in &node.inputs {
                    if !matches!(g.op(x), Op::Full(_)) && !operands[region].contains(&x) {
                        operands[region].push(x);
                    }
                }
            }
            for x in &node.inputs {
                let u = &mut users[x.index()];
                *u = match (*u, root[i]) {
                    (None, region) => Some(region),
                    (Some(Some(a)), Some(b)) if a == b => Some(Some(a)),
                    _ => Some(None),
                };
            }
        }
        for i in 0..n {
            if root[i].is_some_and(|r| size[r] < 2) {
                root[i] = None;
            }
        }
        root
    }

    /// Are there few enough operands if `id` joins a region, with operands of its own?
    fn room(&self, g: &Graph, region: &[NodeId], inputs: &[NodeId], id: NodeId) -> bool {
        let fresh = |x: &&NodeId| !region.contains(x) && !matches!(g.op(**x), Op::Full(_));
        let kept = region.iter().filter(|&&x| x != id).count();
        kept + inputs.iter().filter(fresh).count() <= self.max_operands
    }
}

impl Pass for Fuse {
    fn name(&self) -> &'static str {
        "fuse"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::KernelExact)
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let root = self.regions(g);
        let mut members: Vec<Vec<NodeId>> = vec![Vec::new(); g.len()];
        for (i, r) in root.iter().enumerate() {
            if let Some(r) = r {
                members[*r].push(NodeId::new(i));
            }
        }
        if members.iter().all(Vec::is_empty) {
            return Ok(Outcome::Unchanged);
        }
        // Interior nodes are recorded in the body only; they stand for their own place meanwhile.
        let mut at: Vec<Option<NodeId>> = vec![None; g.len()];
        let (new, map) = g.rebuild(|new, old, node, _| {
            let i = old.index();
            match root[i] {
                Some(r) if r != i => return Rewrite::Drop,
                None => {
                    let inputs: Option<Vec<NodeId>> =
                        node.inputs.iter().map(|x| at[x.index()]).collect();
                    let Some(inputs) = inputs else { return Rewrite::Drop };
                    let id = new.push(node.op.clone(), &inputs);
                    at[i] = Some(id);
                    return Rewrite::Replace(id);
                }
                Some(_) => {}
            }
            let region = &members[i];
            let inside = |x: NodeId| root[x.index()] == Some(i);
            let mut operands: Vec<NodeId> = Vec::new();
            for &m in region {
                for &x in &g.node(m).inputs {
                    let splat = matches!(g.op(x), Op::Full(_));
                    if !inside(x) && !splat && !operands.contains(&x) {
                        operands.push(x);
                    }
                }
            }
            let types: Vec<Type> = operands.iter().map(|&x| g.ty(x)).collect();
            let outer: Option<Vec<NodeId>> = operands.iter().map(|x| at[x.index()]).collect();
            let Some(outer) = outer else { return Rewrite::Drop };
            let frame = new.frame(&types, |params| {
                let mut local: Vec<(NodeId, NodeId)> =
                    operands.iter().copied().zip(params.iter().copied()).collect();
                let mut last = params.first().copied();
                for &m in region {
                    let member = g.node(m);
                    let find = |x: &NodeId, local: &[(NodeId, NodeId)]| {
                        local.iter().find(|(o, _)| o == x).map(|(_, l)| *l)
                    };
                    let inputs: Vec<NodeId> = member
                        .inputs
                        .iter()
                        .map(|x| find(x, &local).unwrap_or_else(|| new.push(g.op(*x), &[])))
                        .collect();
                    let id = new.push(member.op.clone(), &inputs);
                    local.push((m, id));
                    last = Some(id);
                }
                last.into_iter().collect()
            });
            let fused = frame.ok().and_then(|(body, captures)| {
                (captures.is_empty()).then(|| Fused::new(body).ok()).flatten()
            });
            let id = match fused {
                Some(fused) => new.push(Op::Fused(fused), &outer),
                None => return Rewrite::Drop,
            };
            at[i] = Some(id);
            let gone: Totals =
                region.iter().map(|&m| Totals::of_node(g, m)).fold(Totals::default(), |a, b| a + b);
            cx.applied("region", g, old, Totals::of_node(new, id) - gone);
            Rewrite::Replace(id)
        });
        Ok(Outcome::Changed(new, map))
    }
}
