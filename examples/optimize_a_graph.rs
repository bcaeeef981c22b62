//! Optimizing a training step: pipelines as values, what every rule did, why a node is there, and
//! which rewrite is to blame. Takes a second.
//!
//! `cargo run --release --example optimize_a_graph`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;
use std::time::Instant;

use comfy_table::Table;
use pleach::passes::{Pipeline, Simplify, rules};
use pleach::prelude::*;

/// A small classifier, and a penalty that is written without care for its cost.
struct Net {
    params: Params,
    first: Linear,
    second: Linear,
}

impl Net {
    fn new() -> Net {
        let params = Params::seeded(5);
        let first = Linear::new(&params.scope("first"), 16, 32);
        let second = Linear::new(&params.scope("second"), 32, 4);
        Net { params, first, second }
    }

    fn step<'g>(&self, g: &'g Graph) -> Recording<'g> {
        let (x, y) = (g.input("x", F32, [64, 16]), g.input("y", I64, [64]));
        let hidden = self.first.call(x).sigmoid();
        let sparse = -(1.0 - hidden).ln().mean() / 4.0 * 0.1;
        let loss = self.second.call(hidden).cross_entropy(y) + sparse;
        g.minimize(loss, Adam::new(1e-2))
    }

    fn feeds(&self) -> Result<[Tensor; 2], Box<dyn Error>> {
        let x = Tensor::normal(&Type::new(F32, [64, 16])?, Key(1), 0.0, 1.0);
        Ok([x, Tensor::new([64], (0..64).map(|i| i % 4).collect::<Vec<i64>>())?])
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let net = Net::new();

    // What the passes make of the step, and what each rule changed. The deltas add up.
    let g = Graph::train();
    let optimized = net.step(&g).optimize(Compile::default())?;
    println!("{}\n", optimized.ledger);
    let loss = optimized.output("loss").ok_or("there is a loss")?;
    println!("the loss comes from");
    optimized.explain(loss).iter().for_each(|cause| println!("  {cause}"));
    // `dot -Tsvg` draws it: every node in the colour of the last pass that made it.
    std::fs::create_dir_all("out/optimize_a_graph")?;
    std::fs::write("out/optimize_a_graph/step.dot", optimized.dot())?;

    // Pipelines are values.
    let pipelines = [
        ("unoptimized", Compile::unoptimized()),
        ("exact", Compile::exact()),
        ("without fuse", Compile::default().without("fuse")),
        ("prefix of 7", Compile::default().pipeline(Pipeline::default().prefix(7))),
        ("default", Compile::default()),
    ];
    let mut table = Table::new();
    table.set_header(["pipeline", "nodes", "instructions", "MFLOP", "KiB moved", "KiB peak", "µs"]);
    for (name, compile) in pipelines {
        let g = Graph::train();
        let mut step = net.step(&g).compile(compile.threads(1))?;
        let (mut state, feeds) = (State::new(&net.params), net.feeds()?);
        let mut best = f64::INFINITY;
        for _ in 0..200 {
            let start = Instant::now();
            step.run(&mut state, &feeds)?.scalar("loss")?;
            best = best.min(start.elapsed().as_secs_f64() * 1e6);
        }
        let (report, plan) = (step.report(), step.report().plan.as_ref().ok_or("a plan")?);
        let flops: u64 = plan.moved.iter().map(|m| m.flops).sum();
        table.add_row([
            name.into(),
            report.ledger.sum().nodes.to_string(),
            plan.instructions().to_string(),
            format!("{:.2}", flops as f64 / 1e6),
            format!("{:.1}", plan.bytes_moved() as f64 / 1024.0),
            format!("{:.1}", plan.arena_bytes as f64 / 1024.0),
            format!("{best:.0}"),
        ]);
    }
    println!("\n{table}\n");

    // A rule that is wrong, among all the others. What shows is a loss that does not fall.
    let wrong = rules! { forgets: R, R "(x / a)·b = x·b" mul(div(x, c1), c2) => mul(x, c2); };
    let pipeline = Pipeline::default().insert_after("lookup", Simplify::new(wrong));
    let (g, again) = (Graph::train(), Graph::train());
    let reference = train(&mut net.step(&again).compile(Compile::exact())?, &net)?;
    let differs = |step: &mut Step| match train(step, &net) {
        Ok(loss) => (loss - reference).abs() > 1e-4,
        Err(_) => true,
    };
    let culprit = net.step(&g).bisect(Compile::default().pipeline(pipeline), differs)?;
    let culprit = culprit.ok_or("the wrong rule was not found")?;
    println!("to blame is {culprit}");
    assert_eq!(culprit.rule.as_deref(), Some("forgets"));
    Ok(())
}

/// The loss after some steps.
fn train(step: &mut Step, net: &Net) -> Result<f64, Box<dyn Error>> {
    let (mut state, feeds) = (State::new(&net.params), net.feeds()?);
    let mut loss = 0.0;
    for _ in 0..20 {
        loss = step.run(&mut state, &feeds)?.scalar("loss")?;
    }
    Ok(loss)
}
