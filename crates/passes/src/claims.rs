//! Use counts of a graph while it is built anew, sweeps of rules that go by them, and the replacement of
//! what was found before.

use pleach_graph::{Node, NodeId, NodeMap, Rewrite};
use pleach_ops::{Graph, Op};

use smallvec::SmallVec;

use crate::{Outcome, PassCx, Totals};

/// For every node, how often live nodes and outputs use it.
pub(crate) fn live_uses(g: &Graph) -> Vec<u32> {
    let live = g.live();
    let mut uses = vec![0; g.len()];
    g.each(|id, node, _| {
        if live[id.index()] {
            node.inputs.iter().for_each(|x| uses[x.index()] += 1);
        }
    });
    for root in g.roots() {
        uses[root.value.index()] += 1;
        root.target.into_iter().for_each(|target| uses[target.index()] += 1);
    }
    uses
}

/// How often each node of a new graph is claimed: by live new nodes, and by old nodes and outputs
/// that are still to come. A node without a claim is dead, and claims nothing.
#[derive(Debug, Default)]
pub(crate) struct Claims(Vec<u32>);

impl Claims {
    /// The claims of a whole graph on itself.
    pub(crate) fn of(g: &Graph) -> Claims {
        Claims(live_uses(g))
    }

    pub(crate) fn get(&self, id: NodeId) -> u32 {
        self.0.get(id.index()).copied().unwrap_or(0)
    }

    /// An old node of `uses` uses and these operands became `id`: its users claim `id` now, and
    /// it claims its operands no more.
    pub(crate) fn settle(&mut self, g: &Graph, id: NodeId, uses: u32, inputs: &[NodeId]) {
        if uses == 0 {
            return;
        }
        self.0.resize(g.len(), 0);
        self.add(g, id, uses);
        inputs.iter().for_each(|&x| self.release(g, x));
    }

    fn add(&mut self, g: &Graph, id: NodeId, n: u32) {
        let mut work: SmallVec<[(NodeId, u32); 8]> = SmallVec::from_slice(&[(id, n)]);
        while let Some((id, n)) = work.pop() {
            let count = &mut self.0[id.index()];
            *count += n;
            if *count == n {
                g.peek(id, |node| work.extend(node.inputs.iter().map(|&x| (x, 1))));
            }
        }
    }

    fn release(&mut self, g: &Graph, id: NodeId) {
        let mut work: SmallVec<[NodeId; 8]> = SmallVec::from_slice(&[id]);
        while let Some(id) = work.pop() {
            let count = &mut self.0[id.index()];
            *count -= 1;
            if *count == 0 {
                g.peek(id, |node| work.extend_from_slice(&node.inputs));
            }
        }
    }
}

/// Builds a graph anew and asks for every node that something uses what it becomes, and by which
/// rule: with the new graph, the old id, the node, its operands in the new graph, and the claims.
/// Answers the new graph, where the nodes went, and how often a rule fired.
pub(crate) fn sweep<F>(g: &Graph, cx: &mut PassCx<'_>, mut rewrite: F) -> (Graph, NodeMap, usize)
where
    F: FnMut(
        &Graph,
        NodeId,
        &Node<Op>,
        &[NodeId],
        &Claims,
        &mut PassCx<'_>,
    ) -> Option<(&'static str, NodeId)>,
{
    let (uses, mut claims, mut fired) = (live_uses(g), Claims::default(), 0);
    let rewrite = |claims: &mut Claims, new: &Graph, old: NodeId, node: &Node<Op>, x: &[NodeId]| {
        cx.step(1 + x.len() as u64);
        let start = new.len();
        let used = uses[old.index()] > 0;
        let Some((rule, id)) = used.then(|| rewrite(new, old, node, x, claims, cx)).flatten()
        else {
            return Rewrite::Keep;
        };
        fired += 1;
        cx.applied(rule, g, old, Totals::since(new, start) - Totals::of_node(g, old));
        Rewrite::Replace(id)
    };
    let settle = |claims: &mut Claims, new: &Graph, old: NodeId, id, inputs: &[NodeId]| {
        claims.settle(new, id, uses[old.index()], inputs);
    };
    let (new, map) = g.rebuild_noting(g.ids(), &mut claims, rewrite, settle);
    (new, map, fired)
}

/// Builds a graph anew in this order, with what takes the place of some nodes: `build` makes it of nodes
/// elsewhere, given the new graph, the old node and where old nodes went, and names the rule. For passes that
/// have found all that they rewrite before.
pub(crate) fn replace<F>(
    g: &Graph,
    order: impl IntoIterator<Item = NodeId>,
    cx: &mut PassCx<'_>,
    mut build: F,
) -> Outcome
where
    F: FnMut(&Graph, NodeId, &[Option<NodeId>], &mut PassCx<'_>) -> Option<(&'static str, NodeId)>,
{
    let (mut places, mut fired) = (vec![None; g.len()], 0);
    let rewrite =
        |places: &mut Vec<Option<NodeId>>, new: &Graph, old: NodeId, _: &Node<Op>, _: &[NodeId]| {
            let start = new.len();
            let Some((rule, id)) = build(new, old, places, cx) else { return Rewrite::Keep };
            fired += 1;
            cx.applied(rule, g, old, Totals::since(new, start) - Totals::of_node(g, old));
            Rewrite::Replace(id)
        };
    let note = |places: &mut Vec<Option<NodeId>>, _: &Graph, old: NodeId, id, _: &[NodeId]| {
        places[old.index()] = Some(id);
    };
    let (new, map) = g.rebuild_noting(order, &mut places, rewrite, note);
    if fired == 0 { Outcome::Unchanged } else { Outcome::Changed(new, map) }
}
