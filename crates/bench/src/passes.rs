//! How long the passes take on graphs of many nodes.
//!
//! The graph is a training step: a chain of links over vectors, its gradients and its update. One
//! weight, one bias, the rate and some constants are used by thousands of nodes; every fourth link has
//! a parameter of its own. Rules fire in every link, forward and backward.

use std::error::Error;
use std::time::Instant;

use clap::Args;
use comfy_table::Table;
use pleach::exec::{Options as PlanOptions, Plan};
use pleach::optim::Trained;
use pleach::passes::{Level, Pass, PassCx, Pipeline, Simplify};
use pleach::prelude::*;
use serde::Serialize;

use crate::memory::Resident;

/// How many nodes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Nodes of the recorded graph, about.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) nodes: usize,
    /// Each time is the least of this many.
    #[arg(long, default_value_t = 3)]
    pub(crate) repeats: usize,
}

/// Times of one graph, in seconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) peer: &'static str,
    /// Nodes recorded, and what the passes leave of them.
    pub(crate) nodes: usize,
    pub(crate) nodes_after: usize,
    /// Resident bytes of the recorded graph, a node.
    pub(crate) bytes_per_node: f64,
    /// Forward, gradients and update are recorded.
    pub(crate) record_s: f64,
    /// One sweep of all local rules.
    pub(crate) sweep_s: f64,
    /// The default pipeline.
    pub(crate) pipeline_s: f64,
    /// Time grows as this power of the number of nodes, from 10,000 nodes to all: of the pipeline, and
    /// of a sweep.
    pub(crate) slope: f64,
    pub(crate) sweep_slope: f64,
    /// What the pipeline leaves becomes a plan.
    pub(crate) compile_s: f64,
}

/// Nodes of the graph that slopes begin at.
const SMALL: usize = 10_000;

/// Records as many links, their gradients, and an update by Adam.
fn links(params: &Params, g: &Graph, links: usize) {
    let x = g.input("x", F32, [4]);
    let [w, b] = ["w", "b"].map(|name| g.param(&params.param(name, [4], Init::ones())));
    let hub = x.tanh();
    let mut y = x;
    for i in 0..links {
        let mut own = w;
        if i % 4 == 0 {
            own = g.param(&params.param(&format!("own.{}", i / 4), [4], Init::ones()));
        }
        y = (y - (-hub)) * 2.0 * 0.5 + w / 3.0;
        y = (y * own + b).sigmoid() + y * hub + 1.0 + 2.0;
    }
    let loss = y.square().sum_all();
    let variables: Vec<_> = g.variables().into_iter().filter(|v| v.kind() == Kind::Param).collect();
    let values: Vec<Var<'_>> = variables.iter().map(|v| g.raw_param(v)).collect();
    let grads = g.grad(loss, &values);
    let all = variables.into_iter().zip(values).zip(grads);
    let trained: Vec<Trained<'_>> =
        all.map(|((param, value), grad)| Trained { param, value, grad }).collect();
    Adam::new(1e-3).apply(g, &trained);
    g.output("loss", loss.id());
}

/// A graph of about this many nodes.
fn recorded(nodes: usize) -> Result<Graph, Box<dyn Error>> {
    let of = |n: usize| {
        let g = Graph::train();
        links(&Params::seeded(0), &g, n);
        g
    };
    let (short, long) = (of(32).len(), of(64).len());
    let count = 32 + nodes.saturating_sub(short) * 32 / (long - short);
    let g = of(count);
    g.check()?;
    Ok(g)
}

/// The least time of `repeats` calls, in seconds, and what the last of them gave.
fn least<T>(
    repeats: usize,
    mut f: impl FnMut() -> Result<T, Box<dyn Error>>,
) -> Result<(f64, T), Box<dyn Error>> {
    let mut timed = || -> Result<(f64, T), Box<dyn Error>> {
        let start = Instant::now();
        let result = f()?;
        Ok((start.elapsed().as_secs_f64(), result))
    };
    let mut best = timed()?;
    for _ in 1..repeats {
        let next = timed()?;
        best = (best.0.min(next.0), next.1);
    }
    Ok(best)
}

/// One sweep of all rules.
fn sweep(g: &Graph) -> Result<(), Box<dyn Error>> {
    Simplify::default().sweeps(1).run(g, &mut PassCx::reference(Level::Default))?;
    Ok(())
}

/// The default pipeline; folding evaluates as a plan does.
fn pipeline(g: &Graph) -> Result<Graph, Box<dyn Error>> {
    let mut cx = PassCx::new(Level::Default, &Plan::evaluate);
    Ok(Pipeline::default().optimize(g, &mut cx)?.0)
}

/// Measures a graph of as many nodes as asked for, and a small one for the slopes.
///
/// # Errors
/// What the library refuses; a system that does not tell resident memory.
pub(crate) fn run(options: &Options) -> Result<Measured, Box<dyn Error>> {
    // First, while no memory that was freed can be taken again.
    let before = Resident::read()?.now;
    let start = Instant::now();
    let g = recorded(options.nodes)?;
    let record_s = start.elapsed().as_secs_f64();
    let bytes = Resident::read()?.now.saturating_sub(before);

    let (small, repeats) = (recorded(SMALL)?, options.repeats);
    let (small_sweep, ()) = least(10 * repeats, || sweep(&small))?;
    let (small_pipeline, _) = least(10 * repeats, || pipeline(&small))?;
    let (sweep_s, ()) = least(repeats, || sweep(&g))?;
    let (pipeline_s, optimized) = least(repeats, || pipeline(&g))?;
    let plan = PlanOptions { threads: 1, fallback: false };
    let (compile_s, _) =
        least(repeats, || Ok(Plan::compile(&optimized, &optimized.inputs(), plan)?))?;
    let growth = (g.len() as f64 / small.len() as f64).ln();
    let slope = |large: f64, small: f64| (large / small).ln() / growth;
    Ok(Measured {
        peer: "pleach",
        nodes: g.len(),
        nodes_after: optimized.len(),
        bytes_per_node: bytes as f64 / g.len() as f64,
        record_s,
        sweep_s,
        pipeline_s,
        slope: slope(pipeline_s, small_pipeline),
        sweep_slope: slope(sweep_s, small_sweep),
        compile_s,
    })
}

/// The measurements as a table.
pub(crate) fn table(measured: &[Measured]) -> Table {
    let mut table = Table::new();
    let head = ["nodes", "after", "bytes/node", "record s", "sweep s", "slope"];
    table.set_header(head.into_iter().chain(["pipeline s", "slope", "compile s"]));
    for m in measured {
        table.add_row([
            m.nodes.to_string(),
            m.nodes_after.to_string(),
            format!("{:.0}", m.bytes_per_node),
            format!("{:.3}", m.record_s),
            format!("{:.3}", m.sweep_s),
            format!("{:.3}", m.sweep_slope),
            format!("{:.3}", m.pipeline_s),
            format!("{:.3}", m.slope),
            format!("{:.3}", m.compile_s),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graph_has_the_nodes_asked_for_and_hubs() {
        let g = recorded(20_000).expect("a graph");
        assert!((19_000..21_000).contains(&g.len()), "{}", g.len());
        let uses = |name: &str| {
            let is = |id: &NodeId| matches!(g.op(*id), Op::Variable(v) if v.name() == name);
            g.users(g.ids().find(is).expect("recorded")).len()
        };
        assert!(["w", "b", "adam.rate"].iter().all(|name| uses(name) >= 1));
        assert!(uses("w") > 500, "{}", uses("w"));
    }

    #[test]
    fn a_line_has_all_figures() {
        let m = run(&Options { nodes: 20_000, repeats: 1 }).expect("it runs");
        let times = [m.record_s, m.sweep_s, m.pipeline_s, m.compile_s];
        assert!(times.iter().all(|&s| s > 0.0 && s < 60.0), "{m:?}");
        assert!(m.nodes_after < m.nodes && m.slope.is_finite() && m.sweep_slope.is_finite());
    }
}
