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

    /// The graph after the passes, as a picture in Graphviz's dot: a node has the colour of the last pass
    /// that made it, and says which rules did. Below the graph stands which colour is which.
    pub fn dot(&self) -> String {
        let mut passes: Vec<String> = Vec::new();
        for record in &self.ledger.passes {
            if !passes.contains(&record.name) {
                passes.push(record.name.clone());
            }
        }
        // Hues as far apart as can be, from the hue-saturation-value triples that dot takes.
        let count = passes.len().max(1) as f64;
        let colour = |pass: &str| {
            let at = passes.iter().position(|name| name == pass).unwrap_or(0);
            format!("{:.3} 0.8 0.8", at as f64 / count)
        };
        let look = |id| {
            let causes = self.explain(id);
            let last = causes.last()?;
            let told: Vec<String> = causes.iter().map(ToString::to_string).collect();
            Some((colour(&last.pass), told.join("\n")))
        };
        let mut dot = self.after.dot_with(look);
        dot.truncate(dot.trim_end().len() - 1);
        for pass in &passes {
            let colour = colour(pass);
            dot.push_str(&format!(
                "  {pass:?} [shape=plaintext, fontcolor={colour:?}, fontname=monospace];\n"
            ));
        }
        dot.push_str("}\n");
        dot
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
