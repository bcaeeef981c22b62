//! Chains of products are multiplied in the order that takes the least work.
//!
//! ```text
//! %3 = matmul %0 %1 : [64, 512]        %3 = matmul %1 %2 : [8, 10]
//! %4 = matmul %3 %2 : [64, 10]    =>   %4 = matmul %0 %3 : [64, 10]
//! ```
//! `(A·B)·C = A·(B·C)`, and `(A·B)ᵀ = Bᵀ·Aᵀ` where a chain goes on behind a transpose: `(u·vᵀ)·x` is
//! two products with vectors. A product belongs to the chain of its user if it has no other. The best
//! order is found by dynamic programming (Cormen et al., *Introduction to Algorithms*, 14.2), over
//! chains of at most 16 factors; longer ones are cut. Work is operations and bytes, as for rules.
//! Class: rounding (sums in another order). Fires where it saves a twentieth of the work or more. Cost:
//! O(nodes), and O(n³) for each chain of n factors. Run after [`simplify`](crate::Simplify).

use pleach_graph::{Node, NodeId};
use pleach_ops::{Graph, MatMul, Op, Permute};
use pleach_tensor::Type;

use crate::claims::{live_uses, sweep};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Price};

/// Name of the one rule of this pass.
const RULE: &str = "matrix_chain";
/// Most factors of a chain.
const MOST: usize = 16;

/// Chooses the order of chains of products.
#[derive(Clone, Copy, Debug)]
pub struct Associate;

/// Factors of a chain in the old graph, each as it is or transposed; and work as recorded.
struct Chain {
    factors: Vec<(NodeId, bool)>,
    work: u64,
}

impl Pass for Associate {
    fn name(&self) -> &'static str {
        "associate"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        if !cx.may(RULE, Class::Rounding) {
            return Ok(Outcome::Unchanged);
        }
        let chains = chains(g);
        let better: Vec<Option<(Chain, Order)>> = chains
            .into_iter()
            .map(|chain| {
                let order = Order::best(g, chain.as_ref()?)?;
                chain.map(|chain| (chain, order))
            })
            .collect();
        if better.iter().all(Option::is_none) {
            return Ok(Outcome::Unchanged);
        }
        let mut places: Vec<Option<NodeId>> = vec![None; g.len()];
        let (new, map, fired) = sweep(g, cx, |new, old, node, inputs, _, cx| {
            let found = better[old.index()].as_ref().filter(|_| cx.may(RULE, Class::Rounding));
            let built = found.and_then(|(chain, order)| {
                let factors: Option<Vec<NodeId>> =
                    chain.factors.iter().map(|&f| factor(new, &places, f)).collect();
                order.build(new, &factors?)
            });
            let id = built.unwrap_or_else(|| new.push(node.op.clone(), inputs));
            places[old.index()] = Some(id);
            built.map(|id| (RULE, id))
        });
        Ok(if fired == 0 { Outcome::Unchanged } else { Outcome::Changed(new, map) })
    }
}

/// Is this a product of floats?
fn is_product(node: &Node<Op>) -> bool {
    matches!(node.op, Op::MatMul(_)) && node.ty.dtype().is_float()
}

/// Does this operator exchange the last two axes, and no other?
fn transposes(op: &Op) -> bool {
    let Op::Permute(permute) = op else { return false };
    let (order, rank) = (permute.order(), permute.order().len());
    rank >= 2
        && order[..rank - 2].iter().enumerate().all(|(i, &axis)| i == axis)
        && order[rank - 2..] == [rank - 1, rank - 2]
}

/// The chains of a graph, at the last product of each.
fn chains(g: &Graph) -> Vec<Option<Chain>> {
    let uses = live_uses(g);
    // A product that is a part of its user's chain, by way of transposes or not.
    let mut inner = vec![false; g.len()];
    let mut chains: Vec<Option<Chain>> = (0..g.len()).map(|_| None).collect();
    for root in (0..g.len()).rev().map(NodeId::new).filter(|id| uses[id.index()] > 0) {
        if inner[root.index()] || g.peek(root, is_product) != Some(true) {
            continue;
        }
        let mut chain = Chain { factors: Vec::new(), work: Price::of_node(g, root).work };
        let mut last = g.node(root).inputs.iter().map(|&x| (x, false)).collect::<Vec<_>>();
        last.reverse();
        while let Some((id, turned)) = last.pop() {
            let (product, mut turn) = (behind(g, &uses, id), turned);
            let product = product.filter(|_| chain.factors.len() + last.len() + 2 <= MOST);
            let Some((product, through)) = product else {
                chain.factors.push((id, turned));
                continue;
            };
            turn ^= through;
            inner[product.index()] = true;
            chain.work = chain.work.saturating_add(Price::of_node(g, product).work);
            let of = g.node(product);
            let (left, right) = if turn { (1, 0) } else { (0, 1) };
            last.push((of.inputs[right], turn));
            last.push((of.inputs[left], turn));
        }
        chains[root.index()] = (chain.factors.len() > 2).then_some(chain);
    }
    chains
}

/// The product behind a value that nothing else uses, and whether transposes lie between.
fn behind(g: &Graph, uses: &[u32], id: NodeId) -> Option<(NodeId, bool)> {
    let (mut at, mut turned) = (id, false);
    while uses[at.index()] == 1 {
        if g.peek(at, is_product) == Some(true) {
            return Some((at, turned));
        }
        if g.peek(at, |node| transposes(&node.op)) != Some(true) {
            return None;
        }
        (at, turned) = (g.node(at).inputs[0], !turned);
    }
    None
}

/// A factor in the new graph.
fn factor(new: &Graph, places: &[Option<NodeId>], (old, turned): (NodeId, bool)) -> Option<NodeId> {
    let id = places[old.index()]?;
    if !turned {
        return Some(id);
    }
    let rank = new.ty(id).rank();
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 2, rank - 1);
    Some(new.push(Permute::new(&order).into(), &[id]))
}

/// Where each part of a chain is cut in two: `cut[i][j]` is the first factor of the right half of
/// factors `i ..= j`.
struct Order {
    cut: Vec<Vec<usize>>,
}

impl Order {
    /// The best order, if it saves enough.
    fn best(g: &Graph, chain: &Chain) -> Option<Order> {
        let types: Vec<Type> = chain.factors.iter().map(|&(id, _)| g.ty(id)).collect();
        let size = |i: usize, axis: usize| {
            let shape = types[i].shape();
            let turned = chain.factors[i].1;
            shape[shape.rank() - 2 + usize::from((axis == 1) != turned)]
        };
        let n = types.len();
        // Factor `i` has `sizes[i]` rows and `sizes[i + 1]` columns.
        let sizes: Vec<usize> = (0..n).map(|i| size(i, 0)).chain([size(n - 1, 1)]).collect();
        let batch = &types[0].shape()[..types[0].rank() - 2];
        let ty = |rows: usize, columns: usize| {
            Type::new(types[0].dtype(), [batch, &[rows, columns]].concat())
        };
        let product = |rows: usize, inner: usize, columns: usize| {
            let (a, b, y) = (ty(rows, inner), ty(inner, columns), ty(rows, columns));
            let [a, b, y] = [a.ok()?, b.ok()?, y.ok()?];
            Some(Price::of(&Op::MatMul(MatMul), &[&a, &b], &[false; 2], &y).work)
        };
        let mut work = vec![vec![0u64; n]; n];
        let mut cut = vec![vec![0; n]; n];
        for len in 2..=n {
            for i in 0..=n - len {
                let j = i + len - 1;
                work[i][j] = u64::MAX;
                for at in i + 1..=j {
                    // Sizes that no type has are no way to go.
                    let own = product(sizes[i], sizes[at], sizes[j + 1]).unwrap_or(u64::MAX);
                    let sum = work[i][at - 1].saturating_add(work[at][j]).saturating_add(own);
                    if sum < work[i][j] {
                        (work[i][j], cut[i][j]) = (sum, at);
                    }
                }
            }
        }
        (work[0][n - 1] < chain.work - chain.work / 20).then_some(Order { cut })
    }

    /// Records the products. A part comes after its halves.
    fn build(&self, g: &Graph, factors: &[NodeId]) -> Option<NodeId> {
        let n = factors.len();
        let mut parts = vec![(0, n - 1)];
        let mut next = 0;
        while let Some(&(i, j)) = parts.get(next) {
            next += 1;
            if i < j {
                parts.extend([(i, self.cut[i][j] - 1), (self.cut[i][j], j)]);
            }
        }
        let mut built = vec![vec![None; n]; n];
        for &(i, j) in parts.iter().rev() {
            built[i][j] = Some(match i == j {
                true => factors[i],
                false => {
                    let at = self.cut[i][j];
                    g.push(MatMul.into(), &[built[i][at - 1]?, built[at][j]?])
                }
            });
        }
        built[0][n - 1]
    }
}
