//! Schedules against PyTorch's values, and rates as slots of the state.

use crate::support::{Runner, close, data, minimize, numbers};
use pleach_ops::prelude::*;
use pleach_optim::{Constant, Cosine, Rate, Schedule, Sgd, Step, Time};

/// The factors of the first `n` updates.
fn factors(schedule: &dyn Schedule, n: usize) -> Vec<f64> {
    schedule.check().unwrap();
    let p = Params::seeded(0).param("x", [], Init::zeros());
    let g = Graph::new();
    let factor = schedule.factor(&Time::new(&g, "sgd", &p));
    let mut run = Runner::default();
    let mut next = || {
        let factor = run.eval(factor).item().unwrap();
        run.step(&g);
        factor
    };
    (0..n).map(|_| next()).collect()
}

/// PyTorch's rates of the case whose name ends so.
fn rates(id: &str) -> Vec<f64> {
    let file = data("schedules.json");
    let case = file["cases"].as_array().unwrap().iter().find(|c| c["id"] == id).unwrap().clone();
    assert_eq!(case["base_lr"], 0.1);
    numbers(&case["lr"])
}

fn scaled(factors: &[f64]) -> Vec<f64> {
    factors.iter().map(|f| f * 0.1).collect()
}

#[test]
fn step_is_step_lr() {
    for (id, step) in [
        ("00.StepLR", Step { every: 10, gamma: 0.5 }),
        ("02.StepLR", Step { every: 7, gamma: 0.9 }),
    ] {
        close(id, &scaled(&factors(&step, 100)), &rates(id), 1e-12, 0.0);
    }
}

/// The first period of warm restarts is plain annealing; so is what follows a warmup.
#[test]
fn cosine_is_cosine_annealing_lr() {
    for (id, start, cosine) in [
        ("15.CosineAnnealingWarmRestarts", 0, Cosine { steps: 10, min: 0.0 }),
        ("16.CosineAnnealingWarmRestarts", 0, Cosine { steps: 25, min: 0.01 }),
        ("28.SequentialLR", 10, Cosine { steps: 90, min: 0.0 }),
    ] {
        let n = cosine.steps as usize;
        let want = &rates(id)[start..start + n];
        close(id, &scaled(&factors(&cosine, n)), want, 1e-12, 1e-15);
    }
}

#[test]
fn known_difference_cosine_stays_at_the_minimum() {
    let factors = factors(&Cosine { steps: 4, min: 0.25 }, 9);
    let half = 0.25 + 0.75 * 0.5;
    close("start", &factors[..3], &[1.0, factors[1], half], 1e-15, 0.0);
    assert_eq!(factors[4..], [0.25; 5]);
}

#[test]
fn constant_is_one() {
    assert_eq!(factors(&Constant, 3), [1.0; 3]);
}

/// `x` falls by the rate of each update, as its gradient is 1.
fn falls(run: &mut Runner, g: &Graph, n: usize) -> Vec<f64> {
    let at = |run: &Runner| run.state.get("x").map_or(0.0, |x| x.item().unwrap());
    let mut fall = || {
        let before = at(run);
        run.step(g);
        before - at(run)
    };
    (0..n).map(|_| fall()).collect()
}

#[test]
fn the_rate_is_a_slot_that_can_be_set_between_updates() {
    let p = Params::seeded(0).dtype(F64);
    let x = p.param("x", [], Init::zeros());
    let g = Graph::train();
    let rate = Rate::new(8.0, Step { every: 2, gamma: 0.5 });
    minimize(&g, g.param(&x), &[&x], &Sgd::new(rate));
    let mut run = Runner::default();
    close("falls", &falls(&mut run, &g, 5), &[8.0, 8.0, 4.0, 4.0, 2.0], 1e-14, 0.0);
    assert_eq!(run.numbers("sgd.steps"), [5.0]);
    run.state.insert("sgd.rate".into(), Tensor::scalar(80.0));
    close("falls", &falls(&mut run, &g, 2), &[20.0, 10.0], 1e-14, 0.0);
    // Time can be set as well: back to the start.
    run.state.insert("sgd.steps".into(), Tensor::scalar(0i64));
    close("falls", &falls(&mut run, &g, 1), &[80.0], 1e-14, 0.0);
}
