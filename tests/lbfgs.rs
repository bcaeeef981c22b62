//! L-BFGS over recorded models: every engine takes the same steps; state, frozen parameters, masks
//! and failures are as promised.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use expect_test::expect;
use pleach::exec::ExecError;
use pleach::optim::{Ended, LbfgsError};
use pleach::prelude::*;
use pleach::{LbfgsStep, Problem};

const ROWS: usize = 60;

/// Rows of four numbers, and the larger of two noisy products of them.
fn data(dtype: DType) -> (Tensor, Tensor) {
    let x = Tensor::normal(&Type::new(F64, [ROWS, 4]).unwrap(), Key(1), 0.0, 1.0);
    let noise = Tensor::normal(&Type::new(F64, [ROWS]).unwrap(), Key(2), 0.0, 0.5).to_f64s();
    let rows = x.to_f64s();
    let label = |i: usize| {
        let row = &rows[4 * i..4 * i + 4];
        i64::from(row[0] - 2.0 * row[1] + 0.5 * row[3] + noise[i] > 0.25)
    };
    let y = Tensor::build_i64(&Type::new(I64, [ROWS]).unwrap(), label);
    (x.cast(dtype), y)
}

fn model(dtype: DType) -> (Params, Linear) {
    let params = Params::seeded(3).dtype(dtype);
    let linear = Linear::new(&params, 4, 2);
    (params, linear)
}

/// Logistic regression with a little decay, so that there is one best point.
fn logistic(linear: &Linear, dtype: DType, lbfgs: Lbfgs, compile: Compile) -> LbfgsStep {
    let g = Graph::train();
    let (x, y) = (g.input("x", dtype, [ROWS, 4]), g.input("y", I64, [ROWS]));
    let w = g.param(&linear.w);
    let loss = linear.call(x).cross_entropy(y) + (w * w).sum_all() * 0.01;
    g.minimize_lbfgs(loss, lbfgs).compile(compile).unwrap()
}

fn levels() -> [Compile; 4] {
    let plan = |compile: Compile| compile.no_fallback().threads(1);
    [
        Compile::none(),
        plan(Compile::unoptimized()),
        plan(Compile::exact()),
        plan(Compile::default()),
    ]
}

#[test]
fn every_level_takes_the_steps_of_the_interpreter() {
    let (x, y) = data(F64);
    for lbfgs in [Lbfgs::new(1.0).strong_wolfe(), Lbfgs::new(0.2)] {
        let lbfgs = lbfgs.max_iterations(4);
        let mut oracle: Vec<(f64, Vec<f64>)> = Vec::new();
        for (level, compile) in levels().into_iter().enumerate() {
            let (params, linear) = model(F64);
            let mut step = logistic(&linear, F64, lbfgs.clone(), compile);
            let mut state = State::new(&params);
            for call in 0..5 {
                let report = step.run(&mut state, [&x, &y]).unwrap();
                let w = state.get(&linear.w).to_f64s();
                if level == 0 {
                    oracle.push((report.loss, w));
                    continue;
                }
                let (loss, want) = &oracle[call];
                assert!((report.loss - loss).abs() <= 1e-9, "{level}: {} {loss}", report.loss);
                let pairs = w.iter().zip(want);
                assert!(pairs.clone().all(|(w, want)| (w - want).abs() <= 1e-7), "{level}: {call}");
            }
        }
    }
}

/// In f64 to the optimum; in f32 as near as f32 goes.
#[test]
fn logistic_regression_ends_where_the_gradient_is_zero() {
    for (dtype, tolerance) in [(F64, 1e-6), (F32, 1e-3)] {
        let (x, y) = data(dtype);
        let (params, linear) = model(dtype);
        let lbfgs = Lbfgs::new(1.0).strong_wolfe().max_iterations(60).tolerance_change(1e-13);
        let mut step = logistic(&linear, dtype, lbfgs, Compile::default());
        let mut state = State::new(&params);
        let report = step.run(&mut state, [&x, &y]).unwrap();
        assert!(report.ended.converged() && report.iterations < 40, "{report:?}");
        assert!(report.loss < 0.5 * report.first);
        let gradient = state.value("lbfgs.gradient/w").unwrap().to_f64s();
        assert!(gradient.iter().all(|g| g.abs() < tolerance), "{gradient:?}");
        let again = step.run(&mut state, [&x, &y]).unwrap();
        assert!((again.first - report.loss).abs() <= tolerance * 1e-2, "{report:?} {again:?}");
    }
}

/// The memory is in the state: another step on a copy of the state goes on with the same bits, and
/// with an empty memory it does not.
#[test]
fn the_memory_is_in_the_state() {
    let (x, y) = data(F32);
    let (params, linear) = model(F32);
    let lbfgs = Lbfgs::new(0.5).history(3).max_iterations(2).named("fit");
    let mut step = logistic(&linear, F32, lbfgs.clone(), Compile::default());
    let mut state = State::new(&params);
    for _ in 0..4 {
        step.run(&mut state, [&x, &y]).unwrap();
    }
    let mut copy = state.clone();
    let mut fresh = State::new(&params);
    for (name, value) in state.tensors(Kind::Param) {
        fresh.set(&name, &value).unwrap();
    }
    let mut other = logistic(&linear, F32, lbfgs, Compile::default());
    for _ in 0..3 {
        step.run(&mut state, [&x, &y]).unwrap();
        other.run(&mut copy, [&x, &y]).unwrap();
    }
    other.run(&mut fresh, [&x, &y]).unwrap();
    assert_eq!(state.tensors(Kind::Param), copy.tensors(Kind::Param));
    assert_eq!(state.tensors(Kind::Slot), copy.tensors(Kind::Slot));
    assert_ne!(state.tensors(Kind::Param), fresh.tensors(Kind::Param));
    assert_eq!(state.value("fit.iterations").unwrap().item(), Some(7.0));
    assert_eq!(state.value("fit.pairs").unwrap().item(), Some(3.0));
    let slots = state.variables().filter(|v| v.kind() == Kind::Slot);
    let mut lines: Vec<String> = slots.map(|v| format!("{} {}\n", v.name(), v.ty())).collect();
    lines.sort();
    expect![[r#"
        fit.evaluations i64[]
        fit.gradient/b f64[2]
        fit.gradient/w f64[4, 2]
        fit.iterations i64[]
        fit.pairs i64[]
        fit.pending i64[]
        fit.rate f64[]
        fit.s/b f64[3, 2]
        fit.s/w f64[3, 4, 2]
        fit.step/b f64[2]
        fit.step/w f64[4, 2]
        fit.y/b f64[3, 2]
        fit.y/w f64[3, 4, 2]
    "#]]
    .assert_eq(&lines.concat());
}

#[test]
fn the_rate_is_set_in_the_state() {
    let (x, y) = data(F64);
    let (params, linear) = model(F64);
    let mut step = logistic(&linear, F64, Lbfgs::new(0.5), Compile::default());
    let mut state = State::new(&params);
    step.run(&mut state, [&x, &y]).unwrap();
    let before = state.get(&linear.w);
    state.set("lbfgs.rate", &Tensor::scalar(0.0)).unwrap();
    step.run(&mut state, [&x, &y]).unwrap();
    assert_eq!(state.get(&linear.w), before);
    state.set("lbfgs.rate", &Tensor::scalar(-1.0)).unwrap();
    let error = step.run(&mut state, [&x, &y]).unwrap_err();
    expect!["lbfgs: rate must be at least 0, got -1"].assert_eq(&error.to_string());
}

#[test]
fn frozen_parameters_cost_nothing_and_stay() {
    let (x, y) = data(F64);
    let (params, linear) = model(F64);
    let g = Graph::train();
    let (xs, ys) = (g.input("x", F64, [ROWS, 4]), g.input("y", I64, [ROWS]));
    let loss = linear.call(xs).cross_entropy(ys);
    let recording = g.minimize_lbfgs(loss, Lbfgs::new(1.0).strong_wolfe()).only("b");
    let mut step = recording.compile(Compile::default()).unwrap();
    assert_eq!(
        (&step.report().trained[..], &step.report().frozen[..]),
        (&["b".into()][..], &["w".into()][..])
    );
    let mut state = State::new(&params);
    let (w, b) = (state.get(&linear.w), state.value("b").unwrap());
    step.run(&mut state, [&x, &y]).unwrap();
    assert_eq!(state.get(&linear.w), w);
    assert_ne!(state.value("b").unwrap(), b);
    assert!(state.value("lbfgs.s/w").is_err());
}

/// With fresh masks in each evaluation no line search would find its end. The key of a call is that
/// of one run; the next call has another.
#[test]
fn dropout_draws_one_mask_a_call() {
    let params = Params::seeded(5).dtype(F64);
    let w = params.param("w", [8], Init::ones());
    let g = Graph::train();
    let loss = (g.param(&w) * 1.0).dropout(0.5).mse(g.constant(Tensor::full(w.ty(), 0.0)));
    let lbfgs = Lbfgs::new(1.0).strong_wolfe().max_iterations(30);
    let mut step = g.minimize_lbfgs(loss, lbfgs).compile(Compile::default()).unwrap();
    let mut state = State::new(&params);
    let mut dropped = Vec::new();
    for call in 1..=2 {
        state.set("w", &Tensor::full(w.ty(), 1.0)).unwrap();
        let report = step.run(&mut state, []).unwrap();
        assert!(report.ended == Ended::Gradient && report.evaluations > 1, "{report:?}");
        let values = state.get(&w).to_f64s();
        assert!(values.iter().all(|&w| w == 1.0 || w.abs() < 1e-6), "{values:?}");
        dropped.push(values.iter().map(|&w| w == 1.0).collect::<Vec<bool>>());
        assert_eq!(state.value(pleach::ops::RUNS).unwrap().item(), Some(f64::from(call)));
    }
    assert_ne!(dropped[0], dropped[1]);
}

#[test]
fn a_failed_run_leaves_the_state_as_it_was() {
    let (x, y) = data(F64);
    let (params, linear) = model(F64);
    let mut step = logistic(&linear, F64, Lbfgs::new(1.0).strong_wolfe(), Compile::default());
    let mut state = State::new(&params);
    step.run(&mut state, [&x, &y]).unwrap();
    let all = |state: &State| [Kind::Param, Kind::Slot].map(|kind| state.tensors(kind));
    let before = all(&state);
    let error = step.run(&mut state, [&y, &x]).unwrap_err();
    assert!(matches!(error, LbfgsError::Evaluate(ExecError::FeedType { .. })), "{error}");
    let nan = Tensor::full(x.ty(), f64::NAN);
    let error = step.run(&mut state, [&nan, &y]).unwrap_err();
    assert!(matches!(error, LbfgsError::NotFinite { evaluation: 1, .. }), "{error}");
    assert_eq!(all(&state), before);
    let (other, _) = model(F64);
    let error = step.run(&mut State::new(&other), [&x, &y]).unwrap_err();
    assert!(matches!(error, LbfgsError::Evaluate(ExecError::ForeignVariable { .. })), "{error}");
}

#[test]
fn what_cannot_be_trained_is_an_error_of_compile() {
    let params = Params::seeded(0);
    let (a, b) = (params.param("a", [], Init::ones()), params.param("b", [], Init::ones()));
    let g = Graph::train();
    let loss = g.param(&a) * g.param(&b).floor();
    let problem = |recording: pleach::LbfgsRecording<'_>| {
        let mut error = recording.compile(Compile::default()).unwrap_err();
        assert_eq!(error.0.len(), 1, "{error}");
        error.0.remove(0)
    };
    let lbfgs = || g.minimize_lbfgs(loss, Lbfgs::new(1.0));
    assert!(matches!(problem(lbfgs()), Problem::Unreached(u) if u.param == "b"));
    assert!(matches!(problem(lbfgs().only("c")), Problem::Pattern { .. }));
    let none = g.minimize_lbfgs(loss, Lbfgs::new(1.0).history(0)).allow_unreached("b");
    assert!(matches!(problem(none), Problem::Optim(_)));
    assert!(lbfgs().allow_unreached("b").compile(Compile::default()).is_ok());
    assert!(g.roots().is_empty(), "the graph may be compiled again");
}
