//! What every node has to compute, from the outputs to the inputs.

use pleach_graph::{Node, NodeId};
use pleach_ops::{Graph, Op};

use super::axes::{Form, either, groups, lengths, some, through};
use super::known::{Facts, is_elementwise};

/// What else may be done about slices that are known, besides leaving out terms that are zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// Terms with a known factor are added up once.
    pub(super) terms: bool,
    /// What is needed whole is computed where it is not known, and filled up.
    pub(super) filled: bool,
}

/// One term of the elements of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Term {
    Kept,
    /// It is zero.
    Dead,
    /// Its factor on the left, or on the right, is one number.
    Left,
    Right,
}

/// What becomes of a node.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// What of it there is.
    pub(super) there: Form,
    /// What of that is computed; the rest is known.
    pub(super) computed: Form,
    /// What is needed of its operands.
    pub(super) operands: Vec<Form>,
    /// Of a product.
    pub(super) terms: Vec<Term>,
    /// The rule that fires here.
    pub(super) rule: Option<&'static str>,
}

/// Most parts that known slices may cut a value into.
const PARTS: usize = 16;

/// A step for every node that is needed.
pub(super) struct Plan<'a> {
    g: &'a Graph,
    facts: &'a Facts,
    choice: Choice,
}

impl<'a> Plan<'a> {
    /// The steps; `None` if no rule fires.
    pub(super) fn of(g: &'a Graph, facts: &'a Facts, choice: Choice) -> Option<Vec<Option<Step>>> {
        let plan = Plan { g, facts, choice };
        let mut needs: Vec<Option<Form>> = vec![None; g.len()];
        for root in g.roots() {
            for id in [Some(root.value), root.target].into_iter().flatten() {
                needs[id.index()] = Some(vec![None; g.ty(id).rank()]);
            }
        }
        let mut steps: Vec<Option<Step>> = (0..g.len()).map(|_| None).collect();
        let mut fires = false;
        for i in (0..g.len()).rev() {
            let Some(need) = needs[i].take() else { continue };
            let id = NodeId::new(i);
            let node = g.node(id);
            let step = plan.step(id, &node, need);
            for (x, form) in node.inputs.iter().zip(&step.operands) {
                let need = &mut needs[x.index()];
                *need = Some(need.as_ref().map_or_else(|| form.clone(), |n| either(n, form)));
            }
            fires |= step.rule.is_some();
            steps[i] = Some(step);
        }
        fires.then_some(steps)
    }

    fn step(&self, id: NodeId, node: &Node<Op>, need: Form) -> Step {
        let of = |x: &NodeId| self.g.ty(*x).shape().to_vec();
        let shapes: Vec<Vec<usize>> = node.inputs.iter().map(of).collect();
        let form = |there: Form, operands| Step {
            computed: there.clone(),
            there,
            operands,
            ..Step::default()
        };
        let only = |there: Form, operand| form(there, vec![operand]);
        let whole = || {
            let all = shapes.iter().map(|shape| vec![None; shape.len()]).collect();
            form(vec![None; node.ty.rank()], all)
        };
        let without = |axes: &dyn Fn(usize) -> bool| -> Form {
            let keep = |(i, need): (usize, &Option<Vec<bool>>)| need.clone().filter(|_| !axes(i));
            need.iter().enumerate().map(keep).collect()
        };
        match &node.op {
            Op::Full(_) => form(need, vec![]),
            Op::Broadcast(_) => {
                let added = need.len() - shapes[0].len();
                let own = |(i, &n): (usize, &usize)| {
                    need[added + i].clone().filter(|_| n == node.ty.shape()[added + i])
                };
                let operand = shapes[0].iter().enumerate().map(own).collect();
                only(need, operand)
            }
            Op::Permute(p) => {
                let mut operand = vec![None; need.len()];
                p.order().iter().zip(&need).for_each(|(&axis, need)| operand[axis] = need.clone());
                only(need, operand)
            }
            Op::Reshape(_) => match groups(&shapes[0], node.ty.shape()) {
                Some(groups) => {
                    let (below, above) = through(&groups, shapes[0].len(), &need);
                    only(above, below)
                }
                None => whole(),
            },
            Op::Windows(windows) => {
                let rank = shapes[0].len();
                let own = |i| i >= rank || windows.windows().iter().any(|w| w.axis == i);
                let there = without(&own);
                let operand = there[..rank].to_vec();
                only(there, operand)
            }
            Op::Pad(pad) => {
                let there = without(&|i| pad.widths()[i] != (0, 0));
                only(there.clone(), there)
            }
            Op::Sum(sum) => {
                let mut left = need.iter();
                let x = node.inputs[0];
                let along = |(axis, &n): (usize, &usize)| {
                    if !sum.axes().contains(&axis) {
                        return left.next().cloned().flatten();
                    }
                    let dead = |i| self.facts.at(x, axis, i) == Some(0.0);
                    let kept: Vec<bool> = (0..n).map(|i| !dead(i)).collect();
                    some(kept).filter(|kept| kept.contains(&true))
                };
                let operand: Form = shapes[0].iter().enumerate().map(along).collect();
                let less = sum.axes().iter().any(|&axis| operand[axis].is_some());
                Step { rule: less.then_some(super::DEAD), ..only(need, operand) }
            }
            Op::MatMul(_) => self.product(id, node, need, &shapes),
            op if is_elementwise(op) && !shapes.is_empty() => {
                let computed = self.unknown(id, &need);
                let rule = (computed != need).then_some(super::FILLED);
                let operands = vec![computed.clone(); shapes.len()];
                Step { there: need, computed, operands, rule, ..Step::default() }
            }
            _ => whole(),
        }
    }

    fn product(&self, id: NodeId, node: &Node<Op>, need: Form, shapes: &[Vec<usize>]) -> Step {
        let computed = self.unknown(id, &need);
        let ([a, b], last) = ([node.inputs[0], node.inputs[1]], need.len() - 1);
        let lens = lengths(node.ty.shape(), &computed);
        let float = self.choice.terms && node.ty.dtype().is_float();
        let many = |axis: usize| float && lens[axis] > 1;
        let finite = [self.facts.is_finite(a), self.facts.is_finite(b)];
        let term = |k: usize| match (self.facts.at(a, last, k), self.facts.at(b, last - 1, k)) {
            (Some(0.0), other) if finite[1] || other.is_some() => Term::Dead,
            (other, Some(0.0)) if finite[0] || other.is_some() => Term::Dead,
            (Some(_), _) if many(last - 1) => Term::Left,
            (_, Some(_)) if many(last) => Term::Right,
            _ => Term::Kept,
        };
        let mut terms: Vec<Term> = (0..shapes[0][last]).map(term).collect();
        if !terms.contains(&Term::Kept)
            && let Some(first) = terms.first_mut()
        {
            *first = Term::Kept;
        }
        let has = |term| terms.contains(&term);
        let rule = if has(Term::Dead) {
            Some(super::DEAD)
        } else if has(Term::Left) || has(Term::Right) {
            Some(super::TERMS)
        } else {
            (computed != need).then_some(super::FILLED)
        };
        let inner = |also| some(terms.iter().map(|&t| t == Term::Kept || t == also).collect());
        let (mut left, mut right) = (computed.clone(), computed.clone());
        left[last] = inner(Term::Right);
        right[last - 1] = inner(Term::Left);
        Step { there: need, computed, operands: vec![left, right], terms, rule }
    }

    /// What is needed and not known, if that is something and in few parts.
    fn unknown(&self, id: NodeId, need: &Form) -> Form {
        let along = |(axis, need): (usize, &Option<Vec<bool>>)| {
            let known = self.facts.along(id, axis).as_ref().filter(|_| self.choice.filled);
            let Some(known) = known else { return need.clone() };
            let needed = |i: usize| need.as_ref().is_none_or(|need| need[i]);
            let left: Vec<bool> =
                known.iter().enumerate().map(|(i, c)| c.is_none() && needed(i)).collect();
            let own: Vec<usize> = (0..left.len()).filter(|&i| needed(i)).collect();
            let cuts = own.windows(2).filter(|w| known[w[0]] != known[w[1]]).count();
            if left.contains(&true) && cuts < PARTS { some(left) } else { need.clone() }
        };
        need.iter().enumerate().map(along).collect()
    }
}
