//! The forward derivative of a loop is a loop in the same direction, which carries the tangents
//! beside the carries.

use std::sync::Arc;

use pleach_graph::{GradError, NodeId};
use pleach_tensor::Type;

use super::Loop;
use super::transform::{Given, Groups, Recorded, zeros};
use crate::Graph;

/// The tangent of one result for the tangents of the operands; `None` if it is zero.
pub(super) fn jvp(
    of: &Arc<Loop>,
    result: usize,
    g: &Graph,
    x: &[NodeId],
    dx: &[Option<NodeId>],
) -> Result<Option<NodeId>, GradError> {
    let types: Vec<Type> = of.body().param_types().cloned().collect();
    let (carries, sliced) = (of.carries(), of.carries() + of.slices());
    let moving = reach(of, g, dx)?;
    let moved = |range: std::ops::Range<usize>| -> Vec<usize> {
        range.filter(|&i| dx[i].is_some()).collect()
    };
    let (slices, captures) = (moved(carries..sliced), moved(sliced..x.len()));

    let primal = |range: std::ops::Range<usize>| range.map(|i| (types[i].clone(), x[i]));
    let tangent = |i: &usize| (types[*i].clone(), dx[*i].unwrap_or_else(|| zeros(g, &types[*i])));
    let carried: Vec<Given> = primal(0..carries).chain(moving.iter().map(tangent)).collect();
    let sliced_by: Vec<Given> = primal(carries..sliced).chain(slices.iter().map(tangent)).collect();
    let captured: Vec<Given> =
        primal(sliced..x.len()).chain(captures.iter().map(tangent)).collect();

    // Which stacked results have a tangent.
    let mut stacks: Vec<usize> = Vec::new();
    let mut failed = None;
    let step = |p: &[NodeId]| {
        let mut p = Groups(p);
        let mut next = |n| p.next(n);
        let (c, dc) = (next(carries), next(moving.len()));
        let (s, ds) = (next(of.slices()), next(slices.len()));
        let (w, dw) = (next(x.len() - sliced), next(captures.len()));
        let args = [c, s, w].concat();
        let indices = moving.iter().chain(&slices).chain(&captures);
        let seeds: Vec<(NodeId, NodeId)> =
            indices.zip([dc, ds, dw].concat()).map(|(&i, d)| (args[i], d)).collect();
        let results = of.body().instantiate(g, &args);
        let (mut out, stacked) = (results[..carries].to_vec(), &results[carries..]);
        let floats: Vec<usize> =
            (0..stacked.len()).filter(|&j| g.ty(stacked[j]).dtype().is_float()).collect();
        let asked = moving.iter().map(|&c| results[c]).chain(floats.iter().map(|&j| stacked[j]));
        match g.jvp(&asked.collect::<Vec<_>>(), &seeds) {
            Ok(tangents) => {
                let (dcs, dys) = tangents.split_at(moving.len());
                let dc =
                    |(&c, dc): (&usize, &Option<NodeId>)| dc.unwrap_or_else(|| zeros(g, &types[c]));
                out.extend(moving.iter().zip(dcs).map(dc));
                for (&j, dy) in floats.iter().zip(dys) {
                    if let Some(dy) = dy {
                        stacks.push(j);
                        out.push(*dy);
                    }
                }
            }
            Err(error) => failed = Some(error),
        }
        out
    };
    let recorded = Recorded::new(g, of.header(), &carried, &sliced_by, &captured, step);
    if let Some(error) = failed {
        return Err(error);
    }
    g.check()?;
    let Some(forward) = recorded else { return Ok(None) };
    let of_carry = |c: usize| moving.iter().position(|&m| m == c).map(|at| carries + at);
    let number = if result < carries {
        of_carry(result)
    } else if let Some(carry) = result.checked_sub(of.stacked_carry(0)) {
        of_carry(carry).map(|at| forward.of.stacked_carry(at))
    } else {
        let stack = stacks.iter().position(|&j| j == result - carries);
        stack.map(|at| forward.of.carries() + at)
    };
    Ok(number.map(|number| forward.result(g, number)))
}

/// The carries whose tangents may differ from zero at some step.
fn reach(of: &Loop, g: &Graph, dx: &[Option<NodeId>]) -> Result<Vec<usize>, GradError> {
    let types: Vec<Type> = of.body().param_types().cloned().collect();
    let float = |&c: &usize| types[c].dtype().is_float();
    let floats: Vec<usize> = (0..of.carries()).filter(float).collect();
    let mut moving: Vec<usize> = floats.iter().copied().filter(|&c| dx[c].is_some()).collect();
    loop {
        let rest = (of.carries()..dx.len()).filter(|&i| dx[i].is_some());
        let moved: Vec<usize> = moving.iter().copied().chain(rest).collect();
        let seed_types = moved.iter().map(|&i| types[i].clone());
        let all: Vec<Type> = types.iter().cloned().chain(seed_types).collect();
        let mut tangents = Ok(vec![]);
        let trial = g.frame(&all, |p| {
            let (p, ds) = p.split_at(types.len());
            let results = of.body().instantiate(g, p);
            let ys: Vec<NodeId> = floats.iter().map(|&c| results[c]).collect();
            let seeds: Vec<(NodeId, NodeId)> =
                moved.iter().zip(ds).map(|(&i, &d)| (p[i], d)).collect();
            tangents = g.jvp(&ys, &seeds);
            vec![]
        });
        let tangents = tangents?;
        if trial.is_err() {
            return Ok(moving);
        }
        let reached = |c: &usize| {
            let at = floats.iter().position(|f| f == c);
            moving.contains(c) || at.is_some_and(|at| tangents[at].is_some())
        };
        let more: Vec<usize> = floats.iter().copied().filter(reached).collect();
        if more == moving {
            return Ok(moving);
        }
        moving = more;
    }
}
