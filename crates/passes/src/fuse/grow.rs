//! Grows regions: which operators run in one loop.
//!
//! Nodes are taken from the last to the first, so all users of a node are in their *units*, regions
//! or single nodes, when it is looked at. Units are in an order of their own: every unit comes
//! before all units that use it.
//!
//! - A node joins the first of its users' units, if that is a region with room. No path can leave
//!   that region and come back: it would go through another user, and all others come later.
//! - Two regions that update variables and read a value in common become one, if no path leads from
//!   the first through others to the second. What the second needs is moved before the first.

use pleach_graph::{NodeId, Operator, Traits};
use pleach_ops::{Graph, Op};
use smallvec::SmallVec;

use super::{Fuse, Operands};
use crate::PassCx;

/// Most units that are looked at to find out whether two regions may become one.
const SEARCH: usize = 64;

/// A region, or a single node that is in none.
#[derive(Clone, Debug, Default)]
struct Unit {
    operands: Operands,
    size: usize,
    /// Operators whose values are used outside.
    results: usize,
    /// Is one of its results assigned to a variable?
    updates: bool,
    /// Where it is in the order of units.
    place: i64,
}

/// The units of a graph, by the node that each of them began with.
pub(super) struct Units<'g> {
    g: &'g Graph,
    limits: Fuse,
    /// The node that began what a live node that was looked at is in; units that became one lead on.
    of: Vec<Option<usize>>,
    units: Vec<Unit>,
    /// For a node that began one, which of the units that is.
    number: Vec<u32>,
    /// The first place that is taken.
    front: i64,
}

/// May it be part of a region?
pub(crate) fn fusible(op: &Op) -> bool {
    op.traits().has(Traits::ELEMENTWISE) && {
        let identity =
            matches!(op, Op::StopGradient(_) | Op::StraightThrough(_) | Op::Checkpoint(_));
        !identity && !matches!(op, Op::Custom(_))
    }
}

pub(super) fn is_splat(g: &Graph, id: NodeId) -> bool {
    matches!(g.node(id).op, Op::Full(_))
}

/// The operands of a region after operator `id` of `inputs` joined it.
pub(super) fn joined(g: &Graph, region: &Operands, id: NodeId, inputs: &[NodeId]) -> Operands {
    let mut operands: Operands = region.iter().copied().filter(|&x| x != id).collect();
    for &x in inputs {
        if !is_splat(g, x) && !operands.contains(&x) {
            operands.push(x);
        }
    }
    operands
}

impl<'g> Units<'g> {
    /// Puts every live node into a unit.
    pub(super) fn grow(g: &'g Graph, limits: Fuse, cx: &mut PassCx<'_>) -> Units<'g> {
        let n = g.len();
        let (of, number) = (vec![None; n], vec![0; n]);
        let mut units = Units { g, limits, of, units: Vec::new(), number, front: 0 };
        let live = g.live();
        let (mut root, mut assigned) = (vec![false; n], vec![false; n]);
        for r in g.roots() {
            root[r.value.index()] = true;
            assigned[r.value.index()] |= r.target.is_some();
        }
        for id in g.ids().rev().filter(|id| live[id.index()]) {
            let (i, node) = (id.index(), g.node(id));
            let mut users: Vec<usize> = g
                .users(id)
                .iter()
                .filter(|(user, _)| live[user.index()])
                .filter_map(|(user, _)| units.unit(*user))
                .collect();
            cx.step(1 + (node.inputs.len() + users.len()) as u64);
            users.sort_unstable_by_key(|&u| units.at(u).place);
            users.dedup();
            if !matches!(node.op, Op::Broadcast(_)) {
                units.merge_updates(&mut users, id, cx);
            }
            let outside = root[i] || users.len() > 1;
            let joins = if fusible(&node.op) { users.first().copied() } else { None };
            let grown = joins.and_then(|u| {
                let unit = units.at(u);
                let operands = joined(g, &unit.operands, id, &node.inputs);
                let alike = g.node(NodeId::new(u)).ty.shape() == node.ty.shape();
                let results = unit.results + usize::from(outside);
                let room = operands.len() <= limits.max_operands && results <= limits.max_results;
                let room = room && (1..limits.max_size).contains(&unit.size);
                let updates = unit.updates | assigned[i];
                let place = unit.place;
                let grown = Unit { operands, size: unit.size + 1, results, updates, place };
                (alike && room).then_some((u, grown))
            });
            let (u, unit) = grown.unwrap_or_else(|| {
                units.front -= 1;
                let operands = joined(g, &Operands::new(), id, &node.inputs);
                let size = usize::from(fusible(&node.op));
                let (updates, place) = (assigned[i], units.front);
                (i, Unit { operands, size, results: 1, updates, place })
            });
            units.of[i] = Some(u);
            if u == i {
                units.number[i] = units.units.len() as u32;
                units.units.push(unit);
            } else {
                *units.at_mut(u) = unit;
            }
        }
        units
    }

    /// The unit that a node began.
    fn at(&self, u: usize) -> &Unit {
        &self.units[self.number[u] as usize]
    }

    fn at_mut(&mut self, u: usize) -> &mut Unit {
        &mut self.units[self.number[u] as usize]
    }

    /// The unit that a node is in.
    pub(super) fn unit(&self, id: NodeId) -> Option<usize> {
        let mut unit = self.of[id.index()]?;
        while let Some(next) = self.of[unit].filter(|&next| next != unit) {
            unit = next;
        }
        Some(unit)
    }

    /// Number of operators of a unit's region, and of the values that it reads.
    pub(super) fn extent(&self, unit: usize) -> (usize, usize) {
        (self.at(unit).size, self.at(unit).operands.len())
    }

    /// All that a unit reads.
    pub(super) fn operands(&self, unit: usize) -> &Operands {
        &self.at(unit).operands
    }

    /// Where a unit is in the order of units.
    pub(super) fn place(&self, unit: usize) -> i64 {
        self.at(unit).place
    }

    /// All nodes: first those that need nothing, as they were, then the others unit by unit, each
    /// unit in index order, and units after what they use. What is dead comes last. Nodes that are in
    /// other regions now go with those.
    pub(super) fn order(&self, regions: &[Option<usize>]) -> Vec<NodeId> {
        let place = |id: &NodeId| match regions[id.index()].or_else(|| self.unit(*id)) {
            _ if self.g.node(*id).inputs.is_empty() => i64::MIN,
            Some(unit) => self.at(unit).place,
            None => i64::MAX,
        };
        let mut order: Vec<NodeId> = self.g.ids().collect();
        order.sort_by_cached_key(|id| (place(id), id.index()));
        order
    }

    /// Of the units that use `x`, in order, makes regions that update variables one.
    fn merge_updates(&mut self, users: &mut Vec<usize>, x: NodeId, cx: &mut PassCx<'_>) {
        let updates = |units: &Self, u: usize| units.at(u).updates && units.at(u).size > 0;
        let Some(first) = users.iter().copied().find(|&u| updates(self, u)) else { return };
        let shape = |u: usize| self.g.node(NodeId::new(u)).ty.shape().clone();
        let others: Vec<usize> =
            users.iter().copied().filter(|&u| u != first && updates(self, u)).collect();
        for other in others {
            if shape(first) == shape(other) && self.merge(first, other, x, cx) {
                users.retain(|&u| u != other);
            }
        }
    }

    /// Makes the regions `a` and, later in the order, `b` one, while node `x` is looked at.
    fn merge(&mut self, a: usize, b: usize, x: NodeId, cx: &mut PassCx<'_>) -> bool {
        let (first, second) = (self.at(a), self.at(b));
        let inside = |x: &NodeId| self.unit(*x).is_some_and(|u| u == a || u == b);
        let mut operands = Operands::new();
        for &o in first.operands.iter().chain(&second.operands) {
            if !inside(&o) && !operands.contains(&o) {
                operands.push(o);
            }
        }
        let (size, results) = (first.size + second.size, first.results + second.results);
        if size > self.limits.max_size
            || operands.len() > self.limits.max_operands
            || results > self.limits.max_results
        {
            return false;
        }
        let Some(mut before) = self.needed_by(b, a, x, cx) else { return false };
        before.sort_unstable_by_key(|&u| self.at(u).place);
        for u in before.into_iter().rev() {
            self.front -= 1;
            self.at_mut(u).place = self.front;
        }
        let place = self.at(a).place;
        *self.at_mut(a) = Unit { operands, size, results, updates: true, place };
        self.of[b] = Some(a);
        true
    }

    /// All units that unit `b` needs, not counting `a` itself; `None` if one of them needs `a`, or
    /// if there are too many to tell. Nodes before `x` are in no unit yet: none of them needs `a`.
    fn needed_by(
        &self,
        b: usize,
        a: usize,
        x: NodeId,
        cx: &mut PassCx<'_>,
    ) -> Option<SmallVec<[usize; SEARCH]>> {
        let mut found: SmallVec<[usize; SEARCH]> = SmallVec::new();
        let mut next = 0;
        let mut from = b;
        loop {
            for &o in &self.at(from).operands {
                cx.step(1);
                match self.unit(o).filter(|_| o > x) {
                    Some(u) if u == a && from == b => {}
                    Some(u) if u == a || found.len() == SEARCH => return None,
                    Some(u) if !found.contains(&u) => found.push(u),
                    _ => {}
                }
            }
            match found.get(next) {
                Some(&u) => from = u,
                None => return Some(found),
            }
            next += 1;
        }
    }
}
