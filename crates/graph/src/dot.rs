//! Graphs as pictures, in Graphviz's dot language.

use std::fmt::Write;

use crate::{Graph, Operator};

impl<O: Operator> Graph<O> {
    /// The graph in dot: `dot -Tsvg` draws it. Dead nodes are dashed, outputs are doubly framed,
    /// assignments are red arrows back to their sources.
    pub fn dot(&self) -> String {
        let live = self.live();
        let roots = self.roots();
        let mut frames = vec![1; live.len()];
        roots.iter().for_each(|r| frames[r.value.index()] = 2);
        let mut dot = String::from("digraph pleach {\n  node [shape=box, fontname=monospace];\n");
        for id in self.ids() {
            let node = self.node(id);
            let label = format!("{id} {}\n{}", node.op, node.ty);
            let place = self.origin(id).first().map(ToString::to_string).unwrap_or_default();
            let style = if live[id.index()] { "solid" } else { "dashed" };
            let _ = writeln!(
                dot,
                "  n{} [label={label:?}, tooltip={place:?}, style={style}, peripheries={}];",
                id.index(),
                frames[id.index()]
            );
            for (slot, x) in node.inputs.iter().enumerate() {
                let _ = write!(dot, "  n{} -> n{}", x.index(), id.index());
                let _ = writeln!(dot, " [label={slot}];");
            }
        }
        for root in roots {
            if let Some(target) = root.target {
                let (from, to) = (root.value.index(), target.index());
                let _ = writeln!(dot, "  n{from} -> n{to} [color=red, constraint=false];");
            }
        }
        dot.push_str("}\n");
        dot
    }
}
