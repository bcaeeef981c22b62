//! Sums of products become one product: what is added up over the batch is part of the inner axis.
//!
//! ```text
//! %2 = matmul %0 %1 : [8, 512, 128]        %2 = matmul (reshape (permute %0)) (reshape %1)
//! %3 = sum(axes:[0]) %2 : [512, 128]   =>       : [512, 128], sums of 8 times as many terms
//! ```
//! `Σₛ AₛBₛ = [A₁ | A₂ | …]·[B₁; B₂; …]`: the gradient of a weight that meets a whole batch of
//! sequences. The products of the batch are never written, and never added up. The operands are the
//! same values seen as other matrices, so nothing is copied. Class: rounding (sums in another order).
//! Fires where the product is used for nothing else, and both operands differ along the axes that
//! are summed. Cost: O(nodes). Run before [`fuse`](crate::Fuse).

use pleach_graph::{NodeId, Rewrite};
use pleach_ops::{Graph, Op, Var};

use crate::claims::live_uses;
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Totals};

/// Name of the one rule of this pass.
const RULE: &str = "sum_of_products";

/// Turns sums of products over axes of the batch into products.
#[derive(Clone, Copy, Debug)]
pub struct Contract;

impl Pass for Contract {
    fn name(&self) -> &'static str {
        "contract"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        // Where no product is summed there is nothing to build anew.
        let is_product = |x: NodeId| g.peek(x, |x| matches!(x.op, Op::MatMul(_))) == Some(true);
        let summed =
            |id| g.peek(id, |node| matches!(node.op, Op::Sum(_)) && is_product(node.inputs[0]));
        if !g.ids().any(|id| summed(id) == Some(true)) {
            return Ok(Outcome::Unchanged);
        }
        let (live, uses) = (g.live(), live_uses(g));
        let mut fired = 0;
        let (new, map) = g.rebuild(|new, old, node, inputs| {
            let Op::Sum(sum) = &node.op else { return Rewrite::Keep };
            let product = node.inputs[0];
            if !live[old.index()] || !is_product(product) || !cx.may(RULE, Class::Rounding) {
                return Rewrite::Keep;
            }
            if let Err(why) = contracts(g, product, sum.axes(), uses[product.index()]) {
                cx.skip(RULE, g, old, why);
                return Rewrite::Keep;
            }
            let start = new.len();
            // What became of the product, if it is one still.
            let factors = &new.node(inputs[0]).inputs;
            let found = match (new.op(inputs[0]), &factors[..]) {
                (Op::MatMul(_), &[a, b]) => contracted(new, [a, b], sum.axes()),
                _ => None,
            };
            match found {
                Some(id) if new.ty(id) == node.ty => {
                    fired += 1;
                    cx.applied(RULE, g, old, Totals::since(new, start) - Totals::of_node(g, old));
                    Rewrite::Replace(id)
                }
                _ => Rewrite::Keep,
            }
        });
        Ok(if fired == 0 { Outcome::Unchanged } else { Outcome::Changed(new, map) })
    }
}

/// May the sum of this product over these axes be one product?
fn contracts(g: &Graph, product: NodeId, axes: &[usize], uses: u32) -> Result<(), &'static str> {
    let node = g.node(product);
    let shape = node.ty.shape();
    let inner = shape.rank().saturating_sub(2);
    if axes.is_empty() || axes.iter().any(|&axis| axis >= inner) {
        return Err("it sums over rows or columns");
    }
    if uses > 1 {
        return Err("the product is used elsewhere");
    }
    if shape.contains(&0) || !node.ty.dtype().is_float() {
        return Err("there is nothing to gain");
    }
    let repeats = |x: &NodeId| {
        let (x, mut repeated) = (g.node(*x), false);
        if let (Op::Broadcast(_), Some(&source)) = (&x.op, x.inputs.first()) {
            let ty = g.ty(source);
            let before = x.ty.rank() - ty.rank();
            repeated = axes.iter().any(|&axis| axis < before || ty.shape()[axis - before] == 1);
        }
        repeated
    };
    if node.inputs.iter().any(repeats) {
        return Err("an operand is the same along an axis that is summed");
    }
    Ok(())
}

/// The product whose inner axis has the axes of the batch in front.
fn contracted(g: &Graph, factors: [NodeId; 2], axes: &[usize]) -> Option<NodeId> {
    let [a, b] = factors.map(|id| Var::new(g, id));
    let rank = a.ty()?.rank();
    if b.ty()?.rank() != rank {
        return None;
    }
    let (rows, columns) = (rank - 2, rank - 1);
    let kept: Vec<usize> = (0..rows).filter(|axis| !axes.contains(axis)).collect();
    let order = |parts: &[&[usize]]| -> Vec<i64> {
        parts.concat().into_iter().map(|axis| axis as i64).collect()
    };
    let lens = |x: &Var<'_>, axes: &[usize]| -> Vec<usize> {
        axes.iter().map(|&axis| x.shape()[axis]).collect()
    };
    let depth = |x: &Var<'_>, inner: usize| {
        let parts = [lens(x, axes), lens(x, &[inner])].concat();
        parts.into_iter().try_fold(1usize, usize::checked_mul)
    };
    let (batch, k) = (lens(&a, &kept), [depth(&a, columns)?, depth(&b, rows)?]);
    let left = a.permute(&order(&[&kept, &[rows], axes, &[columns]]));
    let left = left.reshape([&batch[..], &lens(&a, &[rows]), &k[..1]].concat());
    let right = b.permute(&order(&[&kept, axes, &[rows], &[columns]]));
    let right = right.reshape([&batch[..], &k[1..], &lens(&b, &[columns])].concat());
    let y = left.matmul(right);
    y.ty().map(|_| y.id())
}
