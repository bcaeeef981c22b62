//! Moves signs to where they cost nothing.
//!
//! ```text
//! %2 = neg %0
//! %3 = tanh (neg %1)      =>   %3 = tanh %1
//! %4 = matmul %2 %3            %4 = matmul %0 %3
//! ```
//! A value can be computed with the other sign at no cost if it is a sign itself, a number, a difference, or
//! if it is made of such a value by a product, a quotient, an odd function, a sum along axes or a view; all of it for
//! this use alone. A sign of such a value goes, so do two under a product, and a sum of it is a difference. Rules see
//! the same next to each other: here any number of operators may lie between. Class: rounding, for kernels
//! of odd functions need not be odd in the last digit. Cost: O(nodes), to a bounded depth. Run after
//! [`simplify`](crate::Simplify).

use pleach_graph::{NodeId, NodeMap};
use pleach_ops::{Add, Constant, Full, Graph, Op, Sub};
use pleach_tensor::Type;
use smallvec::SmallVec;

use crate::claims::{Claims, sweep};
use crate::family::is_view;
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError};

/// Name of the one rule of this pass.
const RULE: &str = "moved_sign";
/// How many operators may lie between two signs.
const DEPTH: usize = 8;
/// How often the graph is looked at, at most: a sign that goes may leave a value to one use.
const SWEEPS: usize = 4;

/// Moves signs to where they cost nothing.
#[derive(Clone, Copy, Debug)]
pub struct Signs;

/// How many operators it saves to compute `-x` instead of `x`; `None` if it cannot be done for nothing.
fn saved(g: &Graph, x: NodeId, claims: &Claims, depth: usize, cx: &mut PassCx<'_>) -> Option<u32> {
    cx.step(1);
    let (node, alone) = (g.node(x), claims.get(x) == 1);
    let mut of = |slot: usize| match depth {
        0 => None,
        _ => saved(g, node.inputs[slot], claims, depth - 1, cx),
    };
    match &node.op {
        Op::Neg(_) => Some(u32::from(alone)),
        Op::Full(_) => Some(0),
        Op::Constant(c) => (c.value().numel() <= cx.fold_elements).then_some(0),
        _ if !alone => None,
        Op::Mul(_) | Op::Div(_) | Op::MatMul(_) => of(0).max(of(1)),
        Op::Sub(_) => Some(0),
        Op::Tanh(_) | Op::Sin(_) | Op::Asin(_) | Op::Atan(_) | Op::Sinh(_) | Op::Asinh(_) => of(0),
        Op::Sum(_) => of(0),
        op if is_view(op) => of(0),
        _ => None,
    }
}

/// For every operand of an operator, what [`saved`] found.
type Saved = SmallVec<[Option<u32>; 2]>;

/// Records `-x` in the way that [`saved`] found.
fn negated(
    g: &Graph,
    x: NodeId,
    claims: &Claims,
    depth: usize,
    cx: &mut PassCx<'_>,
) -> Option<NodeId> {
    let node = g.node(x);
    match &node.op {
        Op::Neg(_) => return Some(node.inputs[0]),
        Op::Full(full) => return Some(g.push(Full::new(&node.ty, -full.value()).into(), &[])),
        Op::Constant(c) => {
            let neg = Op::from(pleach_ops::Neg);
            let value = (cx.evaluate)(&neg, &[c.value()], &node.ty).ok()?;
            return Some(g.push(Constant::new(value).into(), &[]));
        }
        Op::Sub(_) => return Some(g.push(Sub.into(), &[node.inputs[1], node.inputs[0]])),
        _ => {}
    }
    let mut of = |slot: usize| saved(g, node.inputs[slot], claims, depth - 1, cx);
    let slot = usize::from(node.inputs.len() == 2 && of(1) > of(0));
    let mut inputs = node.inputs.clone();
    inputs[slot] = negated(g, inputs[slot], claims, depth - 1, cx)?;
    Some(g.push(node.op.clone(), &inputs))
}

/// How many operators it saves to compute each operand with the other sign, if that saves any here.
fn worth(
    g: &Graph,
    op: &Op,
    ty: &Type,
    x: &[NodeId],
    claims: &Claims,
    cx: &mut PassCx<'_>,
) -> Option<Saved> {
    let near = matches!(
        op,
        Op::Neg(_) | Op::Mul(_) | Op::Div(_) | Op::MatMul(_) | Op::Add(_) | Op::Sub(_)
    );
    if !near || !ty.dtype().is_float() || !cx.may(RULE, Class::Rounding) {
        return None;
    }
    let signs: Saved = x.iter().map(|&x| saved(g, x, claims, DEPTH, cx)).collect();
    let worth = match (op, &signs[..]) {
        (Op::Neg(_), [first]) => first.is_some(),
        (Op::Mul(_) | Op::Div(_) | Op::MatMul(_), &[Some(a), Some(b)]) => a + b > 0,
        (Op::Add(_), signs) => signs.iter().any(|sign| *sign > Some(0)),
        (Op::Sub(_), signs) => signs[1] > Some(0),
        _ => false,
    };
    worth.then_some(signs)
}

/// Records the operator with fewer signs before it, where [`worth`] has found `signs`.
fn moved(
    g: &Graph,
    (op, x): (&Op, &[NodeId]),
    signs: &Saved,
    claims: &Claims,
    cx: &mut PassCx<'_>,
) -> Option<NodeId> {
    let mut other = |slot: usize| negated(g, x[slot], claims, DEPTH, cx);
    Some(match (op, &signs[..]) {
        (Op::Neg(_), _) => other(0)?,
        (Op::Add(_), [_, Some(1..)]) => g.push(Sub.into(), &[x[0], other(1)?]),
        (Op::Add(_), _) => g.push(Sub.into(), &[x[1], other(0)?]),
        (Op::Sub(_), [Some(1..), _]) => {
            let both = [other(1)?, other(0)?];
            g.push(Sub.into(), &both)
        }
        (Op::Sub(_), _) => g.push(Add.into(), &[x[0], other(1)?]),
        _ => {
            let both = [other(0)?, other(1)?];
            g.push(op.clone(), &both)
        }
    })
}

impl Pass for Signs {
    fn name(&self) -> &'static str {
        "signs"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        // Without a sign there is none to move.
        let is_sign = |id| g.peek(id, |node| matches!(node.op, Op::Neg(_))) == Some(true);
        cx.step(g.len() as u64);
        if !cx.may(RULE, Class::Rounding) || !g.ids().any(is_sign) {
            return Ok(Outcome::Unchanged);
        }
        let mut result: Option<(Graph, NodeMap)> = None;
        for _ in 0..SWEEPS {
            let current = result.as_ref().map_or(g, |(graph, _)| graph);
            let claims = Claims::of(current);
            let mut fires = |id: NodeId| {
                let node = current.node(id);
                let x = &node.inputs;
                claims.get(id) > 0 && worth(current, &node.op, &node.ty, x, &claims, cx).is_some()
            };
            if !current.ids().any(&mut fires) {
                break;
            }
            let (next, step, fired) = sweep(current, cx, |new, _, node, inputs, claims, cx| {
                let signs = worth(new, &node.op, &node.ty, inputs, claims, cx)?;
                Some((RULE, moved(new, (&node.op, inputs), &signs, claims, cx)?))
            });
            if fired == 0 {
                break;
            }
            cx.rebuilt(self.name(), current, &next, &step);
            let map = result.as_ref().map_or_else(|| step.clone(), |(_, map)| map.then(&step));
            result = Some((next, map));
        }
        Ok(match result {
            Some((graph, map)) => Outcome::Changed(graph, map),
            None => Outcome::Unchanged,
        })
    }
}
