//! Attention becomes one region, and its gradient another: scores never reach memory.
//!
//! ```text
//! %5 = matmul %q %kt
//!  …   scale, mask, softmax           =>   %9 = fused{…} %q %kt %v
//! %9 = matmul %8 %v
//! ```
//! Nothing is recognized by hand. [`AttentionRegion`] records what [`Attention`](pleach_ops::Attention)
//! does, and what its gradient does, over the operands that are there: as equal nodes are one, the
//! graph answers with the nodes that it has, or appends to a copy that is thrown away. The weights are
//! a second result for the gradient's region, which takes a fifth less than if it computed them again, as
//! it does where they are large, or where a limit of memory is given. Class: rounding. What no query sees
//! counts for nothing in the region, where the product adds 0 times it: a NaN there does not spread.
//! Fires where all that is inside is used inside alone, a head fits in the caches, and the price goes
//! down. Cost: O(nodes). Run before all that makes the recorded form another one, after
//! [`prune`](crate::Prune).

use pleach_graph::NodeId;
use pleach_ops::{AttentionRegion, Graph, Op};
use pleach_tensor::Type;
use rustc_hash::FxHashSet;

use crate::regions::{self, Found, MOST, Search};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError};

/// Name of the one rule of this pass.
const RULE: &str = "attention";

/// Makes regions of attention.
#[derive(Clone, Copy, Debug)]
pub struct Attend {
    /// Most keys of a head.
    pub max_keys: usize,
    /// Widest keys and values.
    pub max_width: usize,
    /// Most bytes of the keys, or of the values, of a head.
    pub max_bytes: usize,
    /// Most bytes of the weights of all heads that are kept for the gradient.
    pub max_kept: usize,
}

impl Default for Attend {
    fn default() -> Attend {
        Attend { max_keys: 1024, max_width: 128, max_bytes: 128 << 10, max_kept: 16 << 20 }
    }
}

impl Attend {
    /// The attention whose result is this node, and its gradients.
    fn attention(&self, search: &Search<'_>, y: NodeId) -> Option<Vec<Found>> {
        let &[weights, v] = &search.g.node(y).inputs[..] else { return None };
        let (scores, numbers) = under(search, weights)?;
        let &[q, kt] = &search.g.node(scores).inputs[..] else { return None };
        let operands = [q, kt, v];
        if !self.admit(operands.map(|x| search.g.ty(x))) {
            return None;
        }
        let is_y = |found: &Found| found.results == [(y, 0)];
        let mut regions = AttentionRegion::candidates(numbers.into_iter());
        let forward = |region: AttentionRegion| {
            let found = search.found(&operands, |types| region.body(types));
            found.filter(is_y).map(|_| region)
        };
        let region = regions.find_map(forward)?;
        let mut gradients = Vec::new();
        // What goes to v is a product of the weights and what came for y.
        let columns = search.users[weights.index()].iter();
        for &columns in columns.filter(|&&id| matches!(search.g.op(id), Op::Permute(_))) {
            for &dv in &search.users[columns.index()] {
                let node = search.g.node(dv);
                let (Op::MatMul(_), &[a, dy]) = (&node.op, &node.inputs[..]) else { continue };
                if a == columns && search.g.ty(dy) == search.g.ty(y) {
                    let gradient = AttentionRegion { gradient: true, ..region };
                    let found = search.found(&[q, kt, v, dy], |types| gradient.body(types));
                    gradients.extend(found.map(|found| (dy, found.results)));
                }
            }
        }
        let plain = regions_of(search, region, [q, kt, v, y, weights], &gradients)?;
        let small = search.g.ty(weights).bytes() <= self.max_kept && !gradients.is_empty();
        // What else uses the weights might be what the region waits for, its values.
        if !small || search.inside(&plain).is_err() {
            return Some(plain);
        }
        let kept = AttentionRegion { kept: true, ..region };
        regions_of(search, kept, [q, kt, v, y, weights], &gradients)
    }

    /// Are these types of queries, keys in columns and values within the limits?
    fn admit(&self, [q, kt, v]: [Type; 3]) -> bool {
        let rank = q.rank();
        let lead = |ty: &Type| ty.rank() == rank && ty.shape()[..rank - 2] == q.shape()[..rank - 2];
        if rank < 2 || !q.dtype().is_wide() || !lead(&kt) || !lead(&v) {
            return false;
        }
        let (keys, widths) = (kt.shape()[rank - 1], [q.shape()[rank - 1], v.shape()[rank - 1]]);
        let widest = widths[0].max(widths[1]);
        // Rows of whole vectors.
        let bytes = keys.next_multiple_of(16).saturating_mul(widest) * q.dtype().size();
        keys <= self.max_keys && widest <= self.max_width && bytes <= self.max_bytes
    }
}

/// An attention and its gradients: what came for each, and its results.
fn regions_of(
    search: &Search<'_>,
    region: AttentionRegion,
    [q, kt, v, y, weights]: [NodeId; 5],
    gradients: &[(NodeId, Vec<(NodeId, usize)>)],
) -> Option<Vec<Found>> {
    let made = |gradient: bool, operands: &[NodeId], results| {
        let types: Vec<Type> = operands.iter().map(|&x| search.g.ty(x)).collect();
        let body = AttentionRegion { gradient, ..region }.body(&types)?;
        Some(Found::other(body, operands, results))
    };
    let kept = usize::from(region.kept);
    let results = [(y, 0), (weights, 1)][..1 + kept].to_vec();
    let mut all = vec![made(false, &[q, kt, v], results)?];
    for (dy, results) in gradients {
        all.push(made(true, &[q, kt, v, *dy, weights][..4 + kept], results.clone())?);
    }
    Some(all)
}

/// The product that these weights are computed from, and the numbers on the way.
fn under(search: &Search<'_>, weights: NodeId) -> Option<(NodeId, Vec<f64>)> {
    let (mut work, mut seen) = (vec![weights], FxHashSet::default());
    let (mut products, mut numbers) = (Vec::new(), Vec::new());
    while let Some(id) = work.pop() {
        if seen.len() > MOST {
            return None;
        }
        if !seen.insert(id) {
            continue;
        }
        let node = search.g.node(id);
        match &node.op {
            Op::MatMul(_) => products.push(id),
            Op::Full(full) => numbers.push(full.value()),
            _ => work.extend(&node.inputs),
        }
    }
    (products.len() == 1).then(|| (products[0], numbers))
}

impl Pass for Attend {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        // A product with quotients.
        let mixes = |id: &NodeId| {
            let node = g.node(*id);
            let first = matches!(node.op, Op::MatMul(_)).then(|| node.inputs[0]);
            first.is_some_and(|x| matches!(g.op(x), Op::Div(_)))
        };
        let mixed: Vec<NodeId> = g.ids().filter(mixes).collect();
        let max_kept = if cx.max_peak_bytes.is_some() { 0 } else { self.max_kept };
        let attend = Attend { max_kept, ..*self };
        Ok(regions::make(g, cx, RULE, &mixed, |search, y| attend.attention(search, y)))
    }
}
