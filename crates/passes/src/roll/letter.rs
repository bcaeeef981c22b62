//! Where the operands of a step come from.

use pleach_graph::{Node, NodeId, Operator, Traits};
use pleach_ops::shape::slice::Range;
use pleach_ops::{Op, Pad, Slice};

use super::runs::Run;
use super::step::Rolled;
use super::tape::Tape;

/// Where an operand of a step comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The same value in all steps.
    Same(NodeId),
    /// What was made so many operators before, in this step or the one before.
    Before(usize),
    /// What a step of another loop made, at this place of it: the step that comes after (1) or before
    /// (-1) the one that the step before uses.
    Of { number: usize, offset: usize, by: isize },
    /// A part of one value, which moves along this axis by its own length; or views of it.
    Part { axis: usize, by: isize },
    /// A number of its own in each step.
    Number,
}

/// An operator of a step.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) from: Vec<From>,
    /// Along which axis it is a part of its operand, or its operand a part of it among zeros, that moves by
    /// its own length, and where to.
    pub(super) window: Option<(usize, isize)>,
}

/// The part that moves so much further along an axis.
fn shifted(op: &Op, axis: usize, by: isize) -> Option<Op> {
    match op {
        Op::Slice(slice) => {
            let mut ranges = slice.ranges().to_vec();
            let r = &mut ranges[axis];
            r.start = r.start.checked_add_signed(by)?;
            r.stop = r.stop.checked_add_signed(by)?;
            Some(Slice::new(&ranges).into())
        }
        Op::Pad(pad) => {
            let mut widths = pad.widths().to_vec();
            let (before, after) = &mut widths[axis];
            *before = before.checked_add_signed(by)?;
            *after = after.checked_add_signed(-by)?;
            Some(Pad::new(&widths).into())
        }
        _ => None,
    }
}

/// Which part of its operand a slice is; which part of it the operand of a pad is.
fn part(node: &Node<Op>) -> Option<Vec<Range>> {
    match &node.op {
        Op::Slice(slice) => Some(slice.ranges().to_vec()),
        Op::Pad(pad) if pad.value().to_bits() == 0 => {
            let axes = pad.widths().iter().zip(&node.ty.shape()[..]);
            let range = |(w, &n): (&(usize, usize), &usize)| Range {
                start: w.0,
                stop: n - w.1.min(n),
                step: 1,
            };
            Some(axes.map(range).collect())
        }
        _ => None,
    }
}

/// Is the second value the same part as the first, so much further along an axis?
fn is_shifted(tape: &Tape<'_>, (a, b): (NodeId, NodeId), axis: usize, by: isize) -> bool {
    let (Some((views, a)), Some((others, b))) = (tape.part(a), tape.part(b)) else { return false };
    let g = tape.g;
    views.iter().map(|&x| g.op(x)).eq(others.iter().map(|&x| g.op(x)))
        && g.node(a).inputs == g.node(b).inputs
        && shifted(&g.op(a), axis, by) == Some(g.op(b))
}

/// The axis along which two ranges differ, and by how much, if it is by their length.
fn moved(a: &[Range], b: &[Range]) -> Option<(usize, isize)> {
    let mut differ = (0..a.len()).filter(|&axis| a[axis] != b[axis]);
    let axis = differ.next()?;
    let (a, b) = (a[axis], b[axis]);
    let by = b.start as isize - a.start as isize;
    let alike = a.step == 1 && b.step == 1 && a.count() == b.count();
    (alike && by.unsigned_abs() == a.count() && differ.next().is_none()).then_some((axis, by))
}

impl Letter {
    /// An operand. Where the order is free, what is the same in all steps is where it is in all steps,
    /// though the first step may begin with another source.
    pub(super) fn operand(&self, tape: &Tape<'_>, at: usize, slot: usize) -> NodeId {
        let operands = &tape.operands[at];
        if let [a, b] = self.from[..]
            && let [x, y] = operands[..]
            && tape.nodes[at].op.traits().has(Traits::COMMUTATIVE)
            && (a == From::Same(y) || b == From::Same(x))
        {
            return [y, x][slot];
        }
        operands[slot]
    }

    /// What the operator at `at` is, if the one a step before is the same.
    pub(super) fn of(tape: &Tape<'_>, found: &[Rolled], run: &Run, at: usize) -> Option<Letter> {
        let before = at - run.period;
        let (a, b) = (&tape.nodes[before], &tape.nodes[at]);
        let window = match (&a.op, &b.op) {
            (x, y) if x == y => None,
            _ => Some(moved(&part(a)?, &part(b)?)?),
        };
        let (x, y) = (&tape.operands[before], &tape.operands[at]);
        let from = |slot: usize| -> Option<From> {
            if x[slot] == y[slot] {
                return Some(From::Same(x[slot]));
            }
            let (x, y) = (x[slot], y[slot]);
            if tape.differs(x) && tape.differs(y) {
                return Some(From::Number);
            }
            let (from, to) = (tape.place(x)?, tape.place(y)?);
            if to == from + run.period && to >= run.start {
                return Some(From::Before(at - to));
            }
            let mut loops = found.iter().enumerate();
            if let Some((number, of)) = loops.find(|(_, of)| of.has(from) && of.has(to)) {
                let ((i, offset), (j, other)) = (of.split(from), of.split(to));
                let by = j as isize - i as isize;
                return (offset == other && by.abs() == 1).then_some(From::Of {
                    number,
                    offset,
                    by,
                });
            }
            let slice = |id| part(&tape.g.node(tape.part(id)?.1));
            let (axis, by) = moved(&slice(x)?, &slice(y)?)?;
            is_shifted(tape, (x, y), axis, by).then_some(From::Part { axis, by })
        };
        let from: Vec<From> = (0..x.len()).map(from).collect::<Option<_>>()?;
        let is_part = match (&b.op, &from[..]) {
            (Op::Slice(_), [From::Same(_)]) | (Op::Pad(_), [From::Before(_)]) => true,
            _ => window.is_none(),
        };
        is_part.then_some(Letter { from, window })
    }

    /// Is the operator at `at` this one, `step` steps after the one at `reference`? In the `first` step
    /// operands that the step before would have made may be any of their type. Answers where such a step
    /// can begin.
    pub(super) fn fits(
        &self,
        tape: &Tape<'_>,
        found: &[Rolled],
        (at, reference): (usize, usize),
        step: isize,
        first: bool,
    ) -> Option<usize> {
        let (node, model) = (&tape.nodes[at], &tape.nodes[reference]);
        let op = match (&model.op, self.window) {
            (op, Some((axis, by))) => node.op == shifted(op, axis, by * step)?,
            (op, None) => node.op == *op,
        };
        if !op || node.ty != model.ty {
            return None;
        }
        let mut after = 0;
        for (slot, from) in self.from.iter().enumerate() {
            let (x, y) = (self.operand(tape, reference, slot), self.operand(tape, at, slot));
            let (place, alike) = (tape.place(y), || tape.g.ty(x) == tape.g.ty(y));
            let good = match *from {
                From::Same(id) => y == id,
                From::Before(n) => {
                    let good = place.is_some() && place == at.checked_sub(n);
                    if !good && first && alike() {
                        // The step begins after what it begins with.
                        let made = place.map_or(0, |place| place + 1);
                        after = after.max((at + 1).saturating_sub(n)).max(made);
                        continue;
                    }
                    good
                }
                From::Of { number, by, .. } => {
                    let of = &found[number];
                    let model = of.split(tape.place(x)?);
                    let index = model.0.checked_add_signed(by * step)?;
                    place == Some(of.start + index * of.period + model.1) && index < of.steps
                }
                From::Part { axis, by } => is_shifted(tape, (x, y), axis, by * step),
                From::Number => tape.differs(y) && alike(),
            };
            if !good {
                return None;
            }
        }
        Some(after)
    }
}
