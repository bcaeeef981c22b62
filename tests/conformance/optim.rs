//! Optimizers, schedules and clipping.

use std::path::Path;

use pleach::ops::Variable;
use pleach::optim::{Constant, Schedule};
use pleach::prelude::*;
use serde_json::Value as Json;

use super::compare::{agree, lists_agree};
use super::levels::LEVELS;
use super::read::{Tensors, file, number, numbers};
use super::report::{Job, Outcome, Report};
use super::train::{optimizer, train};

/// The cases of a file, each run by `run`; nothing if there is no such file.
fn cases(
    kind: &'static str,
    path: &Path,
    group: &str,
    run: impl Fn(&Json, &Tensors) -> Outcome + Send + Sync,
) -> Result<Report, String> {
    if !path.exists() {
        return Ok(Report { kind, cases: vec![] });
    }
    let (json, tensors) = file(path)?;
    let cases = json["cases"].as_array().ok_or("no cases")?;
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for case in cases {
        let (mut case, run, tensors) = (case.clone(), &run, &tensors);
        if case["tolerance"].is_null() {
            case["tolerance"] = json["tolerance"].clone();
        }
        let word = |name: &str| case[name].as_str().unwrap_or_default().to_string();
        let name = format!("{}/{}", word(group), word("id"));
        jobs.push((name, Box::new(move || run(&case, tensors))));
    }
    Ok(Report::run(kind, &jobs))
}

/// Fifty steps of each optimizer.
pub(crate) fn optimizers(folder: &Path) -> Result<Report, String> {
    let path = folder.join("optim/trajectories.json");
    cases("optim", &path, "optimizer", |case, tensors| {
        let name = case["optimizer"].as_str().unwrap_or_default();
        match optimizer(name, &case["options"]) {
            Some(_) => follow(name, case, tensors).into(),
            None => Outcome::Unsupported,
        }
    })
}

fn tensor<'t>(tensors: &'t Tensors, json: &Json) -> Result<&'t Tensor, String> {
    let key = json["tensor"].as_str().unwrap_or_default();
    tensors.get(key).ok_or_else(|| format!("the file has no tensor {key:?}"))
}

/// The first axis taken apart: row `i`.
fn row(path: &Tensor, i: usize) -> Result<Tensor, String> {
    let shape = path.shape();
    let size: usize = shape[1..].iter().product();
    let all = path.to_f64s();
    Tensor::new(&shape[1..], all[i * size..(i + 1) * size].to_vec()).map_err(|e| e.to_string())
}

fn follow(name: &str, case: &Json, tensors: &Tensors) -> Result<(), String> {
    let tolerance = |which: &str| number(&case["tolerance"][which]);
    let (rtol, atol) = (tolerance("rtol"), tolerance("atol"));
    let problem = case["problem"].as_str().unwrap_or_default();
    let registry = Params::seeded(0).dtype(F64);
    let mut params: Vec<(&str, Param, &Tensor)> = Vec::new();
    for (name, entry) in case["path"].as_object().into_iter().flatten() {
        let path = tensor(tensors, entry)?;
        let start = row(path, 0)?;
        params.push((name, registry.param(name, start.shape().clone(), start), path));
    }
    let g = Graph::train();
    let param = |name: &str| {
        let found = params.iter().find(|(known, _, _)| *known == name);
        g.param(&found.unwrap_or_else(|| panic!("no parameter {name}")).1)
    };
    let loss = loss(&g, problem, tensors, param);
    let want = tensor(tensors, &case["losses"])?.to_f64s();
    for (level, compile) in LEVELS {
        let optimizer = optimizer(name, &case["options"]).ok_or("no such optimizer")?;
        let mut state = State::new(&registry);
        let look = |i: usize, state: &State| {
            params.iter().try_for_each(|(name, param, path)| {
                agree(&state.get(param), &row(path, i)?, rtol, atol)
                    .map_err(|why| format!("{name} after {i} steps {why}"))
            })
        };
        let steps = want.len() - 1;
        let losses = train(loss, optimizer, compile(), &mut state, &[], steps, look)
            .map_err(|why| format!("{level}: {why}"))?;
        lists_agree(&losses, &want, rtol, atol).map_err(|why| format!("{level}: loss {why}"))?;
    }
    Ok(())
}

/// The loss of a problem.
fn loss<'g>(
    g: &'g Graph,
    problem: &str,
    tensors: &Tensors,
    param: impl Fn(&str) -> Var<'g>,
) -> Var<'g> {
    let constant = |name: &str| {
        let key = format!("problem.{problem}.{name}");
        g.constant(tensors.get(&key).unwrap_or_else(|| panic!("no tensor {key}")).clone())
    };
    match problem {
        "quadratic" => {
            let x = param("x");
            (x * x.matmul(constant("A"))).sum_all() * 0.5 - (constant("b") * x).sum_all()
        }
        "rosenbrock" => {
            let x = param("x");
            let (head, tail) = (x.slice(0, 0..x.size(0) - 1), x.slice(0, 1..x.size(0)));
            let (valley, far) = (tail - head * head, 1.0 - head);
            (valley * valley * 100.0 + far * far).sum_all()
        }
        "logistic" => {
            let logits = constant("X").matmul(param("w")) + param("b");
            logits.cross_entropy(constant("y"))
        }
        other => panic!("no problem {other}"),
    }
}

/// The rates of each schedule.
pub(crate) fn schedules(folder: &Path) -> Result<Report, String> {
    let path = folder.join("schedule/values.json");
    cases("schedule", &path, "schedule", |case, _| match schedule(case) {
        Some(schedule) => rates(case, schedule.as_ref()).into(),
        None => Outcome::Unsupported,
    })
}

/// The schedule of a case, if there is such a one here with these options.
fn schedule(case: &Json) -> Option<Box<dyn Schedule>> {
    let options = case["options"].as_object()?;
    let known = |names: &[&str]| options.keys().all(|key| names.contains(&key.as_str()));
    let or = |name: &str, default: f64| options.get(name).map_or(default, number);
    match case["schedule"].as_str()? {
        "StepLR" if known(&["step_size", "gamma"]) => {
            let every = or("step_size", 0.0) as u64;
            Some(Box::new(StepDecay { every, gamma: or("gamma", 0.1) }))
        }
        // Past its end PyTorch's rises again.
        "CosineAnnealingLR" if known(&["T_max", "eta_min"]) && or("T_max", 0.0) >= 99.0 => {
            let min = or("eta_min", 0.0) / number(&case["base_lr"]);
            Some(Box::new(Cosine { steps: or("T_max", 0.0) as u64, min }))
        }
        "LambdaLR" if options.is_empty() => Some(Box::new(Constant)),
        _ => None,
    }
}

fn rates(case: &Json, schedule: &dyn Schedule) -> Result<(), String> {
    let want = numbers(&case["lr"]);
    let tolerance = |which: &str| number(&case["tolerance"][which]);
    let g = Graph::eval();
    let rate = schedule.factor(g.input("t", F64, [])) * number(&case["base_lr"]);
    for (level, compile) in LEVELS {
        let mut step = g.infer(rate).compile(compile()).map_err(|e| e.to_string())?;
        let mut state = State::new(&Params::seeded(0));
        let mut got = Vec::new();
        for t in 0..want.len() {
            let t = Tensor::scalar(t as f64);
            let outputs = step.run(&mut state, [&t]).map_err(|e| e.to_string())?;
            got.push(outputs.scalar("y").map_err(|e| e.to_string())?);
        }
        lists_agree(&got, &want, tolerance("rtol"), tolerance("atol"))
            .map_err(|why| format!("{level}: rate {why}"))?;
    }
    Ok(())
}

/// Clipping and averaging.
pub(crate) fn clipping(folder: &Path) -> Result<Report, String> {
    cases("clip", &folder.join("clip.json"), "clip", |case, tensors| {
        let euclidean = case["options"]["norm_type"].as_f64().unwrap_or(2.0) == 2.0;
        let infinite = case["options"]["norm_type"].is_object();
        match case["clip"].as_str() {
            Some("norm") if euclidean && !infinite => clipped(case, tensors).into(),
            _ => Outcome::Unsupported,
        }
    })
}

/// Gradient descent from 0 at rate 1 goes to the negative of what it is given.
fn clipped(case: &Json, tensors: &Tensors) -> Result<(), String> {
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
    let max = number(&case["options"]["max_norm"]);
    for (level, compile) in LEVELS {
        let mut state = State::new(&registry);
        let optimizer = Box::new(Sgd::new(1.0).clip_norm(max));
        train(loss, optimizer, compile(), &mut state, &[], 0, |_, _| Ok(()))?;
        for (i, (param, want)) in params.iter().zip(&want).enumerate() {
            let got = state.get(param).to_f64s().iter().map(|x| 0.0 - x).collect();
            let got = Tensor::new(want.shape().clone(), got).map_err(|e| e.to_string())?;
            agree(&got, want, 1e-9, 1e-12)
                .map_err(|why| format!("{level}: gradient {i} clipped {why}"))?;
        }
    }
    Ok(())
}
