//! The graph in which every node has only what is needed of it.

use std::collections::HashMap;

use pleach_graph::{Node, NodeId, NodeMap, Rewrite};
use pleach_ops::{Add, Broadcast, Concat, Constant, Full, Graph, MatMul, Op, Reshape, Take, Var};
use pleach_tensor::{I64, Tensor, Type};

use super::axes::{Form, lengths, places, some};
use super::known::Facts;
use super::plan::{Step, Term};
use crate::{Delta, Totals};

/// A rule that fired at a node of the old graph.
pub(super) type Fired = (&'static str, NodeId, Delta);

/// The new graph, where whole nodes went, and the rules that fired.
pub(super) fn build(
    g: &Graph,
    facts: &Facts,
    steps: &[Option<Step>],
) -> (Graph, NodeMap, Vec<Fired>) {
    let mut fired = Vec::new();
    let mut builder = Builder { g, facts, steps, at: vec![None; g.len()], biased: HashMap::new() };
    let (new, map) = g.rebuild(|new, old, node, _| {
        let Some(step) = &steps[old.index()] else {
            return if node.inputs.is_empty() { Rewrite::Keep } else { Rewrite::Drop };
        };
        let start = new.len();
        let made = builder.push(new, node, step).and_then(|id| builder.fill(new, old, id, step));
        let Some(id) = made else { return Rewrite::Drop };
        builder.at[old.index()] = Some(id);
        if let Some(rule) = step.rule {
            fired.push((rule, old, Totals::since(new, start) - Totals::of_node(g, old)));
        }
        Rewrite::Replace(id)
    });
    (new, map, fired)
}

struct Builder<'a> {
    g: &'a Graph,
    facts: &'a Facts,
    steps: &'a [Option<Step>],
    at: Vec<Option<NodeId>>,
    /// Sums of a product and what all its rows have in common.
    biased: HashMap<NodeId, [NodeId; 2]>,
}

impl Builder<'_> {
    /// What is wanted of an old value.
    fn get(&self, new: &Graph, x: NodeId, want: &Form) -> Option<NodeId> {
        let mut id = self.at[x.index()]?;
        let there = &self.steps[x.index()].as_ref()?.there;
        for (axis, &len) in self.g.ty(x).shape().iter().enumerate() {
            if there[axis] != want[axis] {
                id = picked(new, id, axis, &places(&there[axis], &want[axis], len));
            }
        }
        Some(id)
    }

    /// What is computed of a node.
    fn push(&mut self, new: &Graph, node: &Node<Op>, step: &Step) -> Option<NodeId> {
        let ty = || node.ty.with_shape(lengths(node.ty.shape(), &step.computed)).ok();
        match &node.op {
            Op::Full(full) => return Some(new.push(Full::new(&ty()?, full.value()).into(), &[])),
            Op::MatMul(_) => return self.product(new, node, step),
            _ => {}
        }
        let inputs: Vec<NodeId> = node
            .inputs
            .iter()
            .zip(&step.operands)
            .map(|(&x, want)| self.get(new, x, want))
            .collect::<Option<_>>()?;
        let op = match &node.op {
            Op::Broadcast(_) => Broadcast::new(ty()?.shape()).into(),
            Op::Reshape(_) => Reshape::new(ty()?.shape()).into(),
            Op::Add(_) => return Some(self.sum(new, inputs[0], inputs[1])),
            op => op.clone(),
        };
        Some(new.push(op, &inputs))
    }

    /// A product without the terms that are known, and what those are for all rows or columns.
    fn product(&mut self, new: &Graph, node: &Node<Op>, step: &Step) -> Option<NodeId> {
        let last = node.ty.rank() - 1;
        let of = |term| some(step.terms.iter().map(|&t| t == term).collect());
        let side = |slot: usize, term| {
            let mut want = step.operands[slot].clone();
            want[last - slot] = of(term);
            self.get(new, node.inputs[slot], &want)
        };
        let mut y = new.push(node.op.clone(), &[side(0, Term::Kept)?, side(1, Term::Kept)?]);
        let (shape, mut biased) = (new.ty(y).shape().clone(), None);
        for (term, slot) in [(Term::Left, 0), (Term::Right, 1)] {
            let known: Vec<f64> = (0..step.terms.len())
                .filter(|&k| step.terms[k] == term)
                .filter_map(|k| self.facts.at(node.inputs[slot], last - slot, k))
                .collect();
            if known.is_empty() {
                continue;
            }
            let n = known.len();
            let ty = Type::new(node.ty.dtype(), if slot == 0 { [1, n] } else { [n, 1] }).ok()?;
            let numbers = new.push(Constant::new(Tensor::build(&ty, |i| known[i])).into(), &[]);
            let wide = [&shape[..last - 1], ty.shape()].concat();
            let numbers = new.push(Broadcast::new(&wide).into(), &[numbers]);
            let other = side(1 - slot, term)?;
            let factors = if slot == 0 { [numbers, other] } else { [other, numbers] };
            let bias = new.push(MatMul.into(), &factors);
            let product = y;
            let spread = new.push(Broadcast::new(&shape).into(), &[bias]);
            y = new.push(Add.into(), &[product, spread]);
            biased = Some((y, [product, bias]));
        }
        self.biased.extend(biased);
        Some(y)
    }

    /// `a + b`; what all rows of a product have in common goes into the bias that is added to it.
    fn sum(&self, new: &Graph, a: NodeId, b: NodeId) -> NodeId {
        for (y, spread) in [(a, b), (b, a)] {
            let Some(&[product, bias]) = self.biased.get(&y) else { continue };
            let (node, shape) = (new.node(spread), new.ty(y).shape().clone());
            let Some(&own) = node.inputs.first().filter(|_| matches!(node.op, Op::Broadcast(_)))
            else {
                continue;
            };
            let Some(small) = new.ty(own).shape().broadcast(new.ty(bias).shape()) else { continue };
            if small.iter().product::<usize>() < shape.iter().product() {
                let both = [own, bias].map(|x| new.push(Broadcast::new(&small).into(), &[x]));
                let both = new.push(Add.into(), &both);
                let spread = new.push(Broadcast::new(&shape).into(), &[both]);
                return new.push(Add.into(), &[product, spread]);
            }
        }
        new.push(Add.into(), &[a, b])
    }

    /// The slices that are known, between those that are computed.
    fn fill(&self, new: &Graph, old: NodeId, id: NodeId, step: &Step) -> Option<NodeId> {
        let mut id = id;
        for (axis, &len) in self.g.ty(old).shape().iter().enumerate() {
            if step.computed[axis] == step.there[axis] {
                continue;
            }
            let has = |of: &Form, i: usize| of[axis].as_ref().is_none_or(|of| of[i]);
            // Runs of slices that are computed, or are one number.
            let mut runs: Vec<(Option<u64>, usize)> = Vec::new();
            for i in (0..len).filter(|&i| has(&step.there, i)) {
                let known = self.facts.at(old, axis, i).filter(|_| !has(&step.computed, i));
                let known = known.map(f64::to_bits);
                match runs.last_mut() {
                    Some((same, n)) if *same == known => *n += 1,
                    _ => runs.push((known, 1)),
                }
            }
            let (ty, mut next) = (new.ty(id).clone(), 0);
            let mut parts = Vec::with_capacity(runs.len());
            for (known, n) in runs {
                parts.push(match known {
                    Some(bits) => {
                        let ty = ty.with_shape(ty.shape().with_axis(axis, n)).ok()?;
                        new.push(Full::new(&ty, f64::from_bits(bits)).into(), &[])
                    }
                    None => {
                        let part = picked(new, id, axis, &(next..next + n).collect::<Vec<_>>());
                        next += n;
                        part
                    }
                });
            }
            id = new.push(Concat::new(axis).into(), &parts);
        }
        Some(id)
    }
}

/// Some slices of a value along an axis, in order.
fn picked(g: &Graph, x: NodeId, axis: usize, places: &[usize]) -> NodeId {
    let value = Var::new(g, x);
    let (first, n) = (places.first().copied().unwrap_or(0), places.len());
    if n == value.shape()[axis] {
        return x;
    }
    if places.last() == Some(&(first + n - 1)) {
        return value.slice(axis as i64, first..first + n).id();
    }
    let indices = Type::new(I64, [n]).map(|ty| Tensor::build_i64(&ty, |i| places[i] as i64));
    let Ok(indices) = indices else { return x };
    let indices = g.push(Constant::new(indices).into(), &[]);
    g.push(Take::new(axis).into(), &[x, indices])
}
