//! Optimizers: fifty updates of three problems.

use std::path::Path;

use pleach::prelude::*;
use serde_json::Value as Json;

use super::compare::{agree, lists_agree};
use super::lbfgs;
use super::levels::LEVELS;
use super::read::{Tensors, file, number};
use super::report::{Job, Outcome, Report};
use super::train::{optimizer, train};

/// The cases of a file, each run by `run`; nothing if there is no such file.
pub(super) fn cases(
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
        if name == "LBFGS" {
            return lbfgs::options(&case["options"]).map_or(Outcome::Unsupported, |lbfgs| {
                follow(case, tensors, |loss, compile, state, steps, look| {
                    lbfgs::train(loss, lbfgs.clone(), compile, state, steps, look)
                })
                .into()
            });
        }
        match optimizer(name, &case["options"]) {
            Some(_) => follow(case, tensors, |loss, compile, state, steps, look| {
                let mut optimizer = optimizer(name, &case["options"]).ok_or("no such optimizer")?;
                if name == "Muon" && !case["path"]["b"].is_null() {
                    // It moves matrices alone.
                    optimizer = Box::new(optimizer.except("b", Sgd::new(0.0)));
                }
                train(loss, optimizer, compile, state, &[], steps, look)
            })
            .into(),
            None => Outcome::Unsupported,
        }
    })
}

pub(super) fn tensor<'t>(tensors: &'t Tensors, json: &Json) -> Result<&'t Tensor, String> {
    let key = json["tensor"].as_str().unwrap_or_default();
    tensors.get(key).ok_or_else(|| format!("the file has no tensor {key:?}"))
}

/// The first axis taken apart: row `i`.
pub(super) fn row(path: &Tensor, i: usize) -> Result<Tensor, String> {
    let shape = path.shape();
    let size: usize = shape[1..].iter().product();
    let all = path.to_f64s();
    Tensor::new(&shape[1..], all[i * size..(i + 1) * size].to_vec()).map_err(|e| e.to_string())
}

/// Sees the state before a step.
pub(super) type Look<'l> = &'l mut dyn FnMut(usize, &State) -> Result<(), String>;

/// Values and losses of a case at every level; `train` answers the loss before each step and after
/// the last.
fn follow(
    case: &Json,
    tensors: &Tensors,
    train: impl Fn(Var<'_>, Compile, &mut State, usize, Look<'_>) -> Result<Vec<f64>, String>,
) -> Result<(), String> {
    let tolerance = |which: &str| number(&case["tolerance"][which]);
    let (rtol, atol) = (tolerance("rtol"), tolerance("atol"));
    let slack = |steps| lbfgs::slack(case["id"].as_str().unwrap_or_default(), steps);
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
        let mut state = State::new(&registry);
        let mut look = |i: usize, state: &State| {
            let slack = slack(i);
            params.iter().try_for_each(|(name, param, path)| {
                agree(&state.get(param), &row(path, i)?, slack * rtol, slack * atol)
                    .map_err(|why| format!("{name} after {i} steps {why}"))
            })
        };
        let steps = want.len() - 1;
        let losses = train(loss, compile(), &mut state, steps, &mut look)
            .map_err(|why| format!("{level}: {why}"))?;
        for end in [want.len().min(26), want.len()] {
            let slack = slack(end.saturating_sub(1));
            lists_agree(&losses[..end], &want[..end], slack * rtol, slack * atol)
                .map_err(|why| format!("{level}: loss {why}"))?;
        }
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
