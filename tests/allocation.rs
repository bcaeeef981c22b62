//! A step of training allocates nothing from its second run on, whatever is in the model.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::alloc::System;

use pleach::nn::zoo::{Gpt, LeNet, LstmLm, Mlp};
use pleach::prelude::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The least number of allocations of one of some steps after the first. The harness and waking
/// threads may allocate at any time; a step that does always would.
fn least(
    threads: usize,
    optimizer: impl Optimizer + 'static,
    loss: impl for<'g> FnOnce(&Params, &'g Graph) -> Var<'g>,
) -> usize {
    let (params, g) = (Params::seeded(1), Graph::train());
    let loss = loss(&params, &g);
    let feed = |input: &pleach::ops::Input| match input.ty().dtype().is_float() {
        true => Tensor::uniform(input.ty(), Key(4), -1.0, 1.0),
        false => Tensor::build_i64(input.ty(), |i| Key(5).below(i as u64, 7) as i64),
    };
    let feeds: Vec<Tensor> = g.inputs().iter().map(feed).collect();
    let compile = Compile::default().threads(threads).no_fallback();
    let mut step = g.minimize(loss, optimizer).compile(compile).unwrap();
    let mut state = State::new(&params);
    step.run(&mut state, &feeds).unwrap();
    let mut sum = 0.0;
    let counts = (0..20).map(|_| {
        let region = Region::new(ALLOCATOR);
        sum += step.run(&mut state, &feeds).unwrap().scalar("loss").unwrap();
        let change = region.change();
        change.allocations + change.reallocations
    });
    let least = counts.min().unwrap();
    assert!(sum.is_finite());
    least
}

/// A text model's loss: positions by vocabulary.
fn texts<'g>(g: &'g Graph, call: impl FnOnce(Var<'g>) -> Var<'g>) -> Var<'g> {
    let (x, y) = (g.input("x", I64, [2, 5]), g.input("y", I64, [10]));
    call(x).flatten_axes(0, 1).cross_entropy(y)
}

// One test: what runs beside it would be counted too.
#[test]
fn a_step_of_training_allocates_nothing() {
    for threads in [1, 2] {
        let rate = Rate::new(1e-2, Cosine { steps: 10, min: 0.1 });
        let mlp = least(threads, AdamW::new(rate).clip_norm(1.0), |p, g| {
            let net = Mlp::new(p, &[64, 48, 10]);
            let (x, y) = (g.input("x", F32, [32, 64]), g.input("y", I64, [32]));
            net.call(x).dropout(0.5).cross_entropy(y)
        });
        let lenet = least(threads, Sgd::new(0.01).momentum(0.9), |p, g| {
            let net = LeNet::classic(p);
            let (x, y) = (g.input("x", F32, [4, 1, 28, 28]), g.input("y", I64, [4]));
            net.call(x).cross_entropy(y)
        });
        let lstm = least(threads, Adam::new(1e-3), |p, g| {
            let net = LstmLm::new(p, 7, 3, 4, 1);
            texts(g, |x| net.call(x))
        });
        let gpt = least(threads, Adam::new(1e-3), |p, g| {
            let net = Gpt::new(p, 7, 6, 8, 2, 2);
            texts(g, |x| net.call(x))
        });
        assert_eq!([mlp, lenet, lstm, gpt], [0; 4], "{threads} threads");
    }
}
