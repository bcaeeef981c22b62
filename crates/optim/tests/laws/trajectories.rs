//! Fifty updates of three problems follow PyTorch's path, number by number, in f64.

use crate::support::{Runner, close, data, minimize, numbers, shape, tensor};
use pleach_ops::prelude::*;
use pleach_optim::{Adam, AdamW, Optimizer, Sgd};
use serde_json::Value;

/// The optimizer of a case.
fn optimizer(case: &Value) -> Box<dyn Optimizer> {
    let o = &case["options"];
    let number = |name: &str| o[name].as_f64().unwrap();
    let is = |name: &str| o[name].as_bool().unwrap();
    let (rate, decay) = (number("lr"), number("weight_decay"));
    if case["optimizer"] == "SGD" {
        let mut sgd = Sgd::new(rate).weight_decay(decay).momentum(number("momentum"));
        sgd = sgd.dampening(number("dampening"));
        sgd = if is("nesterov") { sgd.nesterov() } else { sgd };
        return Box::new(if is("maximize") { sgd.maximize() } else { sgd });
    }
    let betas = numbers(&o["betas"]);
    assert_eq!(is("decoupled_weight_decay"), case["optimizer"] == "AdamW");
    assert!(!is("maximize"));
    if case["optimizer"] == "AdamW" {
        let adam = AdamW::new(rate).betas(betas[0], betas[1]).eps(number("eps"));
        let adam = adam.weight_decay(decay);
        return Box::new(if is("amsgrad") { adam.amsgrad() } else { adam });
    }
    let adam = Adam::new(rate).betas(betas[0], betas[1]).eps(number("eps")).weight_decay(decay);
    Box::new(if is("amsgrad") { adam.amsgrad() } else { adam })
}

/// The loss of a problem, of its parameters in the order of their names, reversed (`w`, `b`).
fn loss<'g>(g: &'g Graph, problem: &str, constants: &Value, params: &[Param]) -> Var<'g> {
    let x = g.param(&params[0]);
    match problem {
        "quadratic" => {
            let a = g.constant(tensor(&constants["quadratic.A"]));
            let b = g.constant(tensor(&constants["quadratic.b"]));
            (x * x.matmul(a)).sum_all() * 0.5 - (b * x).sum_all()
        }
        "rosenbrock" => {
            let n = x.size(0);
            let (head, tail) = (x.slice(0, 0..n - 1), x.slice(0, 1..n));
            let (valley, far) = (tail - head * head, 1.0 - head);
            (valley * valley * 100.0 + far * far).sum_all()
        }
        "logistic" => {
            let rows = g.constant(tensor(&constants["logistic.X"]));
            let labels = g.constant(tensor(&constants["logistic.y"]).cast(I64));
            (rows.matmul(x) + g.param(&params[1])).cross_entropy(labels)
        }
        other => panic!("no problem {other}"),
    }
}

fn follow(file: &str) -> usize {
    let (problems, file) = (data("problems.json"), data(file));
    let rows: Vec<usize> = numbers(&file["rows"]).into_iter().map(|r| r as usize).collect();
    let cases = file["cases"].as_array().unwrap();
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let registry = Params::seeded(0).dtype(F64);
        let path = case["path"].as_object().unwrap();
        let params: Vec<Param> = path
            .iter()
            .rev()
            .map(|(name, p)| {
                let start = Tensor::new(shape(p), numbers(&p["rows"][0])).unwrap();
                registry.param(name, shape(p), start)
            })
            .collect();
        let optimizer = optimizer(case);
        optimizer.check(&[]).unwrap();
        let g = Graph::train();
        let loss = loss(&g, case["problem"].as_str().unwrap(), &problems["constants"], &params);
        minimize(&g, loss, &params.iter().collect::<Vec<_>>(), optimizer.as_ref());
        g.check().unwrap();

        let mut run = Runner::default();
        let mut losses = Vec::new();
        for step in 0..=50 {
            losses.push(run.eval(loss).item().unwrap());
            if let Some(row) = rows.iter().position(|&r| r == step) {
                for p in &params {
                    let want = numbers(&path[p.name()]["rows"][row]);
                    let what = format!("{id}: {} after {step} updates", p.name());
                    close(&what, &run.value(p).to_f64s(), &want, 1e-9, 1e-11);
                }
            }
            run.step(&g);
        }
        close(&format!("{id}: loss"), &losses, &numbers(&case["losses"]), 1e-9, 1e-11);
    }
    cases.len()
}

#[test]
fn sgd_follows_pytorch() {
    assert_eq!(follow("sgd.json"), 15);
}

#[test]
fn adam_and_adamw_follow_pytorch() {
    assert_eq!(follow("adam.json"), 14);
}
