//! What it costs to hand a job to a team that spins, and to have it back.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{Criterion, criterion_group, criterion_main};
use pleach_kernels::Pool;

fn hand_over(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool/empty job");
    for threads in [1, 2] {
        let pool = Pool::new(threads);
        group.bench_function(format!("{threads} threads"), |b| b.iter(|| pool.run(2, &|_| {})));
    }
}

criterion_group!(benches, hand_over);
criterion_main!(benches);
