//! A state from saved values: as it was, or every misfit at once.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use pleach_exec::{ExecError, Misfit, Options, Plan, State};
use pleach_ops::{Kind, RUNS, SEED, prelude::*};

type Saved = Vec<(String, Kind, Tensor)>;

fn saved(state: &State) -> Saved {
    state.variables().map(|v| (v.name().to_string(), v.kind(), state.get(v))).collect()
}

fn model() -> (Params, Param, Param) {
    let p = Params::seeded(7);
    let w = p.param("w", [2], Init::normal(0.0, 1.0));
    let n = p.buffer("n", I64, Shape::scalar(), Init::zeros());
    (p, w, n)
}

/// Draws, counts, and moves a slot of the type `m`.
fn plan(w: &Param, n: &Param, m: Type) -> Plan {
    let g = Graph::train();
    let slot = w.slot("m", m, Init::ones());
    let noise = g.key().uniform(F32, [2]);
    g.assign_param(w, g.param(w) + noise);
    g.assign_param(n, g.param(n) + 1);
    g.assign_param(&slot, g.param(&slot) * 0.5);
    Plan::compile(&g, &[], Options { threads: 1, fallback: false }).unwrap()
}

#[test]
fn a_restored_state_goes_on_as_the_one_that_was_saved() {
    let (p, w, n) = model();
    let mut state = State::new(&p);
    let mut step = plan(&w, &n, w.ty().clone());
    for _ in 0..3 {
        step.run(&mut state, []).unwrap();
    }
    // Another process: another registry, and no step has asked for a slot yet.
    let (q, w, n) = model();
    let mut restored = State::restore(&q, state.seed(), saved(&state)).unwrap();
    assert_eq!(saved(&restored), saved(&state));
    assert_eq!(restored.value("m/w").unwrap().to_f64s(), [0.125, 0.125]);
    assert_eq!(restored.value(SEED).unwrap().to_i64s(), [7]);
    assert_eq!(restored.value(RUNS).unwrap().to_i64s(), [3]);
    let mut again = plan(&w, &n, w.ty().clone());
    for _ in 0..3 {
        step.run(&mut state, []).unwrap();
        again.run(&mut restored, []).unwrap();
    }
    assert_eq!(saved(&restored), saved(&state));
    // It is a state of this model, not of the one that was saved.
    let foreign = step.run(&mut restored, []).unwrap_err();
    assert!(matches!(foreign, ExecError::ForeignVariable { .. }), "{foreign}");
}

#[test]
fn a_step_that_needs_a_restored_slot_of_another_type_is_refused() {
    let (p, w, n) = model();
    let mut state = State::new(&p);
    plan(&w, &n, w.ty().clone()).run(&mut state, []).unwrap();
    let mut restored = State::restore(&p, 7, saved(&state)).unwrap();
    let before = saved(&restored);
    for wrong in ["f64[2]", "f32[2, 1]", "f32[3]"] {
        let wrong: Type = wrong.parse().unwrap();
        let error = plan(&w, &n, wrong.clone()).run(&mut restored, []).unwrap_err();
        let (name, expected) = ("m/w".to_string(), w.ty().clone());
        assert_eq!(error, ExecError::VariableType { name, expected, got: wrong });
        assert_eq!(saved(&restored), before);
    }
}

#[test]
fn everything_that_does_not_fit_is_named_at_once() {
    let (p, ..) = model();
    let q = Params::seeded(8);
    q.param("w", [3], Init::ones());
    q.param("n", Shape::scalar(), Init::ones());
    q.param("new", [1], Init::ones());
    q.buffer("mean", F64, [1], Init::ones());
    let mut values = saved(&State::new(&p));
    values.push(("old".into(), Kind::Param, Tensor::scalar(1.0f32)));
    values.push((SEED.into(), Kind::Buffer, Tensor::scalar(1.0f32)));
    values.push(("adam.rate".into(), Kind::Slot, Tensor::scalar(0.5f64)));
    values.push(("adam.rate".into(), Kind::Slot, Tensor::scalar(0.5f64)));
    let error = State::restore(&q, 7, values).unwrap_err();
    let wanted = [
        "the seed of the model is 8, got 7",
        "parameter \"w\" has type f32[3], got f32[2]",
        "\"n\" is a parameter, got a buffer",
        "parameter \"old\" of type f32[] is unknown",
        "buffer \"random.seed\" has type i64[], got f32[]",
        "\"adam.rate\" is given twice",
        "parameter \"new\" of type f32[1] is missing",
        "buffer \"mean\" of type f64[1] is missing",
    ];
    let ExecError::Misfits(misfits) = &error else { panic!("{error}") };
    assert_eq!(misfits.iter().map(Misfit::to_string).collect::<Vec<_>>(), wanted);
    let text = format!("the saved values do not fit the model: {}", wanted.join("; "));
    assert_eq!(error.to_string(), text);
}
