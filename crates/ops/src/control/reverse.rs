//! The gradient of a loop is a loop in the opposite direction.
//!
//! It carries the cotangents of the carries, and sums those of the captures. A step records the
//! body again at the carries that the step saw, which the loop stacked, and pulls back through it:
//! memory for the carries, not for what the body computes between them.

use std::sync::Arc;

use pleach_graph::{Grad as Flow, Gradient, NodeId, TypeError};
use pleach_tensor::Type;
use smallvec::SmallVec;

use super::scan::{Header, Scan};
use super::transform::{Given, Groups, Recorded, zeros};
use super::{Loop, scan};
use crate::{Graph, Op, Var};

/// The cotangents of a loop's results, by what they belong to.
struct Seeds {
    /// Of final carries.
    finals: Vec<Option<NodeId>>,
    /// Of stacked results.
    stacks: Vec<Option<NodeId>>,
    /// Of stacked carries.
    carried: Vec<Option<NodeId>>,
}

impl Seeds {
    fn new(of: &Loop, g: &Graph, results: &[(usize, NodeId)]) -> Seeds {
        let mut all: Vec<Option<NodeId>> = vec![None; of.results()];
        for &(result, dy) in results {
            let sum = all[result].map(|sum| (Var::new(g, sum) + Var::new(g, dy)).id());
            all[result] = Some(sum.unwrap_or(dy));
        }
        let carried = all.split_off(of.body().results().len());
        let stacks = all.split_off(of.carries());
        Seeds { finals: all, stacks, carried }
    }
}

/// The cotangents of the operands that are needed, for cotangents of some results.
pub(super) fn vjp(
    of: &Arc<Loop>,
    g: &Graph,
    x: &[NodeId],
    results: &[(usize, NodeId)],
    need: &[bool],
) -> SmallVec<[Flow; 2]> {
    let seeds = Seeds::new(of, g, results);
    let mut flows: SmallVec<[Flow; 2]> = need.iter().map(|_| Flow::Cut).collect();
    let Some((moving, reached)) = reach(of, g, &seeds) else { return flows };
    let types: Vec<Type> = of.body().param_types().cloned().collect();
    let (carries, sliced) = (of.carries(), of.carries() + of.slices());
    let wanted = |i: &usize| need[*i] && reached[*i];
    let slices: Vec<usize> = (carries..sliced).filter(wanted).collect();
    let captures: Vec<usize> = (sliced..x.len()).filter(wanted).collect();

    // What a step of the new loop is given: cotangents of carries, sums for captures; the carries
    // that the step saw, its slices, the cotangents of what it stacked; the captures.
    let mut carried: Vec<Given> = Vec::new();
    for &c in &moving {
        carried.push((types[c].clone(), seeds.finals[c].unwrap_or_else(|| zeros(g, &types[c]))));
    }
    carried.extend(captures.iter().map(|&i| (types[i].clone(), zeros(g, &types[i]))));
    let mut sliced_by: Vec<Given> = Vec::new();
    for (c, ty) in types.iter().enumerate().take(carries) {
        let before = Op::Scan(Scan::new(of.clone(), of.stacked_carry(c)));
        sliced_by.push((ty.clone(), g.push(before, x)));
    }
    sliced_by.extend((carries..sliced).map(|i| (types[i].clone(), x[i])));
    let stack_types: Vec<Type> = of.body().result_types().skip(carries).cloned().collect();
    let dys: Vec<usize> = (0..of.stacks()).filter(|&j| seeds.stacks[j].is_some()).collect();
    let given = |(j, dy): (usize, &Option<NodeId>)| Some((stack_types[j].clone(), (*dy)?));
    sliced_by.extend(seeds.stacks.iter().enumerate().filter_map(given));
    let stacked: Vec<usize> = (0..carries).filter(|&c| seeds.carried[c].is_some()).collect();
    let given = |(c, dc): (usize, &Option<NodeId>)| Some((types[c].clone(), (*dc)?));
    sliced_by.extend(seeds.carried.iter().enumerate().filter_map(given));
    let captured: Vec<Given> = (sliced..x.len()).map(|i| (types[i].clone(), x[i])).collect();

    let header = Header { reverse: !of.is_reversed(), ..of.header() };
    let step = |p: &[NodeId]| {
        let mut p = Groups(p);
        let mut next = |n| p.next(n);
        let (dcs, sums, primal) = (next(moving.len()), next(captures.len()), next(sliced));
        let (dy, dcarried, weights) = (next(dys.len()), next(stacked.len()), next(captured.len()));
        let results = of.body().instantiate(g, &[primal, weights].concat());
        let pairs: Vec<(NodeId, NodeId)> = (moving.iter().zip(dcs))
            .map(|(&c, &dc)| (results[c], dc))
            .chain(dys.iter().zip(dy).map(|(&j, &dy)| (results[carries + j], dy)))
            .collect();
        let param = |&i: &usize| if i < sliced { primal[i] } else { weights[i - sliced] };
        let wrt: Vec<NodeId> = moving.iter().chain(&captures).chain(&slices).map(param).collect();
        let grads = pull(g, &pairs, &wrt);
        let mut out = Vec::with_capacity(grads.len());
        for (k, grad) in grads.into_iter().enumerate() {
            let grad = grad.unwrap_or_else(|| zeros(g, &g.ty(wrt[k])));
            // What is added: the cotangent of the carry itself, or the sum so far.
            let more = match k.checked_sub(moving.len()) {
                None => stacked.iter().position(|&c| c == moving[k]).map(|at| dcarried[at]),
                Some(k) => sums.get(k).copied(),
            };
            let sum = more.map(|more| (Var::new(g, more) + Var::new(g, grad)).id());
            out.push(sum.unwrap_or(grad));
        }
        out
    };
    let Some(back) = Recorded::new(g, header, &carried, &sliced_by, &captured, step) else {
        return flows;
    };
    let order = moving.iter().chain(&captures).chain(&slices);
    for (result, &i) in order.enumerate() {
        // Where a loop takes no step, or stacks its carries, an initial value flows out directly.
        let direct = i < carries && (of.length() == 0 || seeds.carried[i].is_some());
        if need[i] && (reached[i] || direct) {
            flows[i] = Flow::Flow(back.result(g, result));
        }
    }
    flows
}

/// The carries whose cotangents may differ from zero at some step, and which parameters of the
/// body have a differentiable path to something with a cotangent. `None` if a gradient rule is
/// broken: the graph holds the error.
fn reach(of: &Loop, g: &Graph, seeds: &Seeds) -> Option<(Vec<usize>, Vec<bool>)> {
    let types: Vec<Type> = of.body().param_types().cloned().collect();
    let floats: Vec<usize> = (0..types.len()).filter(|&i| types[i].dtype().is_float()).collect();
    let carries = of.carries();
    let seeded = |c: &usize| seeds.finals[*c].is_some() || seeds.carried[*c].is_some();
    let mut moving: Vec<usize> = (0..carries).filter(seeded).collect();
    loop {
        let stacks = (0..of.stacks()).filter(|&j| seeds.stacks[j].is_some()).map(|j| carries + j);
        let asked: Vec<usize> = moving.iter().copied().chain(stacks).collect();
        let seed_types = asked.iter().filter_map(|&r| of.body().result_types().nth(r).cloned());
        let all: Vec<Type> = types.iter().cloned().chain(seed_types).collect();
        let mut reached = vec![false; types.len()];
        let trial = g.frame(&all, |p| {
            let (p, dys) = p.split_at(types.len());
            let results = of.body().instantiate(g, p);
            let pairs: Vec<(NodeId, NodeId)> =
                asked.iter().zip(dys).map(|(&r, &dy)| (results[r], dy)).collect();
            let wrt: Vec<NodeId> = floats.iter().map(|&i| p[i]).collect();
            for (&i, grad) in floats.iter().zip(pull(g, &pairs, &wrt)) {
                reached[i] = grad.is_some();
            }
            vec![]
        });
        trial.ok()?;
        g.check().ok()?;
        let more: Vec<usize> = (0..carries).filter(|c| reached[*c] || moving.contains(c)).collect();
        if more == moving {
            return Some((moving, reached));
        }
        moving = more;
    }
}

/// Reverse mode in a body; a broken rule is an error of the graph.
fn pull(g: &Graph, pairs: &[(NodeId, NodeId)], wrt: &[NodeId]) -> Vec<Option<NodeId>> {
    match g.reverse(pairs, wrt) {
        Ok(grads) => grads.into_iter().map(Gradient::value).collect(),
        Err(error) => {
            let why = TypeError::Attribute(error.to_string());
            g.refuse(scan::Scan::NAME, &[], why);
            vec![None; wrt.len()]
        }
    }
}
