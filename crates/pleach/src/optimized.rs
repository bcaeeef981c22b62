//! `Optimized`: what the passes made of a step, to look at.

use std::fmt;

use pleach_graph::NodeId;
use pleach_ops::Graph;
use pleach_passes::{Cause, Ledger, Trace};

/// What the passes made of a step, see [`Recording::optimize`](crate::Recording::optimize).
/// `Display` writes the graph after them, and below each node the rewrites that it comes from.
#[derive(Debug)]
pub struct Optimized {
    /// Forward, backward and update, as recorded.
    pub before: Graph,
    /// What would be planned.
    pub after: Graph,
    /// What recording, each pass and each rule changed.
    pub ledger: Ledger,
    /// Which rules made which node of `after`.
    pub trace: Trace,
}

impl Optimized {
    /// The rewrites that a node of `after` comes from, in the order in which they were made: rule,
    /// pass, what was rewritten, and your lines. None: it is as it was recorded.
    pub fn explain(&self, node: NodeId) -> Vec<Cause> {
        self.trace.explain(node)
    }

    /// The node of `after` that an output asks for.
    pub fn output(&self, name: &str) -> Option<NodeId> {
        self.after.roots().iter().find(|root| &*root.name == name).map(|root| root.value)
    }
}

impl fmt::Display for Optimized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.after.to_string();
        let mut ids = self.after.ids();
        for line in text.lines() {
            writeln!(f, "{line}")?;
            if let Some(id) = line.starts_with('%').then(|| ids.next()).flatten() {
                for cause in self.explain(id) {
                    writeln!(f, "    {cause}")?;
                }
            }
        }
        Ok(())
    }
}
