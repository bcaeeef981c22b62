//! Cost of recording, differentiating and rebuilding, per node.

#![allow(missing_docs, reason = "criterion's macros make public items")]

#[path = "../tests/toy/mod.rs"]
mod toy;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pleach_graph::{NodeId, Rewrite};
use toy::{Graph, add, cube, full, mul, x};

const N: usize = 100_000;

/// `n` nodes, all different: a chain of additions.
fn chain(g: &Graph, n: usize) -> NodeId {
    let b = x(g, "b");
    (0..n).fold(x(g, "a"), |sum, _| add(g, sum, b))
}

/// As [`chain`], of multiplications and cubes, whose gradients are not shared.
fn curve(g: &Graph, n: usize) -> NodeId {
    let b = x(g, "b");
    (0..n / 2).fold(x(g, "a"), |y, _| mul(g, cube(g, y), b))
}

fn recorded(record: fn(&Graph, usize) -> NodeId) -> Graph {
    let g = Graph::new();
    let y = record(&g, N);
    g.output("y", y);
    g
}

fn graph(c: &mut Criterion) {
    let mut group = c.benchmark_group("graph");
    group.throughput(Throughput::Elements(N as u64)).sample_size(20);
    group.bench_function("push/new", |b| {
        b.iter_batched(Graph::new, |g| (chain(&g, N), g), BatchSize::PerIteration);
    });
    group.bench_function("push/shared", |b| {
        let g = recorded(chain);
        b.iter(|| chain(&g, N));
    });
    group.bench_function("reverse", |b| {
        let record = || {
            let g = Graph::new();
            (curve(&g, N), full(&g, 1.0), x(&g, "a"), g)
        };
        let reverse = |(y, dy, a, g): (NodeId, NodeId, NodeId, Graph)| {
            let gradients = g.reverse(&[(y, dy)], &[a]).expect("differentiable");
            (gradients, g)
        };
        b.iter_batched(record, reverse, BatchSize::PerIteration);
    });
    group.bench_function("rebuild", |b| {
        let g = recorded(chain);
        b.iter(|| g.rebuild(|_, _, _, _| Rewrite::Keep));
    });
    group.finish();
}

criterion_group!(benches, graph);
criterion_main!(benches);
