//! What a step of a loop computes, for all steps at once.

use pleach_graph::{Node, NodeId, Operator, Traits};
use pleach_ops::shape::slice::Range;
use pleach_ops::{Graph, MatMul, Op, Permute, Reshape, Slice, Sum, Var};

use crate::family::is_view;

/// A value of the graph around a loop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    /// The same in all steps.
    Same(NodeId),
    /// The values of all steps, along a new first axis.
    Stacked(NodeId),
}

/// May [`all_steps`] record an operator?
pub(crate) fn has_all_steps(op: &Op) -> bool {
    let plain = op.traits().has(Traits::ELEMENTWISE) && !matches!(op, Op::Custom(_));
    is_view(op) || plain || matches!(op, Op::MatMul(_) | Op::Sum(_))
}

/// Records what a node of a body is in all of `length` steps, where at least one operand differs
/// from step to step. `None` for operators of which [`has_all_steps`] says no.
pub(crate) fn all_steps(
    new: &Graph,
    node: &Node<Op>,
    inputs: &[Value],
    length: usize,
) -> Option<NodeId> {
    let stacked = |&value: &Value| -> Var<'_> {
        match value {
            Value::Stacked(id) => Var::new(new, id),
            Value::Same(id) => {
                let x = Var::new(new, id);
                let shape: Vec<usize> = [length].into_iter().chain(x.shape().to_vec()).collect();
                x.broadcast_to(shape)
            }
        }
    };
    if let (Op::MatMul(_), &[Value::Stacked(a), Value::Same(b)]) = (&node.op, inputs)
        && node.ty.rank() == 2
    {
        // The rows of all steps are rows of one product.
        let (a, b) = (Var::new(new, a), Var::new(new, b));
        let [m, k, n] = [a.size(1), a.size(2), b.size(1)];
        return Some(a.reshape([length * m, k]).matmul(b).reshape([length, m, n]).id());
    }
    let shape: Vec<usize> = [length].iter().chain(node.ty.shape().iter()).copied().collect();
    let x: Vec<Var<'_>> = inputs.iter().map(stacked).collect();
    let op: Op = match &node.op {
        Op::MatMul(_) => MatMul.into(),
        Op::Permute(p) => {
            let order: Vec<usize> =
                [0].into_iter().chain(p.order().iter().map(|o| o + 1)).collect();
            Permute::new(&order).into()
        }
        Op::Reshape(_) => Reshape::new(&shape).into(),
        Op::Broadcast(_) => {
            // New axes come after that of the steps.
            let inner = x[0].shape();
            let added = shape.len() - inner.rank();
            let wide = [length].into_iter().chain(std::iter::repeat_n(1, added));
            let wide: Vec<usize> = wide.chain(inner[1..].iter().copied()).collect();
            let wide = x[0].reshape(wide);
            return Some(wide.broadcast_to(shape).id());
        }
        Op::Slice(slice) => {
            let all = Range { start: 0, stop: length, step: 1 };
            let ranges: Vec<Range> = [all].iter().chain(slice.ranges()).copied().collect();
            Slice::new(&ranges).into()
        }
        Op::Sum(sum) => {
            let axes: Vec<usize> = sum.axes().iter().map(|axis| axis + 1).collect();
            Sum::new(&axes).into()
        }
        op if has_all_steps(op) => op.clone(),
        _ => return None,
    };
    Some(x.first()?.record(op, &x).id())
}
