//! Computes with the rows of a table before they are looked up, where there are fewer of them.
//!
//! ```text
//! %3 = take(axis:0) %table %i        %3 = matmul %table %w
//! %4 = matmul %3 %w             =>   %4 = take(axis:0) %3 %i
//! ```
//! A layer after an embedding is a product with the table; so are its gradients:
//! - `(Eᵢ)·W = (E·W)ᵢ`, and any function of the elements of `Eᵢ` and of one row is that of `E`;
//! - `Σᵢ (G·Wᵀ) = (Σᵢ G)·Wᵀ`, where `Σᵢ` adds up the rows of equal index;
//! - `(Eᵢ)ᵀ·G = Eᵀ·(Σᵢ G)`.
//!
//! Rows may be reordered in between. A rule fires only where it makes the work less, in operations and
//! bytes. Class: bit-exact for functions of elements; rounding for products, whose sums have another
//! order. As elsewhere in this class, what is not finite stays not finite, and may spread: a row of
//! the table that is not finite counts in `Eᵀ·(Σᵢ G)` even if no index chooses it. Cost: O(nodes). Run
//! before [`simplify`](crate::Simplify).

use pleach_graph::{Node, NodeId, NodeMap, Operator, Traits};
use pleach_ops::{Graph, GraphExt, MatMul, Op, Take, TakeAdd, Var};

use crate::claims::{Claims, sweep};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Price};

/// Sweeps before the pass gives up looking for more.
const MAX_SWEEPS: usize = 8;

/// The other side of an operator of values of the new graph, if it has the form of a rule.
type Side = for<'g> fn(&Op, &[Var<'g>]) -> Option<Var<'g>>;

/// The rules of this pass.
const RULES: [(&str, Class, Side); 4] = [
    ("product_of_rows", Class::Rounding, product_of_rows),
    ("function_of_rows", Class::BitExact, function_of_rows),
    ("sum_of_products", Class::Rounding, sum_of_products),
    ("gradient_of_weight", Class::Rounding, gradient_of_weight),
];

/// Computes with tables before rows are looked up.
#[derive(Clone, Copy, Debug)]
pub struct Lookup;

/// Rows of a table: `take(axis:0) table indices`, then a permutation of its axes.
#[derive(Debug)]
struct Rows<'g> {
    table: Var<'g>,
    indices: Var<'g>,
    /// Axis of the looked-up rows, the elements of a row the last, for every axis.
    order: Vec<i64>,
}

impl<'g> Rows<'g> {
    fn of(x: Var<'g>) -> Option<Rows<'g>> {
        let (g, mut node, mut order) = (x.graph(), x.graph().node(x.id()), None);
        if let Op::Permute(p) = &node.op {
            order = Some(p.order().iter().map(|&o| o as i64).collect());
            let inner = node.inputs[0];
            node = g.node(inner);
        }
        let (Op::Take(take), &[table, indices]) = (&node.op, &node.inputs[..]) else { return None };
        let (table, indices) = (Var::new(g, table), Var::new(g, indices));
        let order = order.unwrap_or_else(|| (0..node.ty.rank() as i64).collect());
        let fewer = table.size(0) < indices.shape().iter().product();
        let fits = take.axis() == 0 && table.shape().rank() == 2 && fewer;
        fits.then_some(Rows { table, indices, order })
    }

    /// Is the last axis that of the elements of a row?
    fn are_rows(&self) -> bool {
        self.order.last() == Some(&(self.order.len() as i64 - 1))
    }

    /// The rows of another table, in the same order.
    fn of_table(&self, table: Var<'g>) -> Var<'g> {
        table.record(Take::new(0), &[table, self.indices]).permute(&self.order)
    }
}

/// The matrix that is repeated along all leading axes of `x`.
fn matrix(x: Var<'_>) -> Option<Var<'_>> {
    let (g, rank, mut swapped) = (x.graph(), x.shape().rank(), false);
    let mut node = g.node(x.id());
    if rank == 2 {
        return Some(x);
    }
    if let Op::Permute(p) = &node.op {
        let lead = p.order()[..rank - 2].iter().enumerate().all(|(i, &o)| i == o);
        swapped = p.order()[rank - 1] == rank - 2;
        node = lead.then(|| g.node(node.inputs[0]))?;
    }
    let (Op::Broadcast(_), &[inner]) = (&node.op, &node.inputs[..]) else { return None };
    let inner = Var::new(g, inner);
    let tail = &node.ty.shape()[rank - 2..];
    let repeated = inner.shape().iter().product::<usize>() == tail.iter().product::<usize>();
    let same = inner.shape().rank() >= 2 && inner.shape().ends_with(tail) && repeated;
    let matrix = same.then(|| inner.reshape([tail[0], tail[1]]))?;
    Some(if swapped { matrix.t() } else { matrix })
}

/// A value that is the same in every row of `x`, as one row.
fn row(x: Var<'_>) -> Option<Var<'_>> {
    let (g, n) = (x.graph(), x.size(-1));
    let node = g.node(x.id());
    if let Op::Full(full) = &node.op {
        return Some(g.full(node.ty.dtype(), [n], full.value()));
    }
    let (Op::Broadcast(_), &[inner]) = (&node.op, &node.inputs[..]) else { return None };
    let inner = Var::new(g, inner);
    let numel: usize = inner.shape().iter().product();
    (inner.shape().last() == Some(&n) && numel == n).then(|| inner.reshape([n]))
}

/// The work of the nodes from `start` on.
fn work_since(g: &Graph, start: usize) -> u64 {
    (start..g.len()).map(|i| Price::of_node(g, NodeId::new(i)).work).sum()
}

/// The work of an operator and of what only it uses: an operand, and the operand of that.
fn work_freed(g: &Graph, node: &Node<Op>, inputs: &[NodeId], claims: &Claims) -> u64 {
    let own = Price::of_inputs(g, &node.op, inputs, &node.ty).work;
    let mut work: Vec<(NodeId, usize)> = inputs.iter().map(|&x| (x, 0)).collect();
    let mut freed = own;
    while let Some((id, depth)) = work.pop() {
        if claims.get(id) == 1 && depth < 2 {
            let inner = g.node(id);
            if !inner.inputs.is_empty() {
                freed += Price::of_node(g, id).work;
                work.extend(inner.inputs.iter().map(|&x| (x, depth + 1)));
            }
        }
    }
    freed
}

/// The first rule that applies to an operator and makes the work less, and what it gives.
fn rewritten(
    new: &Graph,
    node: &Node<Op>,
    inputs: &[NodeId],
    claims: &Claims,
    cx: &PassCx<'_>,
) -> Option<(&'static str, NodeId)> {
    let x: Vec<Var<'_>> = inputs.iter().map(|&x| Var::new(new, x)).collect();
    RULES.iter().find_map(|&(rule, class, side)| {
        let start = new.len();
        let right = Some(()).filter(|()| cx.may(rule, class)).and_then(|()| side(&node.op, &x))?;
        let less = work_since(new, start) < work_freed(new, node, inputs, claims);
        (less && right.ty().as_ref() == Some(&node.ty)).then_some((rule, right.id()))
    })
}

/// `(Eᵢ)·W = (E·W)ᵢ`.
fn product_of_rows<'g>(op: &Op, x: &[Var<'g>]) -> Option<Var<'g>> {
    let (Op::MatMul(_), &[a, b]) = (op, x) else { return None };
    let rows = Rows::of(a).filter(Rows::are_rows)?;
    Some(rows.of_table(rows.table.record(MatMul, &[rows.table, matrix(b)?])))
}

/// `f(Eᵢ, r) = f(E, r)ᵢ`.
fn function_of_rows<'g>(op: &Op, x: &[Var<'g>]) -> Option<Var<'g>> {
    let plain = op.traits().has(Traits::ELEMENTWISE) && !op.traits().has(Traits::RANDOM);
    if !plain || matches!(op, Op::Custom(_) | Op::Fused(_)) {
        return None;
    }
    let rows = x.iter().find_map(|x| Rows::of(*x).filter(Rows::are_rows))?;
    let mut looked_up = 0;
    let operand = |x: &Var<'g>| match Rows::of(*x).filter(Rows::are_rows) {
        Some(other) => {
            looked_up += 1;
            Some(other.table)
        }
        None => row(*x).map(|row| row.broadcast_to(rows.table.shape())),
    };
    let operands: Vec<Var<'g>> = x.iter().map(operand).collect::<Option<_>>()?;
    (looked_up == 1).then(|| rows.of_table(rows.table.record(op.clone(), &operands)))
}

/// `Σᵢ (G·W) = (Σᵢ G)·W`.
fn sum_of_products<'g>(op: &Op, x: &[Var<'g>]) -> Option<Var<'g>> {
    let (Op::TakeAdd(add), &[x, indices]) = (op, x) else { return None };
    let (g, mut node, mut order) = (x.graph(), x.graph().node(x.id()), None);
    if let Op::Permute(p) = &node.op {
        let last = p.order().last() == Some(&(p.order().len() - 1));
        order = Some(p.clone()).filter(|_| last);
        order.as_ref()?;
        let inner = node.inputs[0];
        node = g.node(inner);
    }
    let (Op::MatMul(_), &[a, b]) = (&node.op, &node.inputs[..]) else { return None };
    let (a, w) = (Var::new(g, a), matrix(Var::new(g, b))?);
    let fewer = add.length() < indices.shape().iter().product();
    if !fewer || add.axis() != 0 || indices.shape().rank() + 1 != a.shape().rank() {
        return None;
    }
    let a = order.map_or(a, |order| a.record(order, &[a]));
    Some(w.record(MatMul, &[a.record(*add, &[a, indices]), w]))
}

/// `(Eᵢ)ᵀ·G = Eᵀ·(Σᵢ G)`, where the product is summed over its leading axes, if it has any.
fn gradient_of_weight<'g>(op: &Op, x: &[Var<'g>]) -> Option<Var<'g>> {
    let g = x.first()?.graph();
    let (a, b) = match (op, x) {
        (Op::MatMul(_), &[a, b]) if a.shape().rank() == 2 => (a, b),
        (Op::Sum(sum), &[x]) => {
            let node = g.node(x.id());
            let (Op::MatMul(_), &[a, b]) = (&node.op, &node.inputs[..]) else { return None };
            let lead = node.ty.rank() - 2;
            (sum.axes().iter().copied().eq(0..lead)).then(|| (Var::new(g, a), Var::new(g, b)))?
        }
        _ => return None,
    };
    let (rows, rank) = (Rows::of(a)?, a.shape().rank() as i64);
    if rows.order[rank as usize - 2] != rank - 1 {
        return None;
    }
    // Axis `q` of the rows is axis `i` of both leading axes, or the inner axis of the product.
    let axis = |q: i64| {
        let i = rows.order.iter().position(|o| *o == q).map(|i| i as i64)?;
        Some(if i == rank - 1 { rank - 2 } else { i })
    };
    let order: Vec<i64> = (0..rank - 1).map(axis).chain([Some(rank - 1)]).collect::<Option<_>>()?;
    let b = b.permute(&order);
    let sums = b.record(TakeAdd::new(0, rows.table.size(0)), &[b, rows.indices]);
    Some(rows.table.record(MatMul, &[rows.table.t(), sums]))
}

impl Pass for Lookup {
    fn rules(&self) -> Vec<&'static str> {
        RULES.map(|(name, ..)| name).to_vec()
    }

    fn name(&self) -> &'static str {
        "lookup"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        if !g.ids().any(|id| matches!(g.op(id), Op::Take(_) | Op::TakeAdd(_))) {
            return Ok(Outcome::Unchanged);
        }
        // What one rule leaves without a use may make another one worth it.
        let mut result: Option<(Graph, NodeMap)> = None;
        for _ in 0..MAX_SWEEPS {
            let current = result.as_ref().map_or(g, |(graph, _)| graph);
            let (next, step, fired) = sweep(current, cx, |new, _, node, inputs, claims, cx| {
                rewritten(new, node, inputs, claims, cx)
            });
            if fired == 0 {
                break;
            }
            cx.rebuilt(self.name(), current, &next, &step);
            let map = result.map_or(step.clone(), |(_, map)| map.then(&step));
            result = Some((next, map));
        }
        Ok(result.map_or(Outcome::Unchanged, |(graph, map)| Outcome::Changed(graph, map)))
    }
}
