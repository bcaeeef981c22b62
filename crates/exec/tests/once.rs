//! What is the same in every run is done once, and again when what it reads has changed.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use pleach_exec::{ExecError, Options, Plan, State};
use pleach_ops::prelude::*;
use pleach_ops::{Init, Real};
use pleach_tensor::{Tensor, Type};

const OPTIONS: Options = Options { threads: 1, fallback: true };

struct Model {
    params: Params,
    w: Param,
    v: Param,
}

fn model() -> Model {
    let params = Params::seeded(3);
    let full = |value| Init::Full(Real(value));
    let (w, v) = (params.param("w", [4, 4], full(2.0)), params.param("v", [4], full(1.0)));
    Model { params, w, v }
}

fn compile(g: &Graph) -> Plan {
    Plan::compile(g, &g.inputs(), OPTIONS).unwrap()
}

fn vector(values: [f32; 4]) -> Tensor {
    Tensor::new([4], values.to_vec()).unwrap()
}

fn y(plan: &mut Plan, state: &mut State, x: &Tensor) -> Vec<f32> {
    plan.run(state, [x]).unwrap().tensor("y").unwrap().as_slice::<f32>().unwrap().to_vec()
}

#[test]
fn what_reads_frozen_variables_runs_once_and_again_after_a_change() {
    let m = model();
    let g = Graph::eval();
    let x = g.input("x", F32, [4]);
    let squares = g.param(&m.w).matmul(g.param(&m.w)).exp();
    g.output("y", (x * squares.sum([0])).id());
    let mut plan = compile(&g);
    let report = plan.report();
    assert_eq!((report.once.len(), report.instructions()), (3, 1), "{report}");
    let mut state = State::new(&m.params);
    let ones = vector([1.0; 4]);
    let first = y(&mut plan, &mut state, &ones);
    assert_eq!(first, [4.0 * 16f32.exp(); 4]);
    assert_eq!(y(&mut plan, &mut state, &vector([2.0; 4])), [8.0 * 16f32.exp(); 4]);
    // By hand, in a copy, by another plan: each change is seen.
    let half = Tensor::full(&Type::new(F32, [4, 4]).unwrap(), 0.5);
    let mut copy = state.clone();
    state.set("w", &half).unwrap();
    assert_eq!(y(&mut plan, &mut state, &ones), [4.0 * 1f32.exp(); 4]);
    assert_eq!(y(&mut plan, &mut copy, &ones), first);
    assert_eq!(y(&mut plan, &mut state, &ones), [4.0 * 1f32.exp(); 4]);
    let train = Graph::train();
    let w = train.param(&m.w);
    train.assign("w", w.id(), (w * 2.0).id());
    compile(&train).run(&mut state, []).unwrap();
    let doubled = y(&mut plan, &mut state, &ones)[0];
    assert!((doubled - 4.0 * 4f32.exp()).abs() < 1e-4, "{doubled}");
}

#[test]
fn what_a_plan_writes_or_is_fed_is_read_in_every_run() {
    let m = model();
    let g = Graph::train();
    let (x, v) = (g.input("x", F32, [4]), g.param(&m.v));
    let grown = v.exp() + 1.0;
    g.output("y", (x.exp() * grown).id());
    g.assign("v", v.id(), (v + 1.0).id());
    let mut plan = compile(&g);
    assert_eq!(plan.report().once, []);
    let mut state = State::new(&m.params);
    let zeros = vector([0.0; 4]);
    for step in 1..4 {
        assert_eq!(y(&mut plan, &mut state, &zeros), [(step as f32).exp() + 1.0; 4]);
    }
}

#[test]
fn draws_of_every_run_differ() {
    // Whoever draws counts the runs, so a plan writes what keys are made of.
    let m = model();
    let g = Graph::train();
    let noise = g.key().normal(F32, [4]);
    g.output("y", (g.input("x", F32, [4]) + g.param(&m.v) + noise).id());
    let mut plan = compile(&g);
    let mut state = State::new(&m.params);
    let zeros = vector([0.0; 4]);
    let (a, b) = (y(&mut plan, &mut state, &zeros), y(&mut plan, &mut state, &zeros));
    assert_ne!(a, b);
}

#[test]
fn what_takes_too_much_memory_is_computed_in_every_run() {
    let m = model();
    let of = |rows: usize| {
        let g = Graph::eval();
        let wide = g.param(&m.v).exp().broadcast_to([rows, 4]) * g.param(&m.v);
        g.output("y", (g.input("x", F32, [4]) * wide.exp()).sum([0]).id());
        compile(&g).report().once.len()
    };
    assert_eq!(of(8), 3);
    assert_eq!(of(1 << 17), 1, "only exp(v) is kept");
}

#[test]
fn what_fails_is_not_done() {
    let m = model();
    let g = Graph::eval();
    let index = g.param(&m.v).cast(I64);
    let row = g.param(&m.w).take(0, index);
    g.output("y", (g.input("x", F32, [4]) * row.sum([0])).id());
    let mut plan = compile(&g);
    let mut state = State::new(&m.params);
    assert!(!plan.report().once.is_empty());
    let ones = vector([1.0; 4]);
    state.set("v", &vector([9.0; 4])).unwrap();
    for _ in 0..2 {
        let error = plan.run(&mut state, [&ones]).map(|_| ()).unwrap_err();
        assert!(
            matches!(&error, ExecError::Index { op, index: 9, len: 4 } if op.contains("take")),
            "{error}"
        );
    }
    state.set("v", &vector([1.0; 4])).unwrap();
    assert_eq!(y(&mut plan, &mut state, &ones), [8.0; 4]);
}
