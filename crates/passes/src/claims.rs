//! Use counts of a graph while it is built anew.

use pleach_graph::NodeId;
use pleach_ops::Graph;

/// For every node, how often live nodes and outputs use it.
pub(crate) fn live_uses(g: &Graph) -> Vec<u32> {
    let live = g.live();
    let mut uses = vec![0; g.len()];
    for id in g.ids().filter(|id| live[id.index()]) {
        g.node(id).inputs.iter().for_each(|x| uses[x.index()] += 1);
    }
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
        let mut work = vec![(id, n)];
        while let Some((id, n)) = work.pop() {
            let count = &mut self.0[id.index()];
            *count += n;
            if *count == n {
                work.extend(g.node(id).inputs.iter().map(|&x| (x, 1)));
            }
        }
    }

    fn release(&mut self, g: &Graph, id: NodeId) {
        let mut work = vec![id];
        while let Some(id) = work.pop() {
            let count = &mut self.0[id.index()];
            *count -= 1;
            if *count == 0 {
                work.extend(g.node(id).inputs.iter().copied());
            }
        }
    }
}
