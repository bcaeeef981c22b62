//! Size and work of graphs.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use pleach_graph::{Node, NodeId, Operator};
use pleach_ops::{Cost, Graph, Kind, Op};
use pleach_tensor::Type;

/// Size and work of a graph: every recorded node counts, dead ones too, each run by itself. Also
/// a change of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Nodes.
    pub nodes: i64,
    /// Arithmetic operations.
    pub flops: i64,
    /// Bytes read and written.
    pub bytes: i64,
    /// Trained numbers: elements of the variables of kind [`Kind::Param`].
    pub params: i64,
}

/// A change of [`Totals`].
pub type Delta = Totals;

impl Totals {
    /// The totals of a graph.
    pub fn of(g: &Graph) -> Totals {
        let (mut sum, mut several) = (Totals::default(), Vec::new());
        g.each(|id, node, types| match node.op.family() {
            None => sum += Totals::of_op(node, types, false),
            Some(_) => several.push(id),
        });
        several.iter().fold(sum, |sum, &id| sum + Totals::of_node(g, id))
    }

    fn of_op(node: &Node<Op>, types: &[&Type], free: bool) -> Totals {
        let cost = if free { Cost::FREE } else { node.op.cost(types, &node.ty) };
        let params = match &node.op {
            Op::Variable(v) if v.kind() == Kind::Param => v.ty().numel() as i64,
            _ => 0,
        };
        Totals { nodes: 1, flops: cost.flops as i64, bytes: cost.bytes as i64, params }
    }

    /// The totals of one node. A variable is one node, however often it is used.
    pub fn of_node(g: &Graph, id: NodeId) -> Totals {
        let free = is_computed_before(g, id);
        let totals = g.peek_typed(id, |node, types| Totals::of_op(node, types, free));
        totals.unwrap_or_default()
    }

    /// The totals of the nodes from `start` on.
    pub fn since(g: &Graph, start: usize) -> Totals {
        (start..g.len()).map(|i| Totals::of_node(g, NodeId::new(i))).sum()
    }
}

impl Add for Totals {
    type Output = Totals;
    fn add(self, o: Totals) -> Totals {
        Totals {
            nodes: self.nodes + o.nodes,
            flops: self.flops + o.flops,
            bytes: self.bytes + o.bytes,
            params: self.params + o.params,
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, o: Totals) {
        *self = *self + o;
    }
}

impl Sub for Totals {
    type Output = Totals;
    fn sub(self, o: Totals) -> Totals {
        Totals {
            nodes: self.nodes - o.nodes,
            flops: self.flops - o.flops,
            bytes: self.bytes - o.bytes,
            params: self.params - o.params,
        }
    }
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Totals>>(iter: I) -> Totals {
        iter.fold(Totals::default(), Totals::add)
    }
}

/// Is the node a further result of a computation with several? The first of them costs it all.
pub(crate) fn is_computed_before(g: &Graph, id: NodeId) -> bool {
    is_computed_by(g, id, |_| true)
}

/// As [`is_computed_before`], of those results alone that count.
pub(crate) fn is_computed_by(g: &Graph, id: NodeId, counts: impl Fn(NodeId) -> bool) -> bool {
    let Some(family) = g.peek(id, |node| node.op.family()).flatten() else { return false };
    let same = |twin: NodeId| g.node(twin).op.family().as_ref() == Some(&family);
    g.twins(id).iter().any(|&twin| counts(twin) && same(twin))
}

/// Most bytes of values that are alive at once, if nodes run in index order and a value is freed
/// after its last use. Sources and constants, which live outside of the arena, and splats, which
/// take no memory, do not count.
pub fn live_bytes(g: &Graph) -> u64 {
    let live = g.live();
    let mut last = vec![0; g.len()];
    let mut own = vec![0; g.len()];
    g.each(|id, node, _| {
        if live[id.index()] {
            last[id.index()] = id.index();
            node.inputs.iter().for_each(|x| last[x.index()] = id.index());
            own[id.index()] = if node.inputs.is_empty() { 0 } else { node.ty.bytes() as u64 };
        }
    });
    g.roots().iter().for_each(|root| last[root.value.index()] = g.len());
    let mut freed: Vec<u64> = vec![0; g.len() + 1];
    let (mut now, mut peak) = (0u64, 0u64);
    for id in g.ids().filter(|id| live[id.index()]) {
        let bytes = own[id.index()];
        freed[last[id.index()]] += bytes;
        now += bytes;
        peak = peak.max(now);
        now -= freed[id.index()];
    }
    peak
}
