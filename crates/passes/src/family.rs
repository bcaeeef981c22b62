//! Loops as passes see them: all results of a loop together, and the loop that takes its place.

use std::collections::HashMap;
use std::sync::Arc;

use pleach_graph::{Node, NodeId, Rewrite};
use pleach_ops::{Graph, Loop, Op, Recorded, Var};

use crate::{Class, Outcome, PassCx, Totals};

/// A loop of a graph.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) of: Arc<Loop>,
    pub(crate) operands: Vec<NodeId>,
    /// Those of its results that something live uses, in order, with their numbers.
    pub(crate) live: Vec<(NodeId, usize)>,
    /// Which results these are.
    pub(crate) used: Vec<bool>,
}

/// What one value of a step depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depends {
    /// On what is the same in all steps.
    Nothing,
    /// On slices too.
    Slices,
    /// On carries too.
    Carries,
}

/// What becomes of a carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Carry {
    /// It stays as it is.
    Kept,
    /// These values of the body are added to it in each step, and nothing else.
    Sum(Vec<usize>),
    /// There is no such carry any more.
    Gone,
}

/// How a loop differs from the one that it takes the place of. Numbers are those of the body's nodes.
#[derive(Debug, Default)]
pub(crate) struct Edit {
    /// What becomes of the carries; all are kept if there are fewer.
    pub(crate) carries: Vec<Carry>,
    /// Nodes whose values in all steps are asked for.
    pub(crate) stacked: Vec<usize>,
    /// Nodes that are slices of a value of the new graph.
    pub(crate) sliced: Vec<(usize, NodeId)>,
    /// Nodes that are a value of the new graph, the same in all steps.
    pub(crate) captured: Vec<(usize, NodeId)>,
}

/// A loop that took the place of another.
#[derive(Debug)]
pub(crate) struct Edited {
    recorded: Recorded,
    /// The new number of every old result that is still there.
    results: Vec<Option<usize>>,
    /// The new numbers of what [`Edit::stacked`] asked for.
    stacked: Vec<usize>,
}

impl Edited {
    /// What an old result is now.
    pub(crate) fn result(&self, new: &Graph, old: usize) -> Option<NodeId> {
        self.results[old].map(|number| self.recorded.result(new, number))
    }

    /// What all old results are now, by number: those that are used.
    pub(crate) fn results(&self, new: &Graph, family: &Family) -> Vec<Option<NodeId>> {
        let result = |(r, used): (usize, &bool)| if *used { self.result(new, r) } else { None };
        family.used.iter().enumerate().map(result).collect()
    }

    /// The values in all steps of the node that [`Edit::stacked`] names at `i`.
    pub(crate) fn stacked(&self, new: &Graph, i: usize) -> NodeId {
        self.recorded.result(new, self.stacked[i])
    }
}

impl Family {
    /// The loops that something live uses, in order.
    pub(crate) fn all(g: &Graph) -> Vec<Family> {
        let is_loop =
            |id: &NodeId| g.peek(*id, |node| matches!(node.op, Op::Scan(_))) == Some(true);
        let loops: Vec<NodeId> = g.ids().filter(is_loop).collect();
        if loops.is_empty() {
            return Vec::new();
        }
        let live = g.live();
        let mut numbers: HashMap<(Arc<Loop>, Vec<NodeId>), usize> = HashMap::new();
        let mut families: Vec<Family> = Vec::new();
        for id in loops.into_iter().filter(|id| live[id.index()]) {
            let Op::Scan(scan) = g.op(id) else { continue };
            let (of, operands) = (scan.of().clone(), g.node(id).inputs.to_vec());
            let number = *numbers.entry((of.clone(), operands.clone())).or_insert_with(|| {
                let used = vec![false; of.results()];
                families.push(Family { of, operands, live: Vec::new(), used });
                families.len() - 1
            });
            families[number].used[scan.result()] = true;
            families[number].live.push((id, scan.result()));
        }
        families
    }

    /// The first result that is recorded: where the loop stands.
    pub(crate) fn first(&self) -> NodeId {
        self.live[0].0
    }

    pub(crate) fn nodes(&self) -> &[Node<Op>] {
        self.of.body().nodes()
    }

    pub(crate) fn is_slice(&self, node: usize) -> bool {
        (self.of.carries()..self.of.carries() + self.of.slices()).contains(&node)
    }

    /// The nodes of the body that its needed results need.
    pub(crate) fn live_nodes(&self) -> Vec<bool> {
        let results = self.of.body().results().iter().zip(self.needed());
        self.needed_by(results.filter(|(_, needed)| *needed).map(|(&r, _)| r), |_| false)
    }

    /// How often needed results and the nodes that they need use every node of the body.
    pub(crate) fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.nodes().len()];
        let results = self.of.body().results().iter().zip(self.needed());
        results.filter(|(_, needed)| *needed).for_each(|(&r, _)| uses[r] += 1);
        for (node, _) in self.nodes().iter().zip(self.live_nodes()).filter(|(_, live)| *live) {
            node.inputs.iter().for_each(|x| uses[x.index()] += 1);
        }
        uses
    }

    /// What every node of the body depends on.
    pub(crate) fn depends(&self) -> Vec<Depends> {
        let mut depends: Vec<Depends> = Vec::with_capacity(self.nodes().len());
        for (i, node) in self.nodes().iter().enumerate() {
            depends.push(match i {
                _ if i < self.of.carries() => Depends::Carries,
                _ if self.is_slice(i) => Depends::Slices,
                _ => {
                    let inputs = node.inputs.iter().map(|x| depends[x.index()]);
                    inputs.max().unwrap_or(Depends::Nothing)
                }
            });
        }
        depends
    }

    /// The results of the body that something needs: final carries, stacks, carries that a needed
    /// value reads.
    pub(crate) fn needed(&self) -> Vec<bool> {
        let (carries, results) = (self.of.carries(), self.of.body().results());
        let mut needed: Vec<bool> = self.used[..results.len()].to_vec();
        (0..carries).for_each(|c| needed[c] |= self.used[self.of.stacked_carry(c)]);
        loop {
            let asked = results.iter().zip(&needed).filter(|(_, needed)| **needed);
            let nodes = self.needed_by(asked.map(|(&r, _)| r), |_| false);
            let before = needed.clone();
            (0..carries).for_each(|c| needed[c] |= nodes[c]);
            if needed == before {
                return needed;
            }
        }
    }

    /// The nodes of the body that these need, themselves included, but not what is `given`
    /// otherwise needs.
    pub(crate) fn needed_by(
        &self,
        of: impl Iterator<Item = usize>,
        given: impl Fn(usize) -> bool,
    ) -> Vec<bool> {
        let mut needed = vec![false; self.nodes().len()];
        of.for_each(|i| needed[i] = true);
        for i in (self.of.body().params()..needed.len()).rev() {
            if needed[i] && !given(i) {
                self.nodes()[i].inputs.iter().for_each(|x| needed[x.index()] = true);
            }
        }
        needed
    }

    /// Records the loop over `operands` in `new` after an edit, without stacks that nothing uses.
    pub(crate) fn edit(&self, new: &Graph, operands: &[NodeId], edit: &Edit) -> Option<Edited> {
        let (of, results) = (&self.of, self.of.body().results());
        let kept = |c: usize| edit.carries.get(c).unwrap_or(&Carry::Kept);
        let carries: Vec<usize> = (0..of.carries()).filter(|&c| *kept(c) != Carry::Gone).collect();
        let ys: Vec<usize> = (of.carries()..results.len()).filter(|&y| self.used[y]).collect();
        let inits: Vec<NodeId> = carries.iter().map(|&c| operands[c]).collect();
        let slices: Vec<usize> = (of.carries()..of.carries() + of.slices()).collect();
        let mut sliced: Vec<NodeId> = slices.iter().map(|&i| operands[i]).collect();
        sliced.extend(edit.sliced.iter().map(|(_, id)| *id));

        let mut complete = true;
        let step = |params: &[NodeId]| {
            let mut at: Vec<Option<NodeId>> = vec![None; self.nodes().len()];
            let named = carries.iter().chain(&slices).copied();
            let named = named.chain(edit.sliced.iter().map(|(i, _)| *i));
            named.zip(params).for_each(|(i, &id)| at[i] = Some(id));
            (of.carries() + of.slices()..of.body().params())
                .for_each(|i| at[i] = Some(operands[i]));
            edit.captured.iter().for_each(|&(i, id)| at[i] = Some(id));
            let mut asked: Vec<usize> = Vec::new();
            for &c in &carries {
                match kept(c) {
                    Carry::Sum(terms) => asked.extend(terms),
                    _ => asked.push(results[c]),
                }
            }
            asked.extend(ys.iter().map(|&y| results[y]).chain(edit.stacked.iter().copied()));
            let needed = self.needed_by(asked.into_iter(), |i| at[i].is_some());
            for (i, node) in self.nodes().iter().enumerate() {
                if at[i].is_none() && needed[i] {
                    let inputs: Option<Vec<NodeId>> =
                        node.inputs.iter().map(|x| at[x.index()]).collect();
                    at[i] = inputs.map(|inputs| new.push(node.op.clone(), &inputs));
                }
            }
            let next = |&c: &usize| match kept(c) {
                Carry::Sum(terms) => terms.iter().try_fold(at[c]?, |sum, &t| {
                    Some((Var::new(new, sum) + Var::new(new, at[t]?)).id())
                }),
                _ => at[results[c]],
            };
            let stacks = ys.iter().map(|&y| results[y]).chain(edit.stacked.iter().copied());
            let all: Option<Vec<NodeId>> =
                carries.iter().map(next).chain(stacks.map(|i| at[i])).collect();
            // What is left of the body needs no carry that is gone.
            complete = all.is_some();
            all.unwrap_or_default()
        };
        let shape = (of.length(), of.is_reversed());
        let recorded = Loop::record(new, shape, &inits, &sliced, step);
        let recorded = recorded.filter(|_| complete)?;
        let mut numbers = vec![None; of.results()];
        for (number, &c) in carries.iter().enumerate() {
            numbers[c] = Some(number);
            let stacked = carries.len() + ys.len() + edit.stacked.len() + number;
            numbers[of.stacked_carry(c)] = Some(stacked);
        }
        ys.iter().enumerate().for_each(|(i, &y)| numbers[y] = Some(carries.len() + i));
        let first = carries.len() + ys.len();
        let stacked = (first..first + edit.stacked.len()).collect();
        Some(Edited { recorded, results: numbers, stacked })
    }
}

/// Is it a view that a step makes again at no cost?
pub(crate) fn is_view(op: &Op) -> bool {
    matches!(op, Op::Permute(_) | Op::Reshape(_) | Op::Broadcast(_) | Op::Slice(_))
}

/// Builds a graph anew with other loops: `record` is asked for every loop, by its number and with its
/// operands in the new graph, and answers its results by number, those that are used at least.
pub(crate) fn replace(
    g: &Graph,
    families: &[Family],
    cx: &mut PassCx<'_>,
    (rule, class): (&str, Class),
    mut record: impl FnMut(&Graph, usize, &[NodeId]) -> Option<Vec<Option<NodeId>>>,
) -> Outcome {
    let firsts: HashMap<NodeId, usize> =
        families.iter().enumerate().map(|(number, family)| (family.first(), number)).collect();
    let mut results: HashMap<NodeId, NodeId> = HashMap::new();
    let (new, map) = g.rebuild(|new, old, _, inputs| {
        if let Some(&number) = firsts.get(&old)
            && cx.may(rule, class)
        {
            let start = new.len();
            if let Some(values) = record(new, number, inputs) {
                let live = families[number].live.iter();
                results.extend(live.filter_map(|&(id, result)| Some((id, values[result]?))));
                cx.applied(rule, g, old, Totals::since(new, start) - Totals::of_node(g, old));
            }
        }
        results.get(&old).map_or(Rewrite::Keep, |&id| Rewrite::Replace(id))
    });
    if results.is_empty() { Outcome::Unchanged } else { Outcome::Changed(new, map) }
}
