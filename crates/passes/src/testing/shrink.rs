//! The smallest graph at which something still goes wrong.

use pleach_graph::NodeId;
use pleach_ops::prelude::*;

use super::Sample;

/// Attempts before what was found is small enough.
const MAX_ATTEMPTS: usize = 2000;

/// Cuts a graph down as long as it `fails`: asks for fewer outputs, makes inputs of inner values,
/// takes operands instead of results, and moves outputs before them. What is left is dead-code free, and no single cut of it
/// fails. The input must fail. Cost: O(nodes²) runs of `fails` at most, 2,000 in any case.
pub fn shrink(sample: Sample, fails: impl Fn(&Sample) -> bool) -> Sample {
    let mut left = MAX_ATTEMPTS;
    let mut now = sample;
    let mut accept = |now: &mut Sample, cut: &Cut| {
        let Some(next) = cut.of(&now.graph) else { return false };
        if left == 0 || size(&next.graph) >= size(&now.graph) {
            return false;
        }
        left -= 1;
        let better = fails(&next);
        if better {
            *now = next;
        }
        better
    };
    // Only one output; or else one less, as often as it goes.
    let outputs = now.graph.roots().len();
    if !(0..outputs).any(|i| accept(&mut now, &Cut::Only(i))) {
        let mut i = 0;
        while i < now.graph.roots().len() {
            i += usize::from(!accept(&mut now, &Cut::Without(i)));
        }
    }
    loop {
        let before = size(&now.graph);
        for root in 0..now.graph.roots().len() {
            let mut slot = 0;
            while slot < now.graph.node(now.graph.roots()[root].value).inputs.len() {
                slot = if accept(&mut now, &Cut::Before(root, slot)) { 0 } else { slot + 1 };
            }
        }
        // From the last node: what is cut early takes much away.
        let mut i = now.graph.len();
        while i > 0 {
            i = (i - 1).min(now.graph.len() - 1);
            let id = NodeId::new(i);
            if accept(&mut now, &Cut::Input(id)) {
                continue;
            }
            for slot in 0..now.graph.node(id).inputs.len() {
                if accept(&mut now, &Cut::Operand(id, slot)) {
                    break;
                }
            }
        }
        if size(&now.graph) >= before {
            // Which inputs there are decides what they are fed with.
            accept(&mut now, &Cut::Unused);
            return now;
        }
    }
}

/// What counts: operators and outputs, then sources.
fn size(g: &Graph) -> (usize, usize) {
    let operators = g.ids().filter(|&id| !matches!(g.op(id), Op::Input(_))).count();
    (operators + g.roots().len(), g.len())
}

/// A way to make a graph smaller.
enum Cut {
    /// Only the output of this number.
    Only(usize),
    /// All outputs but this one.
    Without(usize),
    /// This output asks for an operand of its value.
    Before(usize, usize),
    /// Inputs that nothing needs.
    Unused,
    /// An input instead of this node.
    Input(NodeId),
    /// An operand instead of this node.
    Operand(NodeId, usize),
}

impl Cut {
    /// The graph after it, raw if the graph is, without what is dead but inputs; `None` if it cannot
    /// be. Inputs keep their order, and new ones come last: each is fed with what it was.
    fn of(&self, g: &Graph) -> Option<Sample> {
        let keep = |i: usize| match self {
            Cut::Only(only) => i == *only,
            Cut::Without(without) => i != *without,
            _ => true,
        };
        let mut roots: Vec<_> =
            g.roots().into_iter().enumerate().filter(|(i, _)| keep(*i)).map(|(_, r)| r).collect();
        if let Cut::Before(i, slot) = self {
            let root = roots.get_mut(*i).filter(|root| root.target.is_none())?;
            root.value = *g.node(root.value).inputs.get(*slot)?;
        }
        if roots.is_empty() {
            return None;
        }
        let operand = |id: NodeId| match self {
            Cut::Operand(node, slot) if *node == id => g.node(id).inputs.get(*slot).copied(),
            _ => None,
        };
        let becomes_input = |id: NodeId| matches!(self, Cut::Input(node) if *node == id);
        if let Cut::Operand(id, slot) = self
            && g.ty(*id) != g.ty(*g.node(*id).inputs.get(*slot)?)
        {
            return None;
        }
        if let Cut::Input(id) = self
            && (matches!(g.op(*id), Op::Input(_)) || roots.iter().any(|r| r.target == Some(*id)))
        {
            return None;
        }
        let mut needed = vec![false; g.len()];
        for root in &roots {
            needed[root.value.index()] = true;
            root.target.into_iter().for_each(|t| needed[t.index()] = true);
        }
        for id in g.ids().rev().filter(|&id| !becomes_input(id)) {
            if needed[id.index()] {
                match operand(id) {
                    Some(x) => needed[x.index()] = true,
                    None => g.node(id).inputs.iter().for_each(|x| needed[x.index()] = true),
                }
            }
        }
        let new = if g.is_raw() { Graph::raw() } else { Graph::new() };
        let mut at: Vec<Option<NodeId>> = vec![None; g.len()];
        let declare = |name: &str, ty: &Type| new.input(name, ty.dtype(), ty.shape()).id();
        let position = |id: &NodeId| match g.op(*id) {
            Op::Input(input) => Some(input.position()),
            _ => None,
        };
        let mut inputs: Vec<NodeId> = g.ids().filter(|id| position(id).is_some()).collect();
        inputs.sort_by_key(position);
        for id in inputs {
            if let Op::Input(old) = g.op(id)
                && (needed[id.index()] || !matches!(self, Cut::Unused))
            {
                at[id.index()] = Some(declare(old.name(), old.ty()));
            }
        }
        for id in g.ids().filter(|id| needed[id.index()]) {
            let node = g.node(id);
            at[id.index()] = Some(match (&node.op, operand(id)) {
                (Op::Input(_), _) => at[id.index()]?,
                (_, Some(x)) => at[x.index()]?,
                _ if becomes_input(id) => declare(&format!("v{}", id.index()), &node.ty),
                _ => {
                    let inputs: Option<Vec<NodeId>> =
                        node.inputs.iter().map(|x| at[x.index()]).collect();
                    new.push(node.op.clone(), &inputs?)
                }
            });
        }
        for root in &roots {
            let value = at[root.value.index()]?;
            match root.target {
                None => new.output(&root.name, value),
                Some(target) => new.assign(&root.name, at[target.index()]?, value),
            }
        }
        new.check().ok()?;
        let inputs = new.inputs();
        Some(Sample { graph: new, inputs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_goes() {
        let g = Graph::raw();
        let (x, y) = (g.input("x", F32, [3]), g.input("y", F32, [3]));
        let long = (0..20).fold(x * y, |v, _| (v.exp() + y).tanh());
        let culprit = (-(-long)).sum(0);
        g.output("y", (culprit * 2.0).exp().id());
        g.output("z", y.exp().id());
        let inputs = g.inputs();
        let twice = |s: &Sample| {
            let neg = |id: NodeId| s.graph.node(id).op.name() == "neg";
            s.graph.ids().any(|id| neg(id) && neg(s.graph.node(id).inputs[0]))
        };
        let small = shrink(Sample { graph: g, inputs }, twice);
        let text = small.graph.to_string();
        assert_eq!(small.graph.len(), 3, "{text}");
        assert!(twice(&small) && text.contains("v") && small.inputs.len() == 1, "{text}");
    }

    /// Loops, gradients, updates, whatever a recipe makes.
    #[test]
    fn any_random_graph_can_be_cut_to_a_value_or_an_update() {
        for n in 0..40 {
            let sample = super::super::Recipe::drawn(Key(n), n % 2 == 0).build(n % 4 < 2);
            let small = shrink(sample, |_| true);
            assert!(small.graph.len() <= 2, "{}", small.graph);
        }
    }
}
