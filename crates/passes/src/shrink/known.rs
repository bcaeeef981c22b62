//! What is known before a run: which slices of a value are all one number, and which values are finite.

use pleach_graph::{Node, NodeId, Operator, Traits};
use pleach_ops::{Graph, Op};
use pleach_tensor::{Tensor, Type};
use smallvec::SmallVec;

use super::axes::{Group, groups};
use crate::{Evaluate, Range};

/// Of every index along an axis, the number that all elements there are; `None` if none is known.
pub(super) type Along = Option<Vec<Option<f64>>>;

/// Most elements of a constant that is looked at.
const MOST: usize = 1 << 24;

/// What is known about the values of a graph, by index.
#[derive(Debug)]
pub(super) struct Facts {
    known: Vec<Vec<Along>>,
    finite: Vec<bool>,
}

impl Facts {
    /// `finite`: is every value said to be finite?
    pub(super) fn of(g: &Graph, live: &[bool], evaluate: Evaluate<'_>, finite: bool) -> Facts {
        let is_finite = |range: &Range| finite || range.is_finite();
        let finite = Range::of_all(g, live).iter().map(is_finite).collect();
        let mut facts = Facts { known: Vec::with_capacity(g.len()), finite };
        for id in g.ids() {
            let node = g.node(id);
            let known = if live[id.index()] { facts.slices(g, &node, evaluate) } else { None };
            facts.known.push(known.unwrap_or_else(|| vec![None; node.ty.rank()]));
        }
        facts
    }

    /// What is known along an axis of a value.
    pub(super) fn along(&self, x: NodeId, axis: usize) -> &Along {
        self.known[x.index()].get(axis).unwrap_or(&None)
    }

    /// The number that a slice of a value is.
    pub(super) fn at(&self, x: NodeId, axis: usize, i: usize) -> Option<f64> {
        *self.along(x, axis).as_ref()?.get(i)?
    }

    pub(super) fn is_finite(&self, x: NodeId) -> bool {
        self.finite[x.index()]
    }

    fn slices(&self, g: &Graph, node: &Node<Op>, evaluate: Evaluate<'_>) -> Option<Vec<Along>> {
        let (shape, x) = (node.ty.shape(), node.inputs.first().copied());
        let from = |axis: usize| x.and_then(|x| self.along(x, axis).clone());
        let all = |c: f64| shape.iter().map(|&n| usable(c).then(|| vec![Some(c); n])).collect();
        let each = |f: &dyn Fn(usize) -> Along| Some((0..shape.rank()).map(f).collect());
        match &node.op {
            Op::Full(full) => Some(all(full.value())),
            Op::Constant(c) => Some(slices_of(c.value())),
            Op::Iota(_) if node.ty.numel() <= MOST => {
                Some(slices_of(&evaluate(&node.op, &[], &node.ty).ok()?))
            }
            Op::Broadcast(_) => {
                let of = g.ty(x?);
                if let (0, Some(c)) = (of.rank(), scalar(&g.op(x?))) {
                    return Some(all(c));
                }
                let own = |axis: usize| (axis + of.rank()).checked_sub(shape.rank());
                each(&|axis| from(own(axis).filter(|&i| of.shape()[i] == shape[axis])?))
            }
            Op::Permute(p) => each(&|axis| from(p.order()[axis])),
            Op::Reshape(_) => {
                let mut known = vec![None; shape.rank()];
                for group in groups(g.ty(x?).shape(), shape)? {
                    group.carry(&|axis| from(axis), &mut known);
                }
                Some(known)
            }
            Op::Windows(w) => {
                let rank = g.ty(x?).rank();
                let own = |axis: usize| axis >= rank || w.windows().iter().any(|w| w.axis == axis);
                each(&|axis| if own(axis) { None } else { from(axis) })
            }
            Op::Pad(pad) => each(&|axis| {
                let around = |(i, w): (usize, &(usize, usize))| i != axis && *w != (0, 0);
                let alone = !pad.widths().iter().enumerate().any(around);
                let (before, after) = pad.widths()[axis];
                let value = pad.value();
                let kept = |c: &Option<f64>| c.filter(|&c| alone || c == value);
                let own = match from(axis) {
                    Some(own) => own.iter().map(kept).collect(),
                    None => vec![None; shape[axis] - before - after],
                };
                let zeros = |n| vec![Some(value).filter(|&v| usable(v)); n];
                tidy([zeros(before), own, zeros(after)].concat())
            }),
            Op::MatMul(_) => {
                let (a, b, rank) = (x?, node.inputs[1], shape.rank());
                let zeros = |x: NodeId, axis: usize, other: NodeId| {
                    let zero = |c: &Option<f64>| c.filter(|&c| c == 0.0 && self.is_finite(other));
                    tidy(self.along(x, axis).as_ref()?.iter().map(zero).collect())
                };
                each(&|axis| match rank - axis {
                    2 => zeros(a, axis, b),
                    1 => zeros(b, axis, a),
                    _ => None,
                })
            }
            Op::Sum(sum) => {
                let left: Vec<usize> =
                    (0..g.ty(x?).rank()).filter(|i| !sum.axes().contains(i)).collect();
                let zero = |c: &Option<f64>| c.filter(|&c| c == 0.0);
                each(&|axis| tidy(from(left[axis])?.iter().map(zero).collect()))
            }
            op if is_elementwise(op) && x.is_some() => {
                each(&|axis| self.elementwise(g, node, axis, evaluate))
            }
            _ => None,
        }
    }

    /// What an elementwise operator makes of slices along an axis.
    fn elementwise(
        &self,
        g: &Graph,
        node: &Node<Op>,
        axis: usize,
        evaluate: Evaluate<'_>,
    ) -> Along {
        let x = &node.inputs;
        if x.iter().all(|&x| self.along(x, axis).is_none()) {
            return None;
        }
        let types: Vec<Type> = x.iter().map(|&x| Type::scalar(g.ty(x).dtype())).collect();
        let ty = node.op.infer(&types.iter().collect::<Vec<_>>()).ok()?;
        let mut last: Option<(Vec<u64>, Option<f64>)> = None;
        let slice = |i: usize| {
            let at = |slot: usize| self.at(x[slot], axis, i);
            let zero = |a: usize, b: usize| at(a) == Some(0.0) && self.is_finite(x[b]);
            match &node.op {
                Op::Select(_) if at(0).is_some() => {
                    return at(if at(0) == Some(0.0) { 2 } else { 1 });
                }
                Op::Mul(_) if zero(0, 1) || zero(1, 0) => return Some(0.0),
                _ => {}
            }
            let numbers: Vec<f64> = (0..x.len()).map(at).collect::<Option<_>>()?;
            let bits: Vec<u64> = numbers.iter().map(|c| c.to_bits()).collect();
            if let Some((same, value)) = &last
                && *same == bits
            {
                return *value;
            }
            let scalars: Vec<Tensor> =
                types.iter().zip(&numbers).map(|(ty, &c)| Tensor::full(ty, c)).collect();
            let value = evaluate(&node.op, &scalars.iter().collect::<Vec<_>>(), &ty).ok();
            let value = value.and_then(|value| value.item()).filter(|&c| usable(c));
            last = Some((bits, value));
            value
        };
        tidy((0..node.ty.shape()[axis]).map(slice).collect())
    }
}

/// Does the operator compute every element from those at the same place, by its value alone?
pub(super) fn is_elementwise(op: &Op) -> bool {
    let own = matches!(op, Op::Custom(_) | Op::StraightThrough(_)) || op.family().is_some();
    op.traits().has(Traits::ELEMENTWISE) && !op.traits().has(Traits::RANDOM) && !own
}

/// Finite, and if it is an integer, held exactly.
fn usable(c: f64) -> bool {
    c.abs() < 9e15
}

fn scalar(op: &Op) -> Option<f64> {
    match op {
        Op::Full(full) => Some(full.value()),
        Op::Constant(c) => c.value().item(),
        _ => None,
    }
}

/// `None` if nothing is known.
fn tidy(along: Vec<Option<f64>>) -> Along {
    along.iter().any(Option::is_some).then_some(along)
}

/// Along every axis of a constant, which slices are one number.
fn slices_of(value: &Tensor) -> Vec<Along> {
    let shape = value.shape();
    if value.numel() == 0 || value.numel() > MOST {
        return vec![None; shape.rank()];
    }
    let (all, strides) = (value.to_f64s(), shape.strides());
    let along = |axis: usize| {
        // Of every slice its first element, and whether the others are equal to it.
        let mut slices: SmallVec<[Option<f64>; 8]> =
            (0..shape[axis]).map(|i| Some(all[i * strides[axis]]).filter(|&c| usable(c))).collect();
        for (i, v) in all.iter().enumerate() {
            let slice = &mut slices[i / strides[axis] % shape[axis]];
            *slice = slice.filter(|c| c.to_bits() == v.to_bits());
        }
        tidy(slices.to_vec())
    };
    (0..shape.rank()).map(along).collect()
}

impl Group {
    /// Takes what is known along axes before a reshape to axes after it.
    fn carry(&self, from: &dyn Fn(usize) -> Along, to: &mut [Along]) {
        match (&self.from[..], &self.to[..]) {
            (&[(a, _)], &[(b, _)]) => to[b] = from(a),
            (many, &[(b, len)]) => {
                let mut known = vec![None; len];
                let mut inner = len;
                for &(axis, n) in many {
                    inner /= n;
                    let Some(along) = from(axis) else { continue };
                    let set =
                        |(i, at): (usize, &mut Option<f64>)| *at = at.or(along[i / inner % n]);
                    known.iter_mut().enumerate().for_each(set);
                }
                to[b] = tidy(known);
            }
            (&[(a, len)], many) => {
                let Some(along) = from(a) else { return };
                let mut inner = len;
                for &(axis, n) in many {
                    inner /= n;
                    let same = |i: usize| {
                        let mut own = (0..len).filter(|j| j / inner % n == i).map(|j| along[j]);
                        let first = own.next()??;
                        own.all(|c| c == Some(first)).then_some(first)
                    };
                    to[axis] = tidy((0..n).map(same).collect());
                }
            }
            _ => {}
        }
    }
}
