//! Laws of passes, on random graphs.

use pleach_graph::{NodeId, NodeMap};
use pleach_ops::interpret::{Sources, interpret};
use pleach_ops::{EvalError, Graph, Input, Op};
use pleach_tensor::{Key, Tensor};

use super::{agree, draw, graph, run, special, weaker};
use crate::{Class, Level, PassCx, Pipeline, Price, Prune};

/// A graph with values for its inputs.
#[derive(Debug)]
pub struct Sample {
    /// The graph.
    pub graph: Graph,
    /// Its inputs, in order of declaration.
    pub inputs: Vec<Input>,
}

impl Sample {
    /// Ordinary or special values for the inputs. Integers stay indices in range.
    pub fn feeds(&self, key: Key, odd: bool) -> Vec<Tensor> {
        let feed = |(i, input): (usize, &Input)| {
            let (ty, key) = (input.ty(), key.fold(i as u64));
            if odd && ty.dtype().is_float() { special(ty, key) } else { draw(ty, key) }
        };
        self.inputs.iter().enumerate().map(feed).collect()
    }
}

/// The values of nodes, with the given inputs and the variables at their initial values.
///
/// # Errors
/// [`EvalError`] of the interpreter.
pub fn interpreted(g: &Graph, ids: &[NodeId], feeds: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
    let refs: Vec<&Tensor> = feeds.iter().collect();
    Sources::with_feeds(&refs, |sources| interpret(g, ids, sources))
}

fn outputs(g: &Graph, feeds: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
    let ids: Vec<NodeId> = g.roots().iter().map(|root| root.value).collect();
    interpreted(g, &ids, feeds)
}

/// The largest finite float that the graph computes: what rounding errors are in proportion to.
///
/// # Errors
/// [`EvalError`] of the interpreter.
pub fn scale_of(g: &Graph, feeds: &[Tensor]) -> Result<f64, EvalError> {
    let live = g.live();
    let floats = |id: &NodeId| {
        live[id.index()] && !matches!(g.op(*id), Op::Variable(_)) && g.ty(*id).dtype().is_float()
    };
    let ids: Vec<NodeId> = g.ids().filter(floats).collect();
    let values = interpreted(g, &ids, feeds)?;
    let all = values.iter().flat_map(Tensor::to_f64s).filter(|v| v.is_finite());
    Ok(all.fold(1.0, |m, v| m.max(v.abs())))
}

/// Does a pipeline keep what it must, on one graph?
///
/// - the outputs agree within the weakest class that fired, on ordinary values, and at level
///   `exact` on special ones too;
/// - running a pass again changes nothing; a pipeline comes to rest after a few runs;
/// - the price of what is needed does not go up, unless a stabilizing rule fired;
/// - the ledger adds up, and the verifier is content (in debug builds, after each pass).
///
/// Answers the new graph and where the nodes went.
///
/// # Errors
/// What does not hold, as a sentence.
pub fn preserves(
    pipeline: &Pipeline,
    sample: &Sample,
    level: Level,
    key: Key,
) -> Result<(Graph, NodeMap), String> {
    let g = &sample.graph;
    let (new, map, ledger) =
        pipeline.optimize(g, &mut PassCx::reference(level)).map_err(|error| error.to_string())?;
    if !ledger.adds_up() {
        return Err(format!("the ledger does not add up:\n{ledger}"));
    }
    new.verify().map_err(|e| format!("{e}\n{new}"))?;

    let rules = || pipeline.passes().iter().map(|p| p.class().values);
    let weakest = rules().fold(Class::BitExact, weaker);
    let class = if level == Level::Exact { Class::KernelExact } else { weakest };
    let why = |error: EvalError| error.to_string();
    for odd in [false, true] {
        if odd && level != Level::Exact {
            continue;
        }
        let feeds = sample.feeds(key, odd);
        let scale = scale_of(g, &feeds).map_err(why)?;
        let want = outputs(g, &feeds).map_err(why)?;
        let got = outputs(&new, &feeds).map_err(why)?;
        for ((root, want), got) in g.roots().iter().zip(&want).zip(&got) {
            agree(class, got, want, scale)
                .map_err(|m| format!("output {:?}: {m}\n{ledger}\n{new}", root.name))?;
        }
    }

    // Pipelines that do not end with it leave dead nodes, which a copy numbers anew.
    let pruned = |g: &Graph| run(&Prune, g, &mut PassCx::reference(level)).0;
    let text = |g: &Graph| pruned(g).as_ref().unwrap_or(g).to_string();
    let (mut now, limit) = (text(&new), if pipeline.passes().len() > 1 { 4 } else { 1 });
    for again in 0..=limit {
        let (next, _, ledger) = pipeline
            .optimize(&graph(&now), &mut PassCx::reference(level))
            .map_err(|error| error.to_string())?;
        let next = text(&next);
        match now == next {
            true => break,
            false if again + 1 < limit => now = next,
            false => return Err(format!("another run changes it:\n{now}\nto\n{next}\n{ledger}")),
        }
    }
    let pays = ledger.entries.iter().any(|e| {
        crate::rules::RULES.iter().any(|r| r.values == Class::Stabilizing && r.name == e.rule)
    });
    let (before, after) = (Price::of_live(g), Price::of_live(&new));
    if after.work > before.work && !pays {
        return Err(format!("it costs more: {after:?} after {before:?}\n{ledger}\n{new}"));
    }
    Ok((new, map))
}
