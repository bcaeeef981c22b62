//! Clipping and averaging.

use std::path::Path;

use pleach::ops::Variable;
use pleach::optim::Average;
use pleach::prelude::*;
use serde_json::Value as Json;

use super::compare::agree;
use super::levels::LEVELS;
use super::optim::{cases, row, tensor};
use super::read::{Tensors, number};
use super::report::{Outcome, Report};
use super::train::train;

/// Clipping and averaging.
pub(crate) fn clipping(folder: &Path) -> Result<Report, String> {
    cases("clip", &folder.join("clip.json"), "clip", |case, tensors| {
        let option = |name: &str| number(&case["options"][name]);
        match case["clip"].as_str() {
            Some("norm") => {
                let order = &case["options"]["norm_type"];
                let order = if order.is_null() { 2.0 } else { number(order) };
                let max = option("max_norm");
                clipped(case, tensors, || Box::new(Sgd::new(1.0).clip_norm(max).order(order)))
                    .into()
            }
            Some("value") => {
                let max = option("clip_value");
                clipped(case, tensors, || Box::new(Sgd::new(1.0).clip_value(max))).into()
            }
            Some("ema") => averaged(case, tensors, option("decay")).into(),
            _ => Outcome::Unsupported,
        }
    })
}

/// Gradient descent from 0 at rate 1 goes to the negative of what it is given.
fn clipped(
    case: &Json,
    tensors: &Tensors,
    optimizer: impl Fn() -> Box<dyn Optimizer>,
) -> Result<(), String> {
    let list = |name: &str| -> Result<Vec<&Tensor>, String> {
        case[name].as_array().into_iter().flatten().map(|t| tensor(tensors, t)).collect()
    };
    let (grads, want) = (list("grads")?, list("clipped")?);
    let registry = Params::seeded(0).dtype(F64);
    let params: Vec<Variable> = grads
        .iter()
        .enumerate()
        .map(|(i, grad)| registry.param(&format!("p{i}"), grad.shape().clone(), Init::zeros()))
        .collect();
    let g = Graph::train();
    let terms = params.iter().zip(&grads);
    let terms = terms.map(|(p, grad)| (g.param(p) * g.constant((*grad).clone())).sum_all());
    let loss = terms.reduce(|a, b| a + b).ok_or("no gradients")?;
    for (level, compile) in LEVELS {
        let mut state = State::new(&registry);
        train(loss, optimizer(), compile(), &mut state, &[], 0, |_, _| Ok(()))?;
        for (i, (param, want)) in params.iter().zip(&want).enumerate() {
            let got = state.get(param).to_f64s().iter().map(|x| 0.0 - x).collect();
            let got = Tensor::new(want.shape().clone(), got).map_err(|e| e.to_string())?;
            agree(&got, want, 1e-9, 1e-12)
                .map_err(|why| format!("{level}: gradient {i} clipped {why}"))?;
        }
    }
    Ok(())
}

/// Gradient descent at rate 1 goes from `x` to 0 by the gradient `x`, and to `y` by `x - y`.
fn averaged(case: &Json, tensors: &Tensors, decay: f64) -> Result<(), String> {
    let (values, want) = (tensor(tensors, &case["values"])?, tensor(tensors, &case["averages"])?);
    let registry = Params::seeded(0).dtype(F64);
    let start = row(values, 0)?;
    let param = registry.param("x", start.shape().clone(), Init::zeros());
    let g = Graph::train();
    let x = g.param(&param);
    let to = g.input("to", F64, start.shape().clone());
    let loss = ((x - to) * (x - to)).sum_all() * 0.5;
    for (level, compile) in LEVELS {
        let optimizer = Sgd::new(1.0).average(Average::Exponential(decay));
        let recording = g.minimize(loss, optimizer);
        let mut step = recording.compile(compile()).map_err(|e| e.to_string())?;
        let mut state = State::new(&registry);
        for i in 0..values.shape()[0] {
            step.run(&mut state, [&row(values, i)?]).map_err(|e| e.to_string())?;
            agree(&state.get(&Average::slot(&param)), &row(want, i)?, 1e-9, 1e-12)
                .map_err(|why| format!("{level}: average after {i} steps {why}"))?;
        }
    }
    Ok(())
}
