//! Rules backwards: the same function, written worse.

use pleach_graph::NodeId;
use pleach_ops::Graph;
use pleach_tensor::Key;

use super::Sample;
use crate::rules::RULES;
use crate::{Class, Match, Pattern, Rule};

/// The same function with rules of the library applied backwards, at about every third node where
/// one fits, up to `depth` of them one on the other; how many. The graph is raw, so that nothing is
/// undone while it is built. An optimizer must make it cost no more than the original does.
pub fn obfuscate(g: &Graph, key: Key, depth: u64) -> (Sample, usize) {
    let new = Graph::raw();
    let mut at: Vec<Option<NodeId>> = vec![None; g.len()];
    let mut applied = 0;
    for id in g.ids() {
        let node = g.node(id);
        let inputs: Option<Vec<NodeId>> = node.inputs.iter().map(|x| at[x.index()]).collect();
        let Some(inputs) = inputs else { continue };
        let mut value = new.push(node.op.clone(), &inputs);
        let key = key.fold(id.index() as u64);
        for turn in 0..if node.inputs.is_empty() { 0 } else { depth } {
            let start = key.fold(turn).below(0, RULES.len() as u64) as usize;
            let wanted = key.fold(turn).below(1, 3) == 0;
            let rules = (0..RULES.len()).map(|i| &RULES[(start + i) % RULES.len()]);
            let mut worse = rules.filter(|_| wanted).filter_map(|rule| reversed(rule, &new, value));
            if let Some(worse) = worse.next() {
                (value, applied) = (worse, applied + 1);
            }
        }
        at[id.index()] = Some(value);
    }
    for root in g.roots() {
        match (at[root.value.index()], root.target.map(|t| at[t.index()])) {
            (Some(value), None) => new.output(&root.name, value),
            (Some(value), Some(Some(target))) => new.assign(&root.name, target, value),
            _ => {}
        }
    }
    let inputs = pleach_ops::prelude::GraphExt::inputs(&new);
    (Sample { graph: new, inputs }, applied)
}

/// The left side of a rule, if the node is its right side.
fn reversed(rule: &Rule, g: &Graph, id: NodeId) -> Option<NodeId> {
    // Facts are not known of what stands here; a guard may be about a constant.
    if rule.values >= Class::NeedsFacts || rule.gradients == Class::Lossy {
        return None;
    }
    let (node, ty) = (g.node(id), g.ty(id));
    let found = match &rule.right {
        Pattern::Any(word) => Match::of(word, id),
        right => right.matches(g, &node.op, &node.inputs)?,
    };
    rule.left.words().iter().all(|word| found.get(word).is_some()).then_some(())?;
    rule.guard(g, &found).ok()?;
    rule.left.estimate(g, &found, &ty, &|_| false).filter(|left| left.ty == ty)?;
    rule.left.build(g, &found, &ty)
}
