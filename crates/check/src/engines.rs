//! All engines on one random graph: forward, backward and update.

use std::collections::HashSet;

use pleach_exec::{Interpreted, Options, Plan, State};
use pleach_graph::{NodeId, Rewrite};
use pleach_ops::prelude::*;
use pleach_passes::testing::{Recipe, Sample, agree, obfuscate, scale_of, shrink};
use pleach_passes::{Class, Ledger, Level, PassCx, Pipeline, Price};

/// What a random graph held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Nodes, gradients and update included.
    pub nodes: usize,
    /// Loops.
    pub loops: usize,
    /// Draws of random numbers.
    pub draws: usize,
    /// Uses of its parameter, in forward and backward.
    pub uses: usize,
    /// Rules applied backwards.
    pub reversed: usize,
}

/// Draws a graph with gradients and update, runs it twice in a row (so that updates are read), and
/// compares outputs and variables:
///
/// - `exact` has the bits of `unoptimized`, with one thread and two, and with the least memory for one
///   graph of four; for one of two, whose values are anything, on special inputs too;
/// - for the others, whose values are tame, `default` agrees with the interpreter, and so does what
///   it makes of the graph after rules were applied to it backwards; that costs no more than the
///   original.
///
/// # Errors
/// What differs, and the smallest graph found at which it does, as text.
pub fn engines(key: Key) -> Result<Seen, String> {
    let recipe = Recipe::drawn(key, key.below(0, 2) == 0);
    let sample = recipe.build(true);
    let odd = !recipe.tame && key.below(1, 2) == 0;
    let law = |sample: &Sample| -> Result<usize, String> {
        exact(sample, key, odd)?;
        if recipe.tame { tame(sample, key) } else { Ok(0) }
    };
    match law(&sample) {
        Ok(reversed) => Ok(Seen { reversed, ..seen(&sample.graph) }),
        Err(why) => {
            // The law may be another one of a smaller graph, but is one that does not hold.
            let kind = |why: &str| why.split(':').next().map(str::to_string);
            let same = |s: &Sample| law(s).is_err_and(|again| kind(&again) == kind(&why));
            let small = shrink(sample, same);
            let why = law(&small).err().unwrap_or(why);
            Err(format!("{why}\nat {key:?}\n{}", small.graph))
        }
    }
}

fn seen(g: &Graph) -> Seen {
    let count = |name: &str| g.ids().filter(|&id| g.op(id).name() == name).count();
    let param = g.ids().find(|&id| matches!(g.op(id), Op::Variable(v) if v.name() == "w"));
    let uses = param.map_or(0, |w| g.users(w).len());
    Seen { nodes: g.len(), loops: count("scan"), draws: count("uniform"), uses, reversed: 0 }
}

type Named = Vec<(String, Tensor)>;

/// Outputs of two runs, and what the variables are after them. Fallback is forbidden.
fn run(g: &Graph, sample: &Sample, threads: usize, feeds: &[Tensor]) -> Result<Named, String> {
    let options = Options { threads, fallback: false };
    let mut plan = Plan::compile(g, &sample.inputs, options).map_err(|e| format!("plan: {e}"))?;
    let mut state = State::new(&Params::seeded(7));
    let mut all = Named::new();
    for _ in 0..2 {
        let outputs = plan.run(&mut state, feeds).map_err(|e| format!("run: {e}"))?;
        all.extend(outputs.tensors());
    }
    // Those that no step assigns hold what they began with, if a plan needs them at all.
    let assigned: HashSet<NodeId> = g.roots().iter().filter_map(|root| root.target).collect();
    let name = |id: &NodeId| match g.op(*id) {
        Op::Variable(variable) => Some(variable.name().to_string()),
        _ => None,
    };
    let names = assigned.iter().filter_map(name);
    all.extend(names.filter_map(|n| Some((n.clone(), state.value(&n).ok()?))));
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

fn optimized(g: &Graph, level: Level, most: Option<u64>) -> Result<Graph, String> {
    let evaluate = |op: &Op, x: &[&Tensor], y: &Type| Plan::evaluate(op, x, y);
    let mut cx = PassCx::new(level, &evaluate);
    if most.is_some() {
        cx = cx.peak(&Plan::peak_bytes);
    }
    cx.max_peak_bytes = most;
    let done = Pipeline::default().run(g, &mut cx, &mut Ledger::default());
    done.map(|(new, _)| new).map_err(|e| format!("passes: {e}"))
}

fn same(what: &str, class: Class, got: &Named, want: &Named, scale: f64) -> Result<(), String> {
    let names = |of: &Named| of.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    if names(got) != names(want) {
        return Err(format!("{what}: {:?} instead of {:?}", names(got), names(want)));
    }
    for ((name, got), (_, want)) in got.iter().zip(want) {
        agree(class, got, want, scale).map_err(|why| format!("{what}: {name}: {why}"))?;
    }
    Ok(())
}

fn exact(sample: &Sample, key: Key, odd: bool) -> Result<(), String> {
    let feeds = sample.feeds(key, odd);
    let want = run(&sample.graph, sample, 1, &feeds)?;
    let exact = optimized(&sample.graph, Level::Exact, None)?;
    same("exact", Class::BitExact, &run(&exact, sample, 1, &feeds)?, &want, 1.0)?;
    same("exact, 2 threads", Class::BitExact, &run(&exact, sample, 2, &feeds)?, &want, 1.0)?;
    if key.below(2, 4) > 0 {
        return Ok(());
    }
    let small = optimized(&sample.graph, Level::Exact, Some(0))?;
    same("least memory", Class::BitExact, &run(&small, sample, 1, &feeds)?, &want, 1.0)
}

/// How many rules were applied backwards.
fn tame(sample: &Sample, key: Key) -> Result<usize, String> {
    let feeds = sample.feeds(key, false);
    let scale = scale_of(&sample.graph, &feeds).map_err(|e| format!("interpreter: {e}"))?;
    let (copy, _) = sample.graph.rebuild(|_, _, _, _| Rewrite::Keep);
    let why = |e: pleach_exec::ExecError| format!("interpreter: {e}");
    let mut oracle = Interpreted::new(copy, &sample.inputs).map_err(why)?;
    let mut state = State::new(&Params::seeded(7));
    let mut want = oracle.run(&mut state, &feeds).map_err(why)?.tensors();
    want.sort_by(|a, b| a.0.cmp(&b.0));
    let compare = |what: &str, sample: &Sample| {
        let best = optimized(&sample.graph, Level::Default, None)?;
        let options = Options { threads: 1, fallback: false };
        let mut plan =
            Plan::compile(&best, &sample.inputs, options).map_err(|e| format!("plan: {e}"))?;
        let mut state = State::new(&Params::seeded(7));
        let mut got = plan.run(&mut state, &feeds).map_err(|e| format!("run: {e}"))?.tensors();
        got.sort_by(|a, b| a.0.cmp(&b.0));
        same(what, Class::Rounding, &got, &want, scale).map(|()| best)
    };
    compare("default", sample)?;
    let (worse, reversed) = obfuscate(&sample.graph, key, 2);
    let best = compare("obfuscated", &worse)?;
    let (before, after) = (Price::of_live(&sample.graph), Price::of_live(&best));
    if after.work > before.work {
        let worse = &worse.graph;
        return Err(format!("reversed: {after:?} after {before:?}\n{worse}to\n{best}"));
    }
    Ok(reversed)
}
