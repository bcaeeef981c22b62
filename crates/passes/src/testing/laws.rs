//! Laws of passes, on random graphs.

use pleach_graph::{NodeId, NodeMap, Rewrite};
use pleach_ops::interpret::{Sources, interpret};
use pleach_ops::prelude::GraphExt;
use pleach_ops::{EvalError, Graph, Input, Op, Var};
use pleach_tensor::{Key, Tensor};
use thiserror::Error;

use super::{agree, draw, run, special, weaker};
use crate::{Class, Ledger, Level, PassCx, Pipeline, Price, Prune};

/// What every pass must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// It runs, keeps outputs and assignments, and what it builds is a graph.
    Form,
    /// The ledger adds up.
    Ledger,
    /// Values change no more than its class allows; at level `exact` for NaN, infinities, zeros of
    /// both signs, and numbers near overflow and underflow.
    Values,
    /// It hides no NaN, and makes none where no output has one. What is rounded may spread those
    /// that there are: a product with zeros instead of a sum over some rows.
    Nan,
    /// Gradients taken after it are those taken before, within its class of gradients.
    Gradients,
    /// Once more changes nothing.
    Rest,
    /// The price does not go up.
    Price,
    /// The result is the same at every run and in every thread.
    Repeats,
}

/// A law that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{law:?}: {why}")]
pub struct Broken {
    /// The law.
    pub law: Law,
    /// What was found, as a sentence.
    pub why: String,
}

impl Broken {
    pub(super) fn new(law: Law, why: impl ToString) -> Broken {
        Broken { law, why: why.to_string() }
    }
}

/// A graph with values for its inputs.
#[derive(Debug)]
pub struct Sample {
    /// The graph.
    pub graph: Graph,
    /// Its inputs, in order of declaration.
    pub inputs: Vec<Input>,
}

impl Sample {
    /// A copy of a graph, and its inputs.
    pub fn of(g: &Graph) -> Sample {
        let (graph, _) = g.rebuild(|_, _, _, _| Rewrite::Keep);
        Sample { inputs: g.inputs(), graph }
    }

    /// Ordinary or special values for the inputs. Integers stay indices in range.
    pub fn feeds(&self, key: Key, odd: bool) -> Vec<Tensor> {
        let feed = |(i, input): (usize, &Input)| {
            let (ty, key) = (input.ty(), key.fold(i as u64));
            if odd && ty.dtype().is_float() { special(ty, key) } else { draw(ty, key) }
        };
        self.inputs.iter().enumerate().map(feed).collect()
    }

    /// Ordinary values, but one float in eight is NaN, and one a zero.
    pub fn holes(&self, key: Key) -> Vec<Tensor> {
        let hole = |(i, value): (usize, Tensor)| {
            let (values, key) = (value.to_f64s(), key.fold(1).fold(i as u64));
            let at = |i: usize| match key.below(i as u64, 16) {
                0 | 1 => f64::NAN,
                2 => 0.0,
                3 => -0.0,
                _ => values[i],
            };
            if value.dtype().is_float() { Tensor::build(value.ty(), at) } else { value }
        };
        self.feeds(key, false).into_iter().enumerate().map(hole).collect()
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

/// The weakest class of values that a pipeline may use at a level.
fn class_of(pipeline: &Pipeline, level: Level) -> Class {
    let classes = pipeline.passes().iter().map(|p| p.class().values);
    let weakest = classes.fold(Class::BitExact, weaker);
    if level == Level::Exact { weakest.min(Class::KernelExact) } else { weakest }
}

/// Does a pipeline keep what it must, on one graph?
///
/// - the outputs agree within the weakest class that may fire, on ordinary values, and at level
///   `exact` on special ones too; at level `default` NaNs stay where they were;
/// - running a pass again changes nothing; a pipeline comes to rest after a few runs;
/// - the price of what is needed does not go up, unless a stabilizing rule fired;
/// - the ledger adds up, and the verifier is content (in debug builds, after each pass).
///
/// Answers the new graph and where the nodes went.
///
/// # Errors
/// The first [`Law`] that does not hold.
pub fn preserves(
    pipeline: &Pipeline,
    sample: &Sample,
    level: Level,
    key: Key,
) -> Result<(Graph, NodeMap), Broken> {
    let g = &sample.graph;
    let (new, map, ledger) = pipeline
        .optimize(g, &mut PassCx::reference(level))
        .map_err(|e| Broken::new(Law::Form, e))?;
    if !ledger.adds_up() {
        return Err(Broken::new(Law::Ledger, format!("the ledger does not add up:\n{ledger}")));
    }
    new.verify().map_err(|e| Broken::new(Law::Form, format!("{e}\n{new}")))?;
    let kinds: &[(Law, Vec<Tensor>)] = &match level {
        Level::Exact => {
            [(Law::Values, sample.feeds(key, false)), (Law::Values, sample.feeds(key, true))]
        }
        Level::Default => [(Law::Values, sample.feeds(key, false)), (Law::Nan, sample.holes(key))],
    };
    for (law, feeds) in kinds {
        equal(g, &new, feeds, class_of(pipeline, level))
            .map_err(|why| Broken::new(*law, format!("{why}\n{ledger}\n{new}")))?;
    }
    rests(pipeline, &new, level)?;
    costs_no_more(g, &new, class_of(pipeline, level), &ledger)?;
    Ok((new, map))
}

/// Do the outputs of two graphs agree?
fn equal(g: &Graph, new: &Graph, feeds: &[Tensor], class: Class) -> Result<(), String> {
    let why = |error: EvalError| error.to_string();
    let scale = scale_of(g, feeds).map_err(why)?;
    let (want, got) = (outputs(g, feeds).map_err(why)?, outputs(new, feeds).map_err(why)?);
    let nan = |of: &Tensor| of.dtype().is_float() && of.to_f64s().iter().any(|v| v.is_nan());
    let spreads = class >= Class::Rounding && want.iter().any(nan);
    for ((root, want), got) in g.roots().iter().zip(&want).zip(got) {
        let got = if spreads && nan(&got) { spread(&got, want) } else { got };
        agree(class, &got, want, scale).map_err(|m| format!("output {:?}: {m}", root.name))?;
    }
    Ok(())
}

/// The values, but where they are NaN those that are wanted; a NaN that is wanted stays wanted.
fn spread(got: &Tensor, want: &Tensor) -> Tensor {
    let (values, wanted) = (got.to_f64s(), want.to_f64s());
    Tensor::build(got.ty(), |i| if values[i].is_nan() { wanted[i] } else { values[i] })
}

/// Does what a pipeline made of a graph stay as it is?
fn rests(pipeline: &Pipeline, new: &Graph, level: Level) -> Result<(), Broken> {
    // Pipelines that do not end with it leave dead nodes, which a copy numbers anew.
    let pruned = |g: Graph| run(&Prune, &g, &mut PassCx::reference(level)).0.unwrap_or(g);
    let (copy, _) = new.rebuild(|_, _, _, _| Rewrite::Keep);
    let (mut now, limit) = (pruned(copy), if pipeline.passes().len() > 1 { 4 } else { 1 });
    for again in 0..=limit {
        let (next, _, ledger) = pipeline
            .optimize(&now, &mut PassCx::reference(level))
            .map_err(|error| Broken::new(Law::Form, error))?;
        let next = pruned(next);
        match now.to_string() == next.to_string() {
            true => break,
            false if again + 1 < limit => now = next,
            false => {
                let why = format!("another run changes it:\n{now}\nto\n{next}\n{ledger}");
                return Err(Broken::new(Law::Rest, why));
            }
        }
    }
    Ok(())
}

fn costs_no_more(g: &Graph, new: &Graph, class: Class, ledger: &Ledger) -> Result<(), Broken> {
    let stabilizing = |rule: &str| {
        let known = crate::rules::RULES.iter().find(|r| r.name == rule);
        known.map_or(class, |r| r.values) == Class::Stabilizing
    };
    let pays = ledger.entries.iter().any(|e| stabilizing(&e.rule));
    let (before, after) = (Price::of_live(g), Price::of_live(new));
    if after.work > before.work && !pays {
        let why = format!("it costs more: {after:?} after {before:?}\n{ledger}\n{new}");
        return Err(Broken::new(Law::Price, why));
    }
    Ok(())
}

/// Are gradients that are taken after the passes, of the first output by all float inputs and
/// variables, those that are taken before? A class of gradients that is exact is compared as if it
/// were rounding: a value that is used twice gets its two gradients in another order.
///
/// # Errors
/// [`Law::Gradients`], or that the passes do not run.
pub fn commutes(
    pipeline: &Pipeline,
    sample: &Sample,
    level: Level,
    key: Key,
) -> Result<(), Broken> {
    let classes = pipeline.passes().iter().map(|p| weaker(p.class().gradients, p.class().values));
    let class = classes.fold(Class::Rounding, weaker);
    // A copy, for gradients are recorded on it.
    let (g, _) = sample.graph.rebuild(|_, _, _, _| Rewrite::Keep);
    let g = &g;
    let Some(root) = g.roots().into_iter().find(|root| root.target.is_none()) else {
        return Ok(());
    };
    let (new, map, _) = pipeline
        .optimize(g, &mut PassCx::reference(level))
        .map_err(|e| Broken::new(Law::Form, e))?;
    let y = new.roots().into_iter().find(|r| r.name == root.name && r.target.is_none());
    let sources = g.ids().filter(|&id| {
        matches!(g.op(id), Op::Input(_) | Op::Variable(_)) && g.ty(id).dtype().is_float()
    });
    let pairs: Vec<(NodeId, NodeId)> = sources.filter_map(|id| Some((id, map.get(id)?))).collect();
    let broken = |why: String| Broken::new(Law::Gradients, why);
    let y = y.ok_or_else(|| broken("the output is lost".into()))?;
    let feeds = sample.feeds(key, false);
    let of = |g: &Graph, y: NodeId, xs: Vec<NodeId>| {
        let xs: Vec<Var<'_>> = xs.into_iter().map(|x| Var::new(g, x)).collect();
        let grads = g.grad(Var::new(g, y), &xs);
        let ids: Vec<NodeId> = grads.iter().map(|d| d.id()).collect();
        interpreted(g, &ids, &feeds).map_err(|e| broken(e.to_string()))
    };
    let want = of(g, root.value, pairs.iter().map(|p| p.0).collect())?;
    let got = of(&new, y.value, pairs.iter().map(|p| p.1).collect())?;
    let scale = scale_of(g, &feeds).map_err(|e| broken(e.to_string()))?;
    for ((want, got), (x, _)) in want.iter().zip(&got).zip(&pairs) {
        agree(class, got, want, scale)
            .map_err(|m| broken(format!("d {} / d {x}: {m}\n{new}", root.name)))?;
    }
    Ok(())
}

/// Both [`preserves`] and [`commutes`], for passes that a test of its own makes fire on a graph.
///
/// # Errors
/// As for these.
pub fn keeps(pipeline: &Pipeline, g: &Graph, level: Level, key: u64) -> Result<(), Broken> {
    let (sample, key) = (Sample::of(g), Key(key));
    preserves(pipeline, &sample, level, key)?;
    commutes(pipeline, &sample, level, key)
}
