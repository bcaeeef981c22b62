//! `State`: values by name.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use pleach_exec::{ExecError, Options, Plan, State};
use pleach_ops::{Kind, RUNS, SEED, prelude::*};

fn options() -> Options {
    Options { threads: 1, fallback: false }
}

#[test]
fn a_state_begins_at_the_initial_values_and_can_be_set() {
    let p = Params::seeded(7);
    let (w, n) =
        (p.param("w", [2], Init::ones()), p.buffer("n", I64, Shape::scalar(), Init::zeros()));
    let flags = p.buffer("flags", BOOL, [2], Init::full(1.0));
    let mut state = State::new(&p);
    assert_eq!(state.get(&w), Tensor::new([2], vec![1.0f32, 1.0]).unwrap());
    assert_eq!(state.value("flags").unwrap(), flags.initial());
    assert_eq!(state.variables().len(), 3);
    assert_eq!(state.bytes(), 8 + 8 + 2);
    let names = |kind| state.tensors(kind).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(
        (names(Kind::Param), names(Kind::Buffer)),
        (vec!["w".into()], vec!["n".into(), "flags".into()])
    );
    assert!(names(Kind::Slot).is_empty());

    state.set("w", &Tensor::new([2], vec![3.0f32, f32::NAN]).unwrap()).unwrap();
    state.set("n", &Tensor::scalar(i64::MIN)).unwrap();
    assert_eq!(state.get(&w).to_f64s()[0], 3.0);
    assert!(state.get(&w).to_f64s()[1].is_nan());
    assert_eq!(state.get(&n).to_i64s(), [i64::MIN]);
}

#[test]
fn wrong_names_and_types_are_refused_and_change_nothing() {
    let p = Params::seeded(7);
    p.param("w", [2], Init::ones());
    let mut state = State::new(&p);
    for wrong in [
        Tensor::new([2], vec![1.0f64, 1.0]).unwrap(),
        Tensor::new([1, 2], vec![1.0f32, 1.0]).unwrap(),
        Tensor::scalar(1.0f32),
    ] {
        let error = state.set("w", &wrong).unwrap_err();
        assert!(matches!(error, ExecError::VariableType { .. }), "{error}");
    }
    assert_eq!(state.value("w").unwrap().to_f64s(), [1.0, 1.0]);
    let unknown = state.set("v", &Tensor::scalar(1.0f32)).unwrap_err();
    assert_eq!(unknown, state.value("v").unwrap_err());
}

#[test]
fn slots_appear_when_a_step_needs_them() {
    let p = Params::seeded(7);
    let w = p.param("w", [2], Init::ones());
    let slot = w.slot("m", w.ty().clone(), Init::full(4.0));
    let g = Graph::train();
    let noise = g.key().uniform(F32, [2]);
    g.assign_param(&slot, g.param(&slot) * 0.5 + g.param(&w) + noise * 0.0);
    let mut plan = Plan::compile(&g, &[], options()).unwrap();
    let mut state = State::new(&p);
    assert_eq!(state.get(&slot).to_f64s(), [4.0, 4.0]);
    assert!(state.value("m/w").is_err());
    let mut other = state.clone();
    for _ in 0..2 {
        plan.run(&mut state, []).unwrap();
    }
    assert_eq!(state.value("m/w").unwrap().to_f64s(), [2.5, 2.5]);
    assert_eq!(state.tensors(Kind::Slot).len(), 1);
    // The seed of the model, and the number of runs.
    assert_eq!(state.value(SEED).unwrap().to_i64s(), [7]);
    assert_eq!(state.value(RUNS).unwrap().to_i64s(), [2]);

    // A plan runs on any state of the model, in turn; clones share nothing.
    plan.run(&mut other, []).unwrap();
    let mut copy = other.clone();
    plan.run(&mut copy, []).unwrap();
    plan.run(&mut copy, []).unwrap();
    assert_eq!(other.value("m/w").unwrap().to_f64s(), [3.0, 3.0]);
    assert_eq!(copy.value("m/w").unwrap().to_f64s(), [2.25, 2.25]);
    assert_eq!(state.value("m/w").unwrap().to_f64s(), [2.5, 2.5]);
    // What is set counts at the next run; the entry may move in memory.
    copy.set("m/w", &Tensor::new([2], vec![8.0f32, 0.0]).unwrap()).unwrap();
    plan.run(&mut copy, []).unwrap();
    assert_eq!(copy.value("m/w").unwrap().to_f64s(), [5.0, 1.0]);
}

#[test]
fn two_plans_share_one_state_and_slots_that_appear_later_disturb_nothing() {
    let p = Params::seeded(7);
    let w = p.param("w", [2], Init::ones());
    let (train, show) = (Graph::train(), Graph::eval());
    train.assign_param(&w, train.param(&w) * 2.0);
    show.output("w", show.param(&w).sum_all().id());
    let mut train = Plan::compile(&train, &[], options()).unwrap();
    let mut show = Plan::compile(&show, &[], options()).unwrap();
    let late = Graph::train();
    let slot = w.slot("late", w.ty().clone(), Init::zeros());
    late.assign_param(&slot, late.param(&slot) + late.param(&w));
    let mut late = Plan::compile(&late, &[], options()).unwrap();
    let mut state = State::new(&p);
    for run in 1..=3 {
        train.run(&mut state, []).unwrap();
        assert_eq!(show.run(&mut state, []).unwrap().scalar("w"), Ok(2.0 * f64::from(1 << run)));
        late.run(&mut state, []).unwrap();
    }
    assert_eq!(state.value("late/w").unwrap().to_f64s(), [14.0, 14.0]);
}

#[test]
fn a_long_chain_with_many_assigned_variables_compiles_and_updates_in_place() {
    let p = Params::seeded(1);
    let g = Graph::train();
    let variables: Vec<Param> =
        (0..200).map(|i| p.param(&format!("w{i}"), [8], Init::ones())).collect();
    let mut x = g.full(F32, [8], 0.5) + g.param(&variables[0]);
    for _ in 0..20_000 {
        x = x.tanh();
    }
    // All at the end of the chain, so that nothing is written before it is complete.
    for variable in &variables {
        g.assign_param(variable, g.raw_param(variable) * 0.5 + x);
    }
    let mut plan = Plan::compile(&g, &[], options()).unwrap();
    let report = plan.report().clone();
    assert_eq!((report.updated_in_place, report.variables.0), (200, 200));
    assert_eq!(report.instructions(), 1 + 20_000 + 400);
    assert!(report.arena_bytes <= 3 * 64, "{report}");
    let mut state = State::new(&p);
    plan.run(&mut state, []).unwrap();
    assert_eq!(state.value("w0").unwrap(), state.value("w199").unwrap());
}
