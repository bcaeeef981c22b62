//! One sweep of all rules over a graph of 100,000 nodes, and the default pipeline.

#![allow(missing_docs, reason = "criterion's macros make public items")]

#[path = "../tests/chain/mod.rs"]
mod chain;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pleach_passes::{Level, Pass, PassCx, Pipeline, Simplify};

const N: usize = 100_000;

fn simplify(c: &mut Criterion) {
    let g = chain::graph(N);
    let mut group = c.benchmark_group("passes");
    group.throughput(Throughput::Elements(g.len() as u64)).sample_size(10);
    group.bench_function("sweep", |b| {
        let pass = Simplify::default().sweeps(1);
        b.iter(|| pass.run(&g, &mut PassCx::reference(Level::Default)));
    });
    group.bench_function("pipeline", |b| {
        b.iter(|| Pipeline::default().optimize(&g, &mut PassCx::reference(Level::Default)));
    });
    group.finish();
}

criterion_group!(benches, simplify);
criterion_main!(benches);
