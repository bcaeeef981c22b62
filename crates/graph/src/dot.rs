//! Graphs as pictures, in Graphviz's dot language.

use std::fmt::Write;

use crate::{Graph, NodeId, Operator};

impl<O: Operator> Graph<O> {
    /// The graph in dot: `dot -Tsvg` draws it. Dead nodes are dashed, outputs are doubly framed,
    /// assignments are red arrows back to their sources.
    pub fn dot(&self) -> String {
        self.dot_with(|_| None)
    }

    /// As [`Graph::dot`]; `look` answers the colour of a node, in dot's notation, and what a pointer over
    /// it shows beside where it was built.
    pub fn dot_with(&self, look: impl Fn(NodeId) -> Option<(String, String)>) -> String {
        let live = self.live();
        let roots = self.roots();
        let mut frames = vec![1; live.len()];
        roots.iter().for_each(|r| frames[r.value.index()] = 2);
        let mut dot = String::from("digraph pleach {\n  node [shape=box, fontname=monospace];\n");
        for id in self.ids() {
            let node = self.node(id);
            let label = format!("{id} {}\n{}", node.op, node.ty);
            let mut place = self.origin(id).first().map(ToString::to_string).unwrap_or_default();
            let mut fill = String::new();
            if let Some((colour, more)) = look(id) {
                fill = format!(", color={colour:?}, penwidth=3");
                place = format!("{place}\n{more}");
            }
            let style = if live[id.index()] { "solid" } else { "dashed" };
            let _ = writeln!(
                dot,
                "  n{} [label={label:?}, tooltip={place:?}, style={style}{fill}, peripheries={}];",
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
