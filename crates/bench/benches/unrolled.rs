//! An LSTM that is unrolled in a Rust loop, as it is and with the passes `merge`, `stack` and `roll`, on one thread: steps, and
//! what it takes to compile them.
//!
//! ```sh
//! cargo bench -p pleach-bench --bench unrolled
//! ```
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should say where")]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use pleach::passes::{Merge, Pipeline};
use pleach::prelude::*;
use pleach::tensor::Key;

/// Steps, batch, numbers of each step and of the state.
const SIZES: [[usize; 4]; 6] = [
    [64, 32, 64, 128],
    [32, 4, 256, 256],
    [16, 1, 256, 256],
    [16, 1, 512, 512],
    [16, 8, 512, 512],
    [16, 32, 512, 512],
];

fn lstm<'g>(p: &Params, g: &'g Graph, [steps, batch, inner, wide]: [usize; 4]) -> Var<'g> {
    let x = g.input("x", F32, [batch, steps, inner]);
    let weight = |name: &str, rows: usize| {
        g.param(&p.param(name, [rows, 4 * wide], Init::normal(0.0, 0.05)))
    };
    let (w, v) = (weight("w", inner), weight("v", wide));
    let mut h = g.input("h", F32, [batch, wide]);
    let mut c = h;
    for t in 0..steps {
        let z = x.slice(1, t..t + 1).squeeze(1).matmul(w) + h.matmul(v);
        let gate = |n: usize| z.slice(1, n * wide..(n + 1) * wide);
        c = gate(0).sigmoid() * c + gate(1).sigmoid() * gate(2).tanh();
        h = gate(3).sigmoid() * c.tanh();
    }
    (h * h).mean()
}

fn unrolled(criterion: &mut Criterion) {
    // The first is left alone otherwise.
    let merge = Merge { large: 0, ..Merge::default() };
    let stack = Pipeline::default().without("merge").without("roll");
    let without = stack.clone().without("stack");
    let with = without.clone().insert_after("contract", merge);
    let roll = Pipeline::default();
    for train in [false, true] {
        let mut group = criterion.benchmark_group(if train { "training" } else { "inference" });
        for sizes in SIZES {
            let ways =
                [("without", &without), ("merge", &with), ("stack", &stack), ("roll", &roll)];
            for (way, pipeline) in ways {
                let (p, g) =
                    (Params::seeded(0), if train { Graph::train() } else { Graph::eval() });
                let loss = lstm(&p, &g, sizes);
                let compile = Compile::default().threads(1).pipeline(pipeline.clone());
                let recording =
                    if train { g.minimize(loss, Sgd::new(0.01)) } else { g.infer(loss) };
                let (mut step, mut state) = (recording.compile(compile).unwrap(), State::new(&p));
                let feeds: Vec<Tensor> = (0..)
                    .zip(g.inputs())
                    .map(|(i, input)| Tensor::normal(input.ty(), Key(i), 0.0, 1.0))
                    .collect();
                group.bench_function(format!("{sizes:?}/{way}"), |b| {
                    b.iter(|| step.run(&mut state, &feeds).map(drop).unwrap());
                });
            }
        }
    }
}

/// A loop of elementwise steps, as it is and unrolled.
fn elementwise(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("elementwise");
    for [elements, steps] in [[10, 8], [10_000, 8], [1_000_000, 8], [10_000, 30]] {
        for (way, pipeline) in
            [("loop", Pipeline::default().without("unroll")), ("unroll", Pipeline::default())]
        {
            let g = Graph::eval();
            let x = g.input("x", F32, [elements]);
            let y = g.repeat(steps, x, |_, x| x + 0.1 * x.sin() * (1.0 - x));
            let compile = Compile::default().threads(1).pipeline(pipeline);
            let (mut step, mut state) =
                (g.infer(y).compile(compile).unwrap(), State::new(&Params::seeded(0)));
            let feeds = [Tensor::normal(g.inputs()[0].ty(), Key(0), 0.0, 1.0)];
            group.bench_function(format!("[{elements}, {steps}]/{way}"), |b| {
                b.iter(|| step.run(&mut state, &feeds).map(drop).unwrap());
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = unrolled, elementwise
}
criterion_main!(benches);
