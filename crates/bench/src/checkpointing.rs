//! A chain of layers with less and less memory: what that costs.
//!
//! One step of training is compiled without a limit, with the lowest that can be met, and with some in
//! between. Loss and parameters after the steps are compared bit by bit.

use std::error::Error;
use std::time::Instant;

use clap::Args;
use comfy_table::Table;
use pleach::prelude::*;
use pleach::tensor::compare::bit_mismatch;
use pleach::{CompileError, Problem};
use serde::Serialize;

/// Which chain.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Layers: a product and a tanh each.
    #[arg(long, default_value_t = 64)]
    layers: usize,
    /// Rows of a batch.
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// Units of a layer.
    #[arg(long, default_value_t = 64)]
    width: usize,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// One limit.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    peer: &'static str,
    layers: usize,
    /// What was allowed; none without a limit.
    limit_bytes: Option<u64>,
    arena_bytes: u64,
    /// The arena in values of one layer, and that by the root of the number of layers.
    values: f64,
    values_by_root: f64,
    flops: u64,
    /// Arithmetic and time of a step, by those without a limit.
    flops_ratio: f64,
    ms: f64,
    ms_ratio: f64,
    compile_s: f64,
    /// Are loss and parameters after some steps those without a limit, bit by bit?
    same_bits: bool,
}

/// Steps after which bits are compared, and those of which the fastest is the time.
const STEPS: usize = 8;

fn compiled(options: &Options, limit: Option<u64>) -> Result<(Step, Params), CompileError> {
    let (g, params) = (Graph::train(), Params::seeded(7));
    let mut y = g.input("x", F32, [options.batch, options.width]);
    let scale = 1.0 / (options.width as f64).sqrt();
    for i in 0..options.layers {
        let ty = [options.width, options.width];
        let w = params.param(&format!("w.{i}"), ty, Init::normal(0.0, scale));
        y = y.matmul(g.param(&w)).tanh();
    }
    let mut compile = Compile::default().threads(options.threads).no_fallback();
    if let Some(limit) = limit {
        compile = compile.max_peak_bytes(limit);
    }
    Ok((g.minimize(y.square().mean(), Sgd::new(0.1)).compile(compile)?, params))
}

/// Measures.
///
/// # Errors
/// What the library refuses.
pub(crate) fn run(options: &Options) -> Result<Vec<Measured>, Box<dyn Error>> {
    let told = |problems: &[Problem]| match problems {
        [Problem::Memory { lowest, .. }] => Some(*lowest),
        _ => None,
    };
    let lowest = match compiled(options, Some(0)) {
        Err(error) => told(&error.0).ok_or(error)?,
        Ok(_) => 0,
    };
    let mut all: Vec<Measured> = Vec::new();
    let mut first = None;
    for part in [None, Some(0.5), Some(0.25), Some(0.0)] {
        let plain = all.first().map_or(0, |m: &Measured| m.arena_bytes);
        let limit = part.map(|part| lowest + (plain.saturating_sub(lowest) as f64 * part) as u64);
        let start = Instant::now();
        let (mut step, params) = compiled(options, limit)?;
        let compile_s = start.elapsed().as_secs_f64();
        let mut state = State::new(&params);
        let x = Tensor::normal(&Type::new(F32, [options.batch, options.width])?, Key(1), 0.0, 1.0);
        let (mut losses, mut best) = (Vec::new(), f64::INFINITY);
        for _ in 0..STEPS {
            let start = Instant::now();
            losses.push(step.run(&mut state, [&x])?.scalar("loss")?.to_bits());
            best = best.min(start.elapsed().as_secs_f64());
        }
        let values: Vec<(String, Tensor)> = state.tensors(Kind::Param).into_iter().collect();
        let (losses_first, values_first) = first.get_or_insert((losses.clone(), values.clone()));
        let same =
            values.iter().zip(values_first.iter()).all(|(a, b)| bit_mismatch(&a.1, &b.1).is_none());
        let same_bits = same && losses == *losses_first;
        let plan = step.report().plan.as_ref().ok_or("a plan")?;
        let (flops, ms) = (plan.moved.iter().map(|m| m.flops).sum(), best * 1e3);
        let arena_bytes = plan.arena_bytes as u64;
        let values = arena_bytes as f64 / (options.batch * options.width * 4) as f64;
        let (plain_flops, plain_ms) = all.first().map_or((flops, ms), |m| (m.flops, m.ms));
        all.push(Measured {
            peer: "pleach",
            layers: options.layers,
            limit_bytes: limit,
            arena_bytes,
            values,
            values_by_root: values / (options.layers as f64).sqrt(),
            flops,
            flops_ratio: flops as f64 / plain_flops as f64,
            ms,
            ms_ratio: ms / plain_ms,
            compile_s,
            same_bits,
        });
    }
    Ok(all)
}

/// The measurements as a table.
pub(crate) fn table(measured: &[Measured]) -> Table {
    let mut table = Table::new();
    let head = ["layers", "limit KiB", "arena KiB", "values", "values/√n", "FLOPs", "ms", "ratio"];
    table.set_header(head.into_iter().chain(["compile s", "same bits"]));
    for m in measured {
        table.add_row([
            m.layers.to_string(),
            m.limit_bytes.map_or(String::new(), |limit| (limit / 1024).to_string()),
            (m.arena_bytes / 1024).to_string(),
            format!("{:.1}", m.values),
            format!("{:.2}", m.values_by_root),
            format!("{:.3}", m.flops_ratio),
            format!("{:.3}", m.ms),
            format!("{:.3}", m.ms_ratio),
            format!("{:.3}", m.compile_s),
            m.same_bits.to_string(),
        ]);
    }
    table
}
