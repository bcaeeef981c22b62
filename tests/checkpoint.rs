//! A state in a file: what a model and its steps see of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use pleach::format::FormatError;
use pleach::prelude::*;
use pleach::{Persist, ResumeError};
use tempfile::tempdir;

fn model(width: usize) -> (Params, Linear) {
    let params = Params::seeded(3);
    let layer = Linear::new(&params.scope("layer"), 2, width);
    (params, layer)
}

fn step(layer: &Linear, width: usize, optimizer: impl Optimizer + 'static) -> Step {
    let g = Graph::train();
    let y = Dropout::new(0.5).call(layer.call(g.full(F32, [4, 2], 1.0)));
    g.minimize(y.mse(g.full(F32, [4, width], 1.0)), optimizer).compile(Compile::default()).unwrap()
}

fn values(state: &State) -> Vec<(String, Tensor)> {
    state.variables().map(|v| (v.name().to_string(), state.get(v))).collect()
}

#[test]
fn a_state_comes_back_before_or_after_its_step_is_compiled_and_goes_on_alike() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("run.safetensors");
    let (params, layer) = model(3);
    let mut state = State::new(&params);
    let mut train = step(&layer, 3, Adam::new(0.1).amsgrad());
    for _ in 0..5 {
        train.run(&mut state, []).unwrap();
    }
    state.set("adam.rate", &Tensor::scalar(0.03f64)).unwrap();
    state.save(&path).unwrap();
    for _ in 0..5 {
        train.run(&mut state, []).unwrap();
    }

    let (params, layer) = model(3);
    let Resumed { state: mut resumed, notes, fallback } = State::load(&path, &params).unwrap();
    assert!(fallback.is_none() && notes.iter().next().is_none());
    // The rate that was set, not the one that the optimizer begins with.
    assert_eq!(resumed.value("adam.rate").unwrap().item(), Some(0.03));
    let mut train = step(&layer, 3, Adam::new(0.1).amsgrad());
    for _ in 0..5 {
        train.run(&mut resumed, []).unwrap();
    }
    assert_eq!(values(&resumed), values(&state));
    // Another optimizer begins its own slots beside those that were saved.
    step(&layer, 3, Sgd::new(0.1).momentum(0.9)).run(&mut resumed, []).unwrap();
    assert!(resumed.value("sgd.momentum/layer.w").is_ok());
}

#[test]
fn a_run_begins_where_nothing_was_saved_and_only_there() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("run.safetensors");
    let (params, _) = model(3);
    let missing = State::load(&path, &params).unwrap_err();
    assert!(matches!(&missing, ResumeError::File(e) if e.is_missing()), "{missing}");
    let run = State::resume(&path, &params).unwrap();
    assert_eq!(values(&run.state), values(&State::new(&params)));
    run.state.checkpoint().with("data", &(2u64, 7usize)).unwrap().save(&path).unwrap();
    let run = State::resume(&path, &params).unwrap();
    assert_eq!(run.notes.get::<(u64, usize)>("data").unwrap(), Some((2, 7)));

    std::fs::write(&path, "damaged").unwrap();
    let damaged = State::resume(&path, &params).unwrap_err();
    assert!(matches!(&damaged, ResumeError::File(FormatError::File { .. })), "{damaged}");
}

#[test]
fn a_run_of_another_model_is_refused_with_all_that_differs() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("run.safetensors");
    State::new(&model(3).0).save(&path).unwrap();
    let (params, _) = model(4);
    params.param("more", [1], Init::zeros());
    let error = State::resume(&path, &params).unwrap_err();
    let wanted = format!(
        "{}: the saved values do not fit the model: parameter \"layer.w\" has type f32[2, 4], got \
         f32[2, 3]; parameter \"layer.b\" has type f32[4], got f32[3]; parameter \"more\" of type \
         f32[1] is missing",
        path.display()
    );
    assert_eq!(error.to_string(), wanted);
}
