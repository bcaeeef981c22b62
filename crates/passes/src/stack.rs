//! A sum of products is one product of a long inner axis: its operands are put together along it.
//!
//! ```text
//! %4 = matmul %a %b : [128, 512]       %4 = concat(axis:1) %a %c : [128, 64]
//! %5 = matmul %c %d : [128, 512]       %5 = concat(axis:0) %b %d : [64, 512]
//! %6 = add %4 %5                   =>  %6 = matmul %4 %5
//! ```
//! So the gradient of a weight that a network uses at many places is one product, and not one for each
//! of them, written, read, and added to what was read and written before. A sum is a tree of additions,
//! each used by the next alone, and so are the products in it; what else is in it is added last.
//!
//! Operands that were transposed are put together as they were. What is put together is written and read
//! once more, which must be less than half of what is saved: a product written and read, the sum read and
//! written. Steps of one value, `x[0]`, `x[1]`, …, are that value, seen as a matrix. Nothing is put together
//! that takes more than `max_bytes`. Class: rounding, for the order of summation is another one. Cost:
//! O(nodes), and sorting terms. Run after [`contract`](crate::Contract), which takes common factors out of
//! such sums; loops do it by [`defer`](crate::Defer).

use std::collections::HashMap;

use pleach_graph::{Node, NodeId};
use pleach_ops::{Graph, Op, Var};

use crate::claims::{live_uses, replace};
use crate::merge::group::{step, typed};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError};

/// Name of the one rule of this pass.
const RULE: &str = "sum_of_products";

/// Puts the products of a sum together.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    /// Most bytes that the operands of one product take.
    pub max_bytes: usize,
}

impl Default for Stack {
    fn default() -> Stack {
        Stack { max_bytes: 64 << 20 }
    }
}

/// A sum: the products that are put together, in this order, and what is added to them.
#[derive(Debug)]
struct Terms {
    products: Vec<NodeId>,
    others: Vec<NodeId>,
}

impl Pass for Stack {
    fn name(&self) -> &'static str {
        "stack"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        let sums = self.sums(g, cx);
        if sums.is_empty() || !cx.may(RULE, Class::Rounding) {
            return Ok(Outcome::Unchanged);
        }
        Ok(replace(g, g.ids(), cx, |new, old, places, cx| {
            let terms = sums.get(&old).filter(|_| cx.may(RULE, Class::Rounding))?;
            Some((RULE, terms.build(g, new, places)?))
        }))
    }
}

impl Stack {
    /// The sums of which products should be put together, by their last addition.
    fn sums(&self, g: &Graph, cx: &mut PassCx<'_>) -> HashMap<NodeId, Terms> {
        let uses = live_uses(g);
        let is = |id: NodeId, f: fn(&Node<Op>) -> bool| g.peek(id, f) == Some(true);
        let is_sum = |node: &Node<Op>| matches!(node.op, Op::Add(_)) && node.ty.dtype().is_float();
        // Additions that are terms of another addition alone.
        let mut inner = vec![false; g.len()];
        for id in g.ids().filter(|&id| uses[id.index()] > 0 && is(id, is_sum)) {
            let terms = g.peek(id, |node| node.inputs.clone()).unwrap_or_default();
            for x in terms.iter().filter(|x| uses[x.index()] == 1 && is(**x, is_sum)) {
                inner[x.index()] = true;
            }
        }
        let mut sums = HashMap::new();
        for id in g.ids().filter(|&id| uses[id.index()] > 0 && !inner[id.index()]) {
            if !is(id, is_sum) {
                continue;
            }
            let (mut work, mut terms) = (vec![id], Terms { products: vec![], others: vec![] });
            while let Some(x) = work.pop() {
                if x == id || inner[x.index()] {
                    work.extend(g.node(x).inputs.iter().rev());
                } else if uses[x.index()] == 1 && is(x, is_product) {
                    terms.products.push(x);
                } else {
                    terms.others.push(x);
                }
            }
            if terms.products.len() < 2 {
                continue;
            }
            terms.in_order_of_steps(g);
            match self.refused(g, &terms) {
                Some(why) => cx.skip(RULE, g, id, why),
                None => drop(sums.insert(id, terms)),
            }
        }
        sums
    }

    /// Why the products of a sum should stay, if they should.
    fn refused(&self, g: &Graph, terms: &Terms) -> Option<&'static str> {
        let bytes = |id: NodeId| g.ty(id).bytes() as u64;
        let (mut spent, mut taken) = (0, 0);
        for side in [0, 1] {
            let parts = terms.operands(g, side);
            let all: u64 = parts.iter().map(|&x| bytes(x)).sum();
            taken += all;
            spent += if steps(g, &parts, side).is_some() { 0 } else { 2 * all };
        }
        let each = 4 * bytes(terms.products[0]);
        let saved = each.saturating_mul(terms.products.len() as u64 - 1);
        if taken > self.max_bytes as u64 {
            return Some("it takes too much memory");
        }
        (spent * 2 >= saved).then_some("putting operands together costs more than it saves")
    }
}

/// Is this a product of two matrices of floats?
fn is_product(node: &Node<Op>) -> bool {
    let matrix = node.ty.rank() == 2 && node.ty.numel() > 0;
    matches!(node.op, Op::MatMul(_)) && matrix && node.ty.dtype().is_float()
}

/// What this is the transposition of.
fn transposed(g: &Graph, id: NodeId) -> Option<NodeId> {
    let of = |node: &Node<Op>| match &node.op {
        Op::Permute(_) => Some(node.inputs[0]),
        _ => None,
    };
    let x = g.peek(id, of)??;
    (g.ty(x).rank() == 2 && g.ty(x).shape()[0] == g.ty(id).shape()[1]).then_some(x)
}

/// Rows that are put together: of the left operands, which is side 0, those are columns.
fn rows(g: &Graph, id: NodeId, side: usize) -> Option<NodeId> {
    if side == 1 { Some(id) } else { transposed(g, id) }
}

/// If the operands are steps of one value, one after the other, that value and the first of them.
fn steps(g: &Graph, parts: &[NodeId], side: usize) -> Option<(NodeId, usize)> {
    let all: Option<Vec<_>> = parts.iter().map(|&x| step(g, rows(g, x, side)?)).collect();
    let all = all?;
    let (of, axis, first) = all[0];
    let next = |(i, at): (usize, &(NodeId, usize, usize))| *at == (of, 0, first + i);
    (axis == 0 && all.iter().enumerate().all(next)).then_some((of, first))
}

impl Terms {
    fn operands(&self, g: &Graph, side: usize) -> Vec<NodeId> {
        self.products.iter().map(|&id| g.node(id).inputs[side]).collect()
    }

    /// Steps of one value are put together in their order.
    fn in_order_of_steps(&mut self, g: &Graph) {
        for side in [0, 1] {
            let at = |id: &NodeId| step(g, rows(g, g.node(*id).inputs[side], side)?);
            if self.products.iter().all(|id| at(id).is_some()) {
                self.products.sort_by_key(|id| at(id).map(|(of, axis, i)| (of, axis, i, *id)));
                return;
            }
        }
    }

    /// The sum, in the new graph, where nodes of `g` went to `places`.
    fn build(&self, g: &Graph, new: &Graph, places: &[Option<NodeId>]) -> Option<NodeId> {
        let [a, b] = [0, 1].map(|side| self.together(g, new, places, side));
        let mut y = a?.matmul(b?);
        for x in &self.others {
            y = y + Var::new(new, places[x.index()]?);
        }
        typed(y)
    }

    /// All operands of one side, along the inner axis.
    fn together<'n>(
        &self,
        g: &Graph,
        new: &'n Graph,
        places: &[Option<NodeId>],
        side: usize,
    ) -> Option<Var<'n>> {
        let place = |id: NodeId| Some(Var::new(new, places[id.index()]?));
        let parts = self.operands(g, side);
        let stacked: Option<Vec<NodeId>> = parts.iter().map(|&x| rows(g, x, side)).collect();
        let turned = |x: Var<'n>| if side == 0 { x.permute(&[1, 0]) } else { x };
        if let Some((of, first)) = steps(g, &parts, side) {
            let part = place(of)?.slice(0, first..first + parts.len());
            let shape = part.shape();
            return Some(turned(part.reshape([shape[0] * shape[1], shape[2]])));
        }
        let (nodes, axis) = match &stacked {
            Some(stacked) => (stacked, 0),
            None => (&parts, 1),
        };
        let all: Vec<Var<'n>> = nodes.iter().map(|&x| place(x)).collect::<Option<_>>()?;
        let joined = all[0].concat(&all[1..], axis);
        Some(if stacked.is_some() { turned(joined) } else { joined })
    }
}
