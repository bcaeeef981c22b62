//! Where a node of an optimized graph comes from: which rules made it, of which lines.
//!
//! Passes do not know of it. They say which rule rewrote which old node, as they do for the ledger,
//! and answer where old nodes went. A node that a rule made inherits what was known of the node it
//! stands for; what a rewrite swallowed (the inside of a pattern, of a region) tells its story to
//! the nodes that used it.

use std::fmt;

use pleach_graph::{NodeId, NodeMap, Site};
use pleach_ops::Graph;
use smallvec::SmallVec;

/// Which rules made the nodes of a graph, see [`PassCx::traced`](crate::PassCx::traced). Takes time
/// and memory in proportion to the nodes and the rewrites of each pass.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// All rewrites, in order.
    made: Vec<Made>,
    /// For every node of the graph, the rewrites that it comes from, directly.
    of: Vec<Story>,
    /// Rewrites of the graph that is being rewritten: by which rule, at which node.
    now: Vec<(String, NodeId)>,
    /// Has the pass that runs said itself where nodes went?
    told: bool,
}

type Story = SmallVec<[usize; 1]>;

/// A rewrite, and those that its old node came from.
#[derive(Clone, Debug)]
struct Made {
    pass: String,
    rule: String,
    node: String,
    sites: Vec<Site>,
    from: Story,
}

/// One rewrite on the way to a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// The pass.
    pub pass: String,
    /// The rule.
    pub rule: String,
    /// What it rewrote: operator and type of the node.
    pub node: String,
    /// The lines that recorded what it rewrote.
    pub sites: Vec<Site>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {} from {}", self.rule, self.pass, self.node)?;
        match &self.sites[..] {
            [] => Ok(()),
            sites => {
                let sites: Vec<String> = sites.iter().map(Site::to_string).collect();
                write!(f, " (built at {})", sites.join(", "))
            }
        }
    }
}

/// Operator and type of a node, as text.
pub(crate) fn node_of(g: &Graph, id: NodeId) -> String {
    let node = g.node(id);
    format!("{} : {}", node.op.name(), node.ty)
}

impl Trace {
    /// The rewrites that a node of the optimized graph comes from, in the order in which they were
    /// made. None: it is as it was recorded.
    pub fn explain(&self, id: NodeId) -> Vec<Cause> {
        let mut work: Vec<usize> = self.of.get(id.index()).map(|s| s.to_vec()).unwrap_or_default();
        let mut found = Vec::new();
        while let Some(i) = work.pop() {
            if !found.contains(&i) {
                found.push(i);
                work.extend(&self.made[i].from);
            }
        }
        found.sort_unstable();
        let cause = |i: usize| {
            let Made { pass, rule, node, sites, .. } = self.made[i].clone();
            Cause { pass, rule, node, sites }
        };
        found.into_iter().map(cause).collect()
    }

    /// A rule rewrote this node of the graph.
    pub(crate) fn applied(&mut self, rule: &str, at: NodeId) {
        self.now.push((rule.into(), at));
    }

    /// A pass built `new` instead of `old`. Does nothing if it has said so itself.
    pub(crate) fn ran(&mut self, pass: &str, old: &Graph, new: &Graph, map: &NodeMap) {
        if !self.told {
            self.rebuilt(pass, old, new, map);
        }
        self.told = false;
    }

    /// A pass built `new` instead of `old`, by the rewrites noted since the last time.
    pub(crate) fn rebuilt(&mut self, pass: &str, old: &Graph, new: &Graph, map: &NodeMap) {
        self.told = true;
        self.of.resize(old.len(), Story::new());
        for (rule, at) in std::mem::take(&mut self.now) {
            let story = &mut self.of[at.index()];
            let (pass, node) = (pass.to_string(), node_of(old, at));
            let sites = old.origin(at).sites().to_vec();
            let from = std::mem::take(story);
            story.push(self.made.len());
            self.made.push(Made { pass, rule, node, sites, from });
        }
        let live = new.live();
        let went = |id: NodeId| map.get(id).filter(|new| live[new.index()]);
        let needed = old.live();
        let mut of = vec![Story::new(); new.len()];
        for id in old.ids().filter(|id| needed[id.index()]) {
            // What was swallowed tells its users.
            let node = old.node(id);
            let swallowed = node.inputs.iter().filter(|x| went(**x).is_none());
            let told: Vec<usize> =
                swallowed.flat_map(|x| self.of[x.index()].iter().copied()).collect();
            merge(&mut self.of[id.index()], &told);
            if let Some(new) = went(id) {
                merge(&mut of[new.index()], &self.of[id.index()]);
            }
        }
        self.of = of;
    }
}

fn merge(story: &mut Story, more: &[usize]) {
    for &i in more {
        if !story.contains(&i) {
            story.push(i);
        }
    }
}
