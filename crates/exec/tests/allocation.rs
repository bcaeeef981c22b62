//! A training step allocates nothing from its second run on, but for the packing of the matrix
//! library.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use pleach_exec::{Options, Plan, State};
use pleach_ops::prelude::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Two layers with dropout, cross-entropy by gather, gradients, Adam by hand.
fn adam(g: &Graph, p: &Params, batch: usize, widths: [usize; 3]) {
    let [width, hidden, classes] = widths;
    let (x, t) = (g.input("x", F32, [batch, width]), g.input("t", I64, [batch]));
    let weights: Vec<Param> = vec![
        p.param("w1", [width, hidden], Init::normal(0.0, 0.1)),
        p.param("b1", [hidden], Init::zeros()),
        p.param("w2", [hidden, classes], Init::normal(0.0, 0.1)),
    ];
    let w: Vec<Var<'_>> = weights.iter().map(|w| g.param(w)).collect();
    let h = (x.matmul(w[0]) + w[1]).relu().dropout(0.5);
    let loss = h.matmul(w[2]).cross_entropy(t);
    g.output("loss", loss.id());
    let step = weights[0].shared_slot("step", Type::scalar(F32), Init::zeros());
    let n = g.param(&step) + 1.0;
    g.assign_param(&step, n);
    let unbias = |beta: f64| 1.0 - (n * beta.ln()).exp();
    for (w, grad) in weights.iter().zip(g.grad(loss, &w)) {
        let slot = |name: &str| w.slot(name, w.ty().clone(), Init::zeros());
        let (m, v) = (slot("m"), slot("v"));
        let mean = g.param(&m) * 0.9 + grad * 0.1;
        let square = g.param(&v) * 0.999 + grad * grad * 0.001;
        g.assign_param(&m, mean);
        g.assign_param(&v, square);
        let change = (mean / unbias(0.9)) / ((square / unbias(0.999)).sqrt() + 1e-8);
        g.assign_param(w, g.param(w) - change * 0.01);
    }
}

fn feeds(batch: usize, width: usize, classes: u64) -> [Tensor; 2] {
    let key = Key(4);
    let x = Type::new(F32, [batch, width]).unwrap();
    let t = Type::new(I64, [batch]).unwrap();
    [
        Tensor::uniform(&x, key, -1.0, 1.0),
        Tensor::build_i64(&t, |i| key.below(i as u64, classes) as i64),
    ]
}

/// The least number of allocations of a run after the first. The harness and waking threads may
/// allocate at any time; a run that does always would.
fn least(g: &Graph, threads: usize, state: &mut State, feeds: &[Tensor]) -> usize {
    let options = Options { threads, fallback: false };
    let mut plan = Plan::compile(g, &g.inputs(), options).unwrap();
    let name = plan.outputs().names()[0].to_string();
    plan.run(state, feeds).unwrap();
    let mut sum = 0.0;
    let counts = (0..20).map(|_| {
        let region = Region::new(ALLOCATOR);
        let outputs = plan.run(state, feeds).unwrap();
        sum += outputs.scalar(&name).unwrap();
        let change = region.change();
        change.allocations + change.reallocations
    });
    let least = counts.min().unwrap();
    assert!(sum.is_finite());
    least
}

// One test: what runs beside it would be counted too.
#[test]
fn a_training_step_allocates_nothing() {
    let (g, p) = (Graph::train(), Params::seeded(1));
    adam(&g, &p, 32, [48, 40, 10]);
    g.output("weights", g.param(&p.variables()[0]).sum_all().id());
    for threads in [1, 2] {
        let mut state = State::new(&p);
        assert_eq!(least(&g, threads, &mut state, &feeds(32, 48, 10)), 0, "{threads} threads");
    }

    // Large products allocate as often as they do on their own, and nothing else does.
    let (batch, widths) = (128, [256, 192, 96]);
    let (g, p) = (Graph::train(), Params::seeded(1));
    adam(&g, &p, batch, widths);
    let mut state = State::new(&p);
    let step = least(&g, 1, &mut state, &feeds(batch, widths[0], widths[2] as u64));
    let g = Graph::raw();
    let [width, hidden, classes] = widths;
    let [x, a, b, h, dy] = [
        g.input("x", F32, [batch, width]),
        g.input("a", F32, [width, hidden]),
        g.input("b", F32, [hidden, classes]),
        g.input("h", F32, [batch, hidden]),
        g.input("dy", F32, [batch, classes]),
    ];
    let products = [x.matmul(a), h.matmul(b), x.t().matmul(h), dy.matmul(b.t()), h.t().matmul(dy)];
    let corner = products.map(|y| y.slice(0, 0..1).slice(1, 0..1).sum_all());
    g.output("corner", (corner[0] + corner[1] + corner[2] + corner[3] + corner[4]).id());
    let values: Vec<Tensor> =
        g.inputs().iter().map(|i| Tensor::uniform(i.ty(), Key(1), 0.0, 1.0)).collect();
    let alone = least(&g, 1, &mut state, &values);
    assert_eq!(step, alone);
}
