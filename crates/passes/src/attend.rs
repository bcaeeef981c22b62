//! Attention becomes one region, and its gradient another: scores never reach memory.
//!
//! ```text
//! %5 = matmul %q %kt
//!  …   scale, mask, softmax           =>   %9 = fused{…} %q %kt %v
//! %9 = matmul %8 %v
//! ```
//! Nothing is recognized by hand. [`AttentionRegion`] records what [`Attention`](pleach_ops::Attention)
//! does, and what its gradient does, over the operands that are there: as equal nodes are one, the
//! graph answers with the nodes that it has, or appends to a copy that is thrown away. The gradient's
//! region computes the weights again, so they need not be kept. Class: rounding. What no query sees
//! counts for nothing in the region, where the product adds 0 times it: a NaN there does not spread.
//! Fires where all that is inside is used inside alone, a head fits in the caches, and the price goes
//! down. Cost: O(nodes). Run before all that makes the recorded form another one, after
//! [`prune`](crate::Prune).

use std::sync::Arc;

use pleach_graph::{Body, NodeId, NodeMap, Rewrite};
use pleach_ops::{AttentionRegion, Fused, Graph, Op};
use pleach_tensor::Type;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Price, Totals};

/// Name of the one rule of this pass.
const RULE: &str = "attention";
/// Most operators between weights and scores, and of a whole attention.
const MOST: usize = 200;

/// Makes regions of attention.
#[derive(Clone, Copy, Debug)]
pub struct Attend {
    /// Most keys of a head.
    pub max_keys: usize,
    /// Widest keys and values.
    pub max_width: usize,
    /// Most bytes of the keys, or of the values, of a head.
    pub max_bytes: usize,
}

impl Default for Attend {
    fn default() -> Attend {
        Attend { max_keys: 1024, max_width: 128, max_bytes: 128 << 10 }
    }
}

/// A region that is there, node by node.
#[derive(Debug)]
struct Found {
    body: Arc<Body<Op>>,
    operands: Vec<NodeId>,
    /// The nodes that are results, and which.
    results: Vec<(NodeId, usize)>,
}

/// A graph, a copy to record in, and who uses what.
struct Search<'g> {
    g: &'g Graph,
    copy: Graph,
    live: Vec<bool>,
    users: Vec<Vec<NodeId>>,
    asked: FxHashSet<NodeId>,
}

impl<'g> Search<'g> {
    fn new(g: &'g Graph) -> Option<Search<'g>> {
        let (copy, map) = g.rebuild(|_, _, _, _| Rewrite::Keep);
        let (live, mut users) = (g.live(), vec![Vec::new(); g.len()]);
        for id in g.ids().filter(|id| live[id.index()]) {
            g.peek(id, |node| node.inputs.iter().for_each(|x| users[x.index()].push(id)));
        }
        let asked = g.roots().iter().map(|root| root.value).collect();
        let same = map == NodeMap::identity(g.len());
        same.then_some(Search { g, copy, live, users, asked })
    }

    /// The region of this attention over these operands, if any of its results is there.
    fn found(&self, region: AttentionRegion, operands: &[NodeId]) -> Option<Found> {
        let types: Vec<Type> = operands.iter().map(|&x| self.g.ty(x)).collect();
        let body = region.body(&types)?;
        let ids = body.instantiate(&self.copy, operands).into_iter().zip(0..);
        let here = |id: NodeId| self.live.get(id.index()).is_some_and(|live| *live);
        let results: Vec<(NodeId, usize)> = ids.filter(|(id, _)| here(*id)).collect();
        (!results.is_empty()).then(|| Found { body, operands: operands.to_vec(), results })
    }

    /// The attention whose result is this node, and its gradients.
    fn attention(&self, limits: &Attend, y: NodeId) -> Option<Vec<Found>> {
        let &[weights, v] = &self.g.node(y).inputs[..] else { return None };
        let (scores, numbers) = self.under(weights)?;
        let &[q, kt] = &self.g.node(scores).inputs[..] else { return None };
        let operands = [q, kt, v];
        if !limits.admit(operands.map(|x| self.g.ty(x))) {
            return None;
        }
        let is_y = |found: &Found| found.results == [(y, 0)];
        let mut regions = AttentionRegion::candidates(numbers.into_iter(), false);
        let forward = |region| Some((region, self.found(region, &operands).filter(is_y)?));
        let (region, forward) = regions.find_map(forward)?;
        let mut all = vec![forward];
        // What goes to v is a product of the weights and what came for y.
        let columns = self.users[weights.index()].iter();
        for &columns in columns.filter(|&&id| matches!(self.g.op(id), Op::Permute(_))) {
            for &dv in &self.users[columns.index()] {
                let node = self.g.node(dv);
                let (Op::MatMul(_), &[a, dy]) = (&node.op, &node.inputs[..]) else { continue };
                if a == columns && self.g.ty(dy) == self.g.ty(y) {
                    let gradient = AttentionRegion { gradient: true, ..region };
                    all.extend(self.found(gradient, &[q, kt, v, dy]));
                }
            }
        }
        Some(all)
    }

    /// The product that these weights are computed from, and the numbers on the way.
    fn under(&self, weights: NodeId) -> Option<(NodeId, Vec<f64>)> {
        let (mut work, mut seen) = (vec![weights], FxHashSet::default());
        let (mut products, mut numbers) = (Vec::new(), Vec::new());
        while let Some(id) = work.pop() {
            if seen.len() > MOST {
                return None;
            }
            if !seen.insert(id) {
                continue;
            }
            let node = self.g.node(id);
            match &node.op {
                Op::MatMul(_) => products.push(id),
                Op::Full(full) => numbers.push(full.value()),
                _ => work.extend(&node.inputs),
            }
        }
        (products.len() == 1).then(|| (products[0], numbers))
    }

    /// The nodes that all of this takes the place of, if nothing else uses what is inside.
    fn inside(&self, all: &[Found]) -> Result<Vec<NodeId>, &'static str> {
        let stop: FxHashSet<NodeId> = all.iter().flat_map(|f| &f.operands).copied().collect();
        let results: FxHashSet<NodeId> =
            all.iter().flat_map(|f| &f.results).map(|&(id, _)| id).collect();
        let (mut work, mut seen) =
            (results.iter().copied().collect::<Vec<_>>(), FxHashSet::default());
        while let Some(id) = work.pop() {
            if seen.len() > MOST {
                return Err("it is too large");
            }
            if (results.contains(&id) || !stop.contains(&id)) && seen.insert(id) {
                work.extend(&self.g.node(id).inputs);
            }
        }
        // Of these, what depends on an operand: masks do not.
        let mut nodes: Vec<NodeId> = seen.into_iter().collect();
        nodes.sort_by_key(|id| id.index());
        let mut inside: FxHashSet<NodeId> = FxHashSet::default();
        for &id in &nodes {
            if self.g.node(id).inputs.iter().any(|x| stop.contains(x) || inside.contains(x)) {
                inside.insert(id);
            }
        }
        nodes.retain(|id| inside.contains(id));
        let kept = |id: &&NodeId| !results.contains(id);
        let used = |id: &NodeId| {
            self.asked.contains(id) || self.users[id.index()].iter().any(|u| !inside.contains(u))
        };
        match nodes.iter().filter(kept).any(used) {
            true => Err("what is inside is used elsewhere"),
            false => Ok(nodes),
        }
    }

    /// Does the region cost less than the nodes?
    fn pays(&self, all: &[Found], nodes: &[NodeId]) -> bool {
        let sum = |prices: &mut dyn Iterator<Item = Price>| {
            prices.fold(Price::default(), |sum, price| sum + price)
        };
        let price = |found: &Found| {
            let types: Vec<Type> = found.operands.iter().map(|&x| self.g.ty(x)).collect();
            let fused = Fused::new(found.body.clone(), 0).ok()?;
            let ty = found.body.result_types().next()?.clone();
            let types: Vec<&Type> = types.iter().collect();
            Some(Price::of(&Op::Fused(fused), &types, &vec![false; types.len()], &ty))
        };
        sum(&mut all.iter().filter_map(price))
            < sum(&mut nodes.iter().map(|&id| Price::of_node(self.g, id)))
    }
}

impl Attend {
    /// Are these types of queries, keys in columns and values within the limits?
    fn admit(&self, [q, kt, v]: [Type; 3]) -> bool {
        let rank = q.rank();
        let lead = |ty: &Type| ty.rank() == rank && ty.shape()[..rank - 2] == q.shape()[..rank - 2];
        if rank < 2 || !q.dtype().is_wide() || !lead(&kt) || !lead(&v) {
            return false;
        }
        let (keys, widths) = (kt.shape()[rank - 1], [q.shape()[rank - 1], v.shape()[rank - 1]]);
        let widest = widths[0].max(widths[1]);
        // Rows of whole vectors.
        let bytes = keys.next_multiple_of(16).saturating_mul(widest) * q.dtype().size();
        keys <= self.max_keys && widest <= self.max_width && bytes <= self.max_bytes
    }
}

impl Pass for Attend {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        // A product with quotients.
        let mixes = |id: &NodeId| {
            let node = g.node(*id);
            let first = matches!(node.op, Op::MatMul(_)).then(|| node.inputs[0]);
            first.is_some_and(|x| matches!(g.op(x), Op::Div(_)))
        };
        let mixed: Vec<NodeId> = g.ids().filter(mixes).collect();
        if mixed.is_empty() || !cx.may(RULE, Class::Rounding) {
            return Ok(Outcome::Unchanged);
        }
        let Some(search) = Search::new(g) else { return Ok(Outcome::Unchanged) };
        let mut at: FxHashMap<NodeId, (Arc<Found>, usize)> = FxHashMap::default();
        for y in mixed.into_iter().filter(|y| search.live[y.index()]) {
            cx.step(MOST as u64);
            let Some(all) = search.attention(self, y) else { continue };
            let nodes = match search.inside(&all) {
                Ok(nodes) if search.pays(&all, &nodes) => nodes,
                Ok(_) => {
                    cx.skip(RULE, g, y, "it costs more");
                    continue;
                }
                Err(why) => {
                    cx.skip(RULE, g, y, why);
                    continue;
                }
            };
            if nodes.iter().any(|id| at.contains_key(id)) {
                continue;
            }
            for found in all.into_iter().map(Arc::new) {
                at.extend(found.results.iter().map(|&(id, i)| (id, (found.clone(), i))));
            }
        }
        if at.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let mut ids: Vec<Option<NodeId>> = vec![None; g.len()];
        let (new, map) = g.rebuild(|new, old, node, inputs| {
            let start = new.len();
            let region = at.get(&old).filter(|_| cx.may(RULE, Class::Rounding));
            let region = region.and_then(|(found, result)| {
                let fused = Fused::new(found.body.clone(), *result).ok()?;
                let operands = found.operands.iter().map(|x| ids[x.index()]);
                Some(new.push(Op::Fused(fused), &operands.collect::<Option<Vec<_>>>()?))
            });
            if region.is_some() {
                cx.applied(RULE, g, old, Totals::since(new, start) - Totals::of_node(g, old));
            }
            let id = region.unwrap_or_else(|| new.push(node.op.clone(), inputs));
            ids[old.index()] = Some(id);
            Rewrite::Replace(id)
        });
        Ok(Outcome::Changed(new, map))
    }
}
