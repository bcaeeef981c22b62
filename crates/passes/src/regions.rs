//! Regions that are found by recording them: an operator records what it is made of over operands that
//! are there; as equal nodes are one, the graph answers with the nodes that it has, or appends to a copy
//! that is thrown away.

use std::sync::Arc;

use pleach_graph::{Body, NodeId, NodeMap, Rewrite};
use pleach_ops::{Fused, Graph, Op};
use pleach_tensor::Type;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::claims::replace;
use crate::{Class, Outcome, PassCx, Price};

/// Most operators of what becomes regions at once.
pub(crate) const MOST: usize = 200;

/// A region that is there, node by node.
#[derive(Debug)]
pub(crate) struct Found {
    body: Arc<Body<Op>>,
    operands: Vec<NodeId>,
    /// The nodes that are results, and which.
    pub(crate) results: Vec<(NodeId, usize)>,
}

impl Found {
    /// A body of other operators in place of what was found, over these operands, with these results.
    pub(crate) fn other(
        body: Arc<Body<Op>>,
        operands: &[NodeId],
        results: Vec<(NodeId, usize)>,
    ) -> Found {
        Found { body, operands: operands.to_vec(), results }
    }
}

/// A graph, a copy to record in, and who uses what.
pub(crate) struct Search<'g> {
    pub(crate) g: &'g Graph,
    copy: Graph,
    live: Arc<[bool]>,
    pub(crate) users: Vec<Vec<NodeId>>,
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

    /// The region of a body of these types over these operands, if any of its results is there.
    pub(crate) fn found(
        &self,
        operands: &[NodeId],
        body: impl FnOnce(&[Type]) -> Option<Arc<Body<Op>>>,
    ) -> Option<Found> {
        let types: Vec<Type> = operands.iter().map(|&x| self.g.ty(x)).collect();
        let body = body(&types)?;
        let ids = body.instantiate(&self.copy, operands).into_iter().zip(0..);
        let here = |id: NodeId| self.live.get(id.index()).is_some_and(|live| *live);
        let results: Vec<(NodeId, usize)> = ids.filter(|(id, _)| here(*id)).collect();
        (!results.is_empty()).then(|| Found { body, operands: operands.to_vec(), results })
    }

    /// Does `x` depend on none of these nodes? Only those are looked at that came after `first`.
    pub(crate) fn comes_without(
        &self,
        x: NodeId,
        first: NodeId,
        nodes: &FxHashSet<NodeId>,
    ) -> bool {
        let (mut work, mut seen) = (vec![x], FxHashSet::default());
        while let Some(id) = work.pop() {
            if nodes.contains(&id) || seen.len() > MOST {
                return false;
            }
            if id.index() > first.index() && seen.insert(id) {
                work.extend(&self.g.node(id).inputs);
            }
        }
        true
    }

    /// The nodes that all of this takes the place of, if nothing else uses what is inside.
    pub(crate) fn inside(&self, all: &[Found]) -> Result<Vec<NodeId>, &'static str> {
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

/// The nodes in an order in which those of regions come after all operands of their region, too. `None` if
/// regions wait for each other, which whoever finds them must see to.
fn order(g: &Graph, at: &FxHashMap<NodeId, (Arc<Found>, usize)>) -> Option<Vec<NodeId>> {
    let (mut order, mut done) = (Vec::with_capacity(g.len()), vec![false; g.len()]);
    let (mut work, mut waits) = (Vec::new(), vec![false; g.len()]);
    for id in g.ids() {
        work.push(id);
        while let Some(&top) = work.last() {
            let before = work.len();
            if !done[top.index()] {
                waits[top.index()] = true;
                let mut cycle = false;
                let mut wait = |x: &NodeId| {
                    let done = done[x.index()];
                    cycle |= !done && waits[x.index()];
                    work.extend((!done).then_some(*x));
                };
                g.peek(top, |node| node.inputs.iter().for_each(&mut wait));
                at.get(&top).into_iter().flat_map(|(found, _)| &found.operands).for_each(wait);
                debug_assert!(!cycle, "regions wait for each other");
                if cycle {
                    return None;
                }
            }
            if work.len() == before {
                work.pop();
                if !std::mem::replace(&mut done[top.index()], true) {
                    order.push(top);
                }
            }
        }
    }
    Some(order)
}

/// Makes regions where `find` answers with some for one of these nodes: all at once, if what is inside is
/// used inside alone, and if they cost less than what is there. Class: rounding.
pub(crate) fn make(
    g: &Graph,
    cx: &mut PassCx<'_>,
    rule: &'static str,
    candidates: &[NodeId],
    find: impl Fn(&Search<'_>, NodeId) -> Option<Vec<Found>>,
) -> Outcome {
    if candidates.is_empty() || !cx.may(rule, Class::Rounding) {
        return Outcome::Unchanged;
    }
    let Some(search) = Search::new(g) else { return Outcome::Unchanged };
    let mut at: FxHashMap<NodeId, (Arc<Found>, usize)> = FxHashMap::default();
    for &y in candidates.iter().filter(|y| search.live[y.index()]) {
        cx.step(MOST as u64);
        let Some(all) = find(&search, y) else { continue };
        let nodes = match search.inside(&all) {
            Ok(nodes) if search.pays(&all, &nodes) => nodes,
            Ok(_) => {
                cx.skip(rule, g, y, "it costs more");
                continue;
            }
            Err(why) => {
                cx.skip(rule, g, y, why);
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
    let order = if at.is_empty() { None } else { order(g, &at) };
    let Some(order) = order else { return Outcome::Unchanged };
    replace(g, order, cx, |new, old, places, cx| {
        let (found, result) = at.get(&old).filter(|_| cx.may(rule, Class::Rounding))?;
        let fused = Fused::new(found.body.clone(), *result).ok()?;
        let operands = found.operands.iter().map(|x| places[x.index()]);
        Some((rule, new.push(Op::Fused(fused), &operands.collect::<Option<Vec<_>>>()?)))
    })
}
