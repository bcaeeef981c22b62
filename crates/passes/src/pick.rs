//! Picks elements before they are computed with, and adds up what was scattered before it is.
//!
//! ```text
//! %4 = sub %2 %3                      %4 = gather(axis:1) %2 %i
//! %5 = gather(axis:1) %4 %i    =>     %5 = sub %4 %1
//! ```
//! where `%3` is `%1`, broadcast along the axis. So the logarithm of a softmax is taken where there is a
//! label only. And in its gradient,
//! ```text
//! %1 = scatter_add(axis:1,len:10) %0 %i
//! %2 = sum(axes:[1]) %1               =>    %2 = sum(axes:[1]) %0
//! ```
//! An elementwise operator is passed if all that it computes is picked from, if fewer elements are
//! picked than there are, and if one of its operands is picked from and the others are the same along
//! the axis. Class: bit-exact for picks, whose gradients are added up in another order; rounding for
//! sums, zero-sign where one element is scattered. Cost: O(nodes). Run after
//! [`Simplify`](crate::Simplify), which takes signs and numbers out of sums, and before
//! [`Fold`](crate::Fold): what is scattered is often a constant.

use pleach_graph::{NodeId, Operator, Rewrite, Traits};
use pleach_ops::{Broadcast, Full, Gather, Graph, Op, Reshape};
use pleach_tensor::Shape;
use smallvec::SmallVec;

use crate::claims::live_uses;
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Totals};

/// Names of the rules of this pass.
const PICK: &str = "pick_first";
const SUM: &str = "sum_of_scattered";

/// Most operators that one pick passes.
const DEPTH: usize = 64;

/// Picks before elementwise operators, and sums before scattering.
#[derive(Clone, Copy, Debug)]
pub struct Pick;

/// An operand of an operator that is passed.
enum Operand {
    Number(f64),
    /// The value that is broadcast along the axis.
    Spread(NodeId),
    Picked(NodeId),
}

/// A pick on its way up. Values are of the old graph but for the indices.
struct Picker<'a> {
    g: &'a Graph,
    new: &'a Graph,
    at: &'a [Option<NodeId>],
    uses: &'a [u32],
    axis: usize,
    /// Shape of what is picked.
    shape: &'a Shape,
    indices: NodeId,
}

/// The value that is broadcast to `x`, if it is the same along the axis.
fn spread(g: &Graph, x: NodeId, axis: usize) -> Option<NodeId> {
    let node = g.node(x);
    let Op::Broadcast(_) = &node.op else { return None };
    let (from, rank) = (g.ty(node.inputs[0]), node.ty.rank());
    let same = (axis + from.rank()).checked_sub(rank).is_none_or(|axis| from.shape()[axis] == 1);
    same.then_some(node.inputs[0])
}

/// The operands of `x`, if a pick from it may pass it.
fn operands(g: &Graph, uses: &[u32], x: NodeId, axis: usize) -> Option<SmallVec<[Operand; 3]>> {
    let node = g.node(x);
    let passed = node.op.traits().has(Traits::ELEMENTWISE) && !matches!(node.op, Op::Custom(_));
    if !passed || uses[x.index()] != 1 {
        return None;
    }
    let operand = |&x: &NodeId| match (g.op(x), spread(g, x, axis)) {
        (Op::Full(full), _) => Operand::Number(full.value()),
        (_, Some(from)) => Operand::Spread(from),
        _ => Operand::Picked(x),
    };
    let operands: SmallVec<[Operand; 3]> = node.inputs.iter().map(operand).collect();
    let picked = operands.iter().filter(|x| matches!(x, Operand::Picked(_))).count();
    (picked == 1).then_some(operands)
}

impl Picker<'_> {
    /// What is picked from `x`, in the new graph.
    fn pick(&self, x: NodeId, depth: usize) -> Option<NodeId> {
        let here = || {
            let from = self.at[x.index()]?;
            Some(self.new.push(Gather::new(self.axis).into(), &[from, self.indices]))
        };
        let found = operands(self.g, self.uses, x, self.axis).filter(|_| depth < DEPTH);
        let Some(operands) = found else { return here() };
        let push = |operand: &Operand, old: NodeId| match operand {
            Operand::Number(value) => {
                let ty = self.g.ty(old).with_shape(self.shape).ok()?;
                Some(self.new.push(Full::new(&ty, *value).into(), &[]))
            }
            Operand::Spread(from) => {
                let from = self.at[from.index()]?;
                Some(self.new.push(Broadcast::new(self.shape).into(), &[from]))
            }
            Operand::Picked(x) => self.pick(*x, depth + 1),
        };
        let node = self.g.node(x);
        let pairs = operands.iter().zip(&node.inputs);
        let inputs: Option<SmallVec<[NodeId; 3]>> = pairs.map(|(x, &old)| push(x, old)).collect();
        Some(self.new.push(node.op.clone(), &inputs?))
    }
}

/// The axis of a pick, if it may pass the operator that it picks from and gains by it.
fn passes(g: &Graph, uses: &[u32], old: NodeId) -> Option<usize> {
    let node = g.node(old);
    let Op::Gather(gather) = &node.op else { return None };
    let fewer = node.ty.numel() < g.ty(node.inputs[0]).numel();
    let good = fewer && operands(g, uses, node.inputs[0], gather.axis()).is_some();
    (good && uses[old.index()] > 0).then_some(gather.axis())
}

/// Of a sum of what was scattered along an axis of the sum: what was scattered, and whether that is but
/// one element for each of the sum's.
fn scattered(g: &Graph, uses: &[u32], old: NodeId) -> Option<(NodeId, bool)> {
    let node = g.node(old);
    let Op::Sum(sum) = &node.op else { return None };
    let x = g.node(node.inputs[0]);
    let Op::ScatterAdd(scatter) = &x.op else { return None };
    let from = g.ty(x.inputs[0]);
    let fewer = from.numel() < x.ty.numel() && uses[old.index()] > 0;
    let one = sum.axes() == [scatter.axis()] && from.shape()[scatter.axis()] == 1;
    (fewer && sum.axes().contains(&scatter.axis())).then_some((x.inputs[0], one))
}

impl Pass for Pick {
    fn name(&self) -> &'static str {
        "pick"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![PICK, SUM]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        let indexed = |id| g.peek(id, |n| matches!(n.op, Op::Gather(_) | Op::ScatterAdd(_)));
        if !g.ids().any(|id| indexed(id) == Some(true)) {
            return Ok(Outcome::Unchanged);
        }
        let uses = live_uses(g);
        let (mut at, mut fired): (Vec<Option<NodeId>>, usize) = (vec![None; g.len()], 0);
        let (new, map) = g.rebuild(|new, old, node, inputs| {
            cx.step(1);
            let start = new.len();
            let class = |one| if one { Class::ZeroSign } else { Class::Rounding };
            let pick = passes(g, &uses, old).filter(|_| cx.may(PICK, Class::BitExact));
            let sum = scattered(g, &uses, old).filter(|&(_, one)| cx.may(SUM, class(one)));
            let (rule, found) = match (pick, sum) {
                (Some(axis), _) => {
                    let (at, uses, shape) = (&at[..], &uses[..], node.ty.shape());
                    let picker = Picker { g, new, at, uses, axis, shape, indices: inputs[1] };
                    (PICK, picker.pick(node.inputs[0], 0))
                }
                (None, Some((from, one))) => {
                    let op =
                        if one { Reshape::new(node.ty.shape()).into() } else { node.op.clone() };
                    (SUM, at[from.index()].map(|from| new.push(op, &[from])))
                }
                (None, None) => (PICK, None),
            };
            let id = found.unwrap_or_else(|| new.push(node.op.clone(), inputs));
            if found.is_some() {
                fired += 1;
                cx.applied(rule, g, old, Totals::since(new, start) - Totals::of_node(g, old));
            }
            at[old.index()] = Some(id);
            Rewrite::Replace(id)
        });
        Ok(if fired == 0 { Outcome::Unchanged } else { Outcome::Changed(new, map) })
    }
}
