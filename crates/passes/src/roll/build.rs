//! Records a loop in the place of its steps.

use std::collections::HashMap;

use pleach_graph::NodeId;
use pleach_ops::shape::slice::Range;
use pleach_ops::{Constant, Graph, Loop, Op, Slice, Var};
use pleach_tensor::{Tensor, Type};

use super::letter::From;
use super::step::{PartSum, Rolled};
use super::tape::Tape;
use crate::all_steps::{Value, all_steps};
use crate::family::is_view;

/// A loop that was recorded.
#[derive(Debug)]
pub(super) struct Built {
    /// The last value of this place of a step.
    carries: HashMap<usize, NodeId>,
    /// What this place of a step is in all steps.
    stacks: HashMap<usize, NodeId>,
}

impl Built {
    /// What an operator of a step is now, if something after the loop uses it.
    pub(super) fn value(
        &self,
        new: &Graph,
        tape: &Tape<'_>,
        of: &Rolled,
        place: usize,
    ) -> Option<NodeId> {
        let (step, offset) = of.split(place);
        if !of.is_used(tape, step, offset) {
            return None;
        }
        match self.carries.get(&offset) {
            Some(&last) if step + 1 == of.steps => Some(last),
            _ => {
                let stack = Var::new(new, *self.stacks.get(&offset)?);
                let at = of.slice(step);
                Some(stack.slice(0, at..at + 1).squeeze(0).id())
            }
        }
    }
}

/// The parts that a moving slice is, along a new first axis.
fn windows(new: &Graph, x: NodeId, of: &Rolled, slice: &Slice, axis: usize) -> NodeId {
    let mut ranges: Vec<Range> = slice.ranges().to_vec();
    let wide = ranges[axis].count();
    // The slice is that of the first step: the last part, if the loop goes back.
    let first = ranges[axis].start - if of.reverse { (of.steps - 1) * wide } else { 0 };
    ranges[axis] = Range { start: first, stop: first + of.steps * wide, step: 1 };
    let x = Var::new(new, x);
    let all = x.record(Slice::new(&ranges), &[x]);
    let mut shape = all.shape().to_vec();
    shape[axis] = of.steps;
    shape.insert(axis + 1, wide);
    let mut order: Vec<i64> = (0..shape.len() as i64).collect();
    order[..=axis].rotate_right(1);
    all.reshape(shape).permute(&order).id()
}

/// Records loop `number` in the new graph; `places` are those of the old nodes in it, sources aside
/// that come later.
pub(super) fn build(
    new: &Graph,
    tape: &Tape<'_>,
    loops: &[Rolled],
    number: usize,
    built: &[Option<Built>],
    places: &mut [Option<NodeId>],
) -> Option<Built> {
    let of = &loops[number];
    let mut at = |id: NodeId| place(new, tape, places, id);
    // Carries: what a place of a step is before the first one. It may be two values.
    let mut carries: Vec<(usize, NodeId)> = Vec::new();
    let mut slices: Vec<NodeId> = Vec::new();
    // For every operand, its carry or slice.
    let mut given: HashMap<(usize, usize), usize> = HashMap::new();
    for (i, letter) in of.letters.iter().enumerate() {
        let node = &tape.nodes[of.start + i];
        for (slot, from) in letter.from.iter().enumerate() {
            match *from {
                From::Before(_) if of.sums.iter().any(|sum| sum.add == i) => {}
                From::Before(n) if n > i => {
                    let carry = (i + of.period - n, at(letter.operand(tape, of.start + i, slot))?);
                    given.insert((i, slot), known(&mut carries, carry));
                }
                From::Of { number, offset, by } => {
                    let (stack, other) =
                        (built[number].as_ref()?.stacks.get(&offset)?, &loops[number]);
                    let first =
                        other.split(tape.place(letter.operand(tape, of.start + i, slot))?).0;
                    let last = first.checked_add_signed(by * (of.steps as isize - 1))?;
                    let (a, b) = (other.slice(first), other.slice(last));
                    let part = Var::new(new, *stack).slice(0, a.min(b)..a.max(b) + 1).id();
                    given.insert((i, slot), known(&mut slices, part));
                }
                From::Part { axis, .. } => {
                    let (_, part) = tape.part(letter.operand(tape, of.start + i, slot))?;
                    let Op::Slice(slice) = tape.g.op(part) else { return None };
                    let x = at(tape.g.node(part).inputs[0])?;
                    let all = windows(new, x, of, &slice, axis);
                    given.insert((i, slot), known(&mut slices, all));
                }
                From::Number => {
                    let id = |step| letter.operand(tape, of.start + step * of.period + i, slot);
                    let mut ids: Vec<NodeId> = (0..of.steps).map(id).collect();
                    if of.reverse {
                        ids.reverse();
                    }
                    given.insert((i, slot), known(&mut slices, numbers(new, tape.g, &ids)?));
                }
                From::Before(_) | From::Same(_) => {}
            }
        }
        if let (Some((axis, _)), Op::Slice(slice)) = (letter.window, &node.op) {
            let all = windows(new, at(node.inputs[0])?, of, slice, axis);
            given.insert((i, 0), known(&mut slices, all));
        }
    }
    let inits: Vec<NodeId> = carries.iter().map(|(_, init)| *init).collect();
    let mut same: HashMap<NodeId, NodeId> = HashMap::new();
    for from in of.letters.iter().flat_map(|letter| &letter.from) {
        if let From::Same(id) = from {
            same.insert(*id, at(*id)?);
        }
    }
    // What is used of all steps: views of what the loop is given are views of that.
    let mut views: HashMap<usize, NodeId> = HashMap::new();
    for (i, letter) in of.letters.iter().enumerate() {
        let node = &tape.nodes[of.start + i];
        let inner = match letter.from[..] {
            [From::Before(n)] if n <= i && is_view(&node.op) => views.get(&(i - n)).copied(),
            [From::Of { .. }] if is_view(&node.op) => Some(slices[given[&(i, 0)]]),
            _ => None,
        };
        let all = match (&node.op, inner) {
            (Op::Slice(_), _) if letter.window.is_some() => Some(slices[given[&(i, 0)]]),
            (_, Some(x)) => all_steps(new, node, &[Value::Stacked(x)], of.steps),
            _ => None,
        };
        views.extend(all.map(|id| (i, id)));
    }
    let mut stacks = of.stacks(tape);
    stacks.retain(|offset| !views.contains_key(offset));
    let step = |params: &[NodeId]| {
        let (carried, sliced) = params.split_at(carries.len());
        let mut values: Vec<NodeId> = Vec::with_capacity(of.period);
        for (i, letter) in of.letters.iter().enumerate() {
            let node = &tape.nodes[of.start + i];
            if letter.window.is_some() && matches!(node.op, Op::Slice(_)) {
                values.push(sliced[given[&(i, 0)]]);
                continue;
            }
            if let Some(sum) = of.sums.iter().find(|sum| sum.pad == i || sum.add == i) {
                // Nothing in the loop uses it.
                values.push(values[sum.part]);
                continue;
            }
            let operand = |(slot, from): (usize, &From)| match *from {
                From::Same(id) => match tape.g.op(id) {
                    Op::Full(full) => new.push(full.into(), &[]),
                    _ => same[&id],
                },
                From::Before(n) if n <= i => values[i - n],
                From::Before(_) => carried[given[&(i, slot)]],
                From::Of { .. } | From::Number => sliced[given[&(i, slot)]],
                From::Part { .. } => {
                    let part = tape.part(letter.operand(tape, of.start + i, slot));
                    let views = part.map(|(views, _)| views).unwrap_or_default();
                    let x = sliced[given[&(i, slot)]];
                    views.iter().rev().fold(x, |x, &view| new.push(tape.g.op(view), &[x]))
                }
            };
            let inputs: Vec<NodeId> = letter.from.iter().enumerate().map(operand).collect();
            values.push(new.push(node.op.clone(), &inputs));
        }
        let results = carries.iter().map(|(offset, _)| *offset).chain(stacks.iter().copied());
        results.map(|offset| values[offset]).collect()
    };
    let recorded = Loop::record(new, (of.steps, of.reverse), &inits, &slices, step)?;
    let numbered = carries.iter().enumerate();
    let last = |(number, (offset, _)): (usize, &(usize, NodeId))| {
        let asked = of.is_used(tape, of.steps - 1, *offset);
        asked.then(|| (*offset, recorded.result(new, number)))
    };
    let mut last: HashMap<usize, NodeId> = numbered.filter_map(last).collect();
    let stacked = stacks.iter().enumerate();
    views.extend(stacked.map(|(i, &at)| (at, recorded.result(new, carries.len() + i))));
    for sum in &of.sums {
        let letter = &of.letters[sum.add];
        let own = letter.from.iter().position(|from| *from == From::Before(of.period))?;
        let init = at(letter.operand(tape, of.start + sum.add, own))?;
        last.insert(sum.add, joined(new, tape, of, sum, (init, *views.get(&sum.part)?))?);
    }
    Some(Built { carries: last, stacks: views })
}

/// What a carry is after all steps added their parts to it.
fn joined(
    new: &Graph,
    tape: &Tape<'_>,
    of: &Rolled,
    sum: &PartSum,
    (init, parts): (NodeId, NodeId),
) -> Option<NodeId> {
    let (Op::Pad(pad), Some((axis, _))) =
        (&tape.nodes[of.start + sum.pad].op, of.letters[sum.pad].window)
    else {
        return None;
    };
    let parts = Var::new(new, parts);
    let mut order: Vec<i64> = (0..parts.shape().rank() as i64).collect();
    order[..=axis].rotate_left(1);
    let mut shape = parts.shape().without(&[0]).to_vec();
    let rest = (of.steps - 1) * shape[axis];
    shape[axis] *= of.steps;
    let mut widths = pad.widths().to_vec();
    let (before, after) = &mut widths[axis];
    *if of.reverse { before } else { after } -= rest;
    // Zeros were added to all of it, so no zero is negative.
    let init = Var::new(new, init) + 0.0;
    Some((init + parts.permute(&order).reshape(shape).pad(&widths)).id())
}

/// Scalar constants as one vector.
fn numbers(new: &Graph, g: &Graph, ids: &[NodeId]) -> Option<NodeId> {
    let value = |id: &NodeId| match g.op(*id) {
        Op::Constant(constant) => Some(constant.value().clone()),
        _ => None,
    };
    let values: Vec<Tensor> = ids.iter().map(value).collect::<Option<_>>()?;
    let ty = Type::new(values.first()?.dtype(), [values.len()]).ok()?;
    let all = match ty.dtype().is_float() {
        true => Tensor::build(&ty, |i| values[i].to_f64s()[0]),
        false => Tensor::build_i64(&ty, |i| values[i].to_i64s()[0]),
    };
    Some(new.push(Constant::new(all).into(), &[]))
}

/// Where a list has an item, at its end if it was not there.
fn known<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|other| *other == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

/// Where an old node is in the new graph. Sources and views of them are recorded if they come later.
fn place(
    new: &Graph,
    tape: &Tape<'_>,
    places: &mut [Option<NodeId>],
    id: NodeId,
) -> Option<NodeId> {
    if places[id.index()].is_none() && tape.place(id).is_none() {
        let node = tape.g.node(id);
        let inputs: Vec<NodeId> =
            node.inputs.iter().map(|&x| place(new, tape, places, x)).collect::<Option<_>>()?;
        places[id.index()] = Some(new.push(node.op.clone(), &inputs));
    }
    places[id.index()]
}
