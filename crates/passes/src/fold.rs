//! Folds operators of constants.
//!
//! ```text
//! %0 = constant [1, 2]
//! %1 = exp %0           =>   %0 = constant [2.718…, 7.389…]
//! ```
//! Class: bit-exact, for the evaluator is the one that a run would use. Never folds random
//! operators or sources; a result of more bytes than its operands and the budget stays. Cost:
//! O(nodes) and the evaluations. Run before [`simplify`](crate::Simplify), which sees constants.

use pleach_graph::{Operator, Rewrite, Traits};
use pleach_ops::{Constant, Full, Graph, Op};
use pleach_tensor::Tensor;

use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Totals};

/// Evaluates operators whose operands are all constants.
#[derive(Clone, Copy, Debug)]
pub struct Fold;

/// The value of a constant node.
fn constant(g: &Graph, id: pleach_graph::NodeId) -> Option<Tensor> {
    let node = g.node(id);
    match &node.op {
        Op::Constant(c) => Some(c.value().clone()),
        Op::Full(full) => Some(Tensor::full(&node.ty, full.value())),
        _ => None,
    }
}

impl Pass for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::BitExact)
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let mut folded = 0;
        let (new, map) = g.rebuild(|new, old, node, inputs| {
            let traits = node.op.traits();
            let source = matches!(node.op, Op::Constant(_) | Op::Full(_) | Op::Parameter(_));
            if inputs.is_empty() || source || traits.has(Traits::RANDOM) {
                return Rewrite::Keep;
            }
            // Cheap look first: values of operands are made only if all are constants.
            let known =
                |&x: &pleach_graph::NodeId| matches!(new.op(x), Op::Constant(_) | Op::Full(_));
            if !inputs.iter().all(known) {
                return Rewrite::Keep;
            }
            let held: usize = inputs
                .iter()
                .filter(|&&x| matches!(new.op(x), Op::Constant(_)))
                .map(|&x| new.ty(x).bytes())
                .sum();
            if node.ty.bytes() > held.max(cx.fold_bytes) {
                cx.skip("fold", "the result is larger than the budget");
                return Rewrite::Keep;
            }
            let values: Option<Vec<Tensor>> = inputs.iter().map(|&x| constant(new, x)).collect();
            let Some(values) = values else { return Rewrite::Keep };
            let refs: Vec<&Tensor> = values.iter().collect();
            // What cannot be evaluated (an index out of range) is left for the run to report.
            let Ok(value) = (cx.evaluate)(&node.op, &refs, &node.ty) else { return Rewrite::Keep };
            let size = new.len();
            let id = match value.splat() {
                Some(v) if value.dtype().is_float() && !v.is_nan() => {
                    new.push(Op::Full(Full::new(&node.ty, v)), &[])
                }
                _ => new.push(Op::Constant(Constant::new(value)), &[]),
            };
            folded += 1;
            let gained =
                (size..new.len()).map(|i| Totals::of_node(new, pleach_graph::NodeId::new(i)));
            let gained = gained.fold(Totals::default(), |a, b| a + b);
            cx.applied(node.op.name(), g, old, gained - Totals::of_node(g, old));
            Rewrite::Replace(id)
        });
        Ok(if folded == 0 { Outcome::Unchanged } else { Outcome::Changed(new, map) })
    }
}
