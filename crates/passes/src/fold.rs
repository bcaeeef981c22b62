//! Folds operators of constants.
//!
//! ```text
//! %0 = constant([1, 2])
//! %1 = exp %0           =>   %1 = constant([2.718…, 7.389…])
//! ```
//! The evaluator is the one that a run would use, so no bit changes. Class: bit-exact; rounding for views,
//! since a product of a vector adds up in another order where its operand lies otherwise in memory. Budget: a
//! constant has at most `fold_elements` elements (65,536), unless the constants that it is made
//! of are larger, and all of them together add at most `fold_bytes` (4 MiB); elementwise
//! operators of splats give splats, which take nothing. Random operators and sources are never
//! folded; what cannot be evaluated, such as an index out of range, is left for the run to
//! report. Cost: O(nodes) and the evaluations. Run before [`simplify`](crate::Simplify).

use pleach_graph::{NodeId, Operator, Rewrite, Traits};
use pleach_ops::{Constant, Full, Graph, Op};
use pleach_tensor::{Tensor, Type};
use smallvec::SmallVec;

use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Totals};

/// Evaluates operators whose operands are all constants.
#[derive(Clone, Copy, Debug)]
pub struct Fold;

impl Pass for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let (mut folded, mut spent) = (0, 0);
        let live = g.live();
        if !g.ids().any(|id| live[id.index()] && of_constants(g, id)) {
            cx.step(live.len() as u64);
            return Ok(Outcome::Unchanged);
        }
        let (new, map) = g.rebuild(|new, old, node, inputs| {
            cx.step(1 + inputs.len() as u64);
            let name = node.op.name();
            if !live[old.index()] || !may_fold(new, &node.op, inputs) {
                return Rewrite::Keep;
            }
            let class = if is_view(&node.op) { Class::Rounding } else { Class::BitExact };
            if !cx.may(name, class) {
                return Rewrite::Keep;
            }
            let start = new.len();
            let folded_node = match scalar(new, &node.op, inputs) {
                Some((scalars, ty)) => {
                    let refs: SmallVec<[&Tensor; 4]> = scalars.iter().collect();
                    (cx.evaluate)(&node.op, &refs, &ty).map(|value| splat(&value, &node.ty))
                }
                None => {
                    let held: usize = inputs.iter().map(|&x| bytes(new, x)).sum();
                    let added = node.ty.bytes().saturating_sub(held);
                    if added > 0 && node.ty.numel() > cx.fold_elements {
                        cx.skip(name, g, old, "the result has more elements than are folded");
                        return Rewrite::Keep;
                    }
                    if spent + added > cx.fold_bytes {
                        cx.skip(name, g, old, "the budget of bytes for folded constants is spent");
                        return Rewrite::Keep;
                    }
                    let values: SmallVec<[Tensor; 4]> =
                        inputs.iter().filter_map(|&x| constant(new, x)).collect();
                    let refs: SmallVec<[&Tensor; 4]> = values.iter().collect();
                    let value = (cx.evaluate)(&node.op, &refs, &node.ty);
                    spent += if value.is_ok() { added } else { 0 };
                    value.map(|value| Some(Constant::new(value).into()))
                }
            };
            let id = match folded_node {
                Ok(Some(op)) => new.push(op, &[]),
                Ok(None) => return Rewrite::Keep,
                Err(_) => {
                    cx.skip(name, g, old, "it has no value: the run will say why");
                    return Rewrite::Keep;
                }
            };
            folded += 1;
            cx.applied(name, g, old, Totals::since(new, start) - Totals::of_node(g, old));
            Rewrite::Replace(id)
        });
        Ok(if folded == 0 { Outcome::Unchanged } else { Outcome::Changed(new, map) })
    }
}

/// Is this an operator, and no random one, whose operands are all known?
fn may_fold(g: &Graph, op: &Op, inputs: &[NodeId]) -> bool {
    let constant = |op: &Op| matches!(op, Op::Constant(_) | Op::Full(_));
    let known = |&x: &NodeId| g.peek(x, |x| constant(&x.op)) == Some(true);
    !inputs.is_empty() && inputs.iter().all(known) && !op.traits().has(Traits::RANDOM)
}

/// Does this operator show memory with other strides? A reshape of a constant does not.
fn is_view(op: &Op) -> bool {
    let turned = matches!(op, Op::Permute(_) | Op::Flip(_) | Op::Slice(_));
    turned || matches!(op, Op::Broadcast(_) | Op::Windows(_))
}

/// Is this node such an operator?
fn of_constants(g: &Graph, id: NodeId) -> bool {
    g.peek(id, |node| may_fold(g, &node.op, &node.inputs)) == Some(true)
}

/// The value of a constant node.
fn constant(g: &Graph, id: NodeId) -> Option<Tensor> {
    let node = g.node(id);
    match &node.op {
        Op::Constant(c) => Some(c.value().clone()),
        Op::Full(full) => Some(Tensor::full(&node.ty, full.value())),
        _ => None,
    }
}

/// Bytes that a constant node takes; a splat takes none.
fn bytes(g: &Graph, id: NodeId) -> usize {
    let node = g.node(id);
    if matches!(node.op, Op::Constant(_)) { node.ty.bytes() } else { 0 }
}

/// The operands of an elementwise operator of splats as scalars, and the type of its result then.
fn scalar(g: &Graph, op: &Op, inputs: &[NodeId]) -> Option<(SmallVec<[Tensor; 4]>, Type)> {
    if !op.traits().has(Traits::ELEMENTWISE) {
        return None;
    }
    let scalar = |x: &NodeId| match &g.node(*x).op {
        Op::Full(full) => Some(full.scalar()),
        _ => None,
    };
    let scalars: SmallVec<[Tensor; 4]> = inputs.iter().map(scalar).collect::<Option<_>>()?;
    let ty = op.infer(&scalars.iter().map(Tensor::ty).collect::<SmallVec<[&Type; 4]>>()).ok()?;
    Some((scalars, ty))
}

/// A scalar as a splat of type `ty`; `None` if a double does not hold it.
fn splat(value: &Tensor, ty: &Type) -> Option<Op> {
    let number = value.item()?;
    let held = number.is_nan() || Tensor::full(value.ty(), number) == *value;
    held.then(|| Full::new(ty, number).into())
}
