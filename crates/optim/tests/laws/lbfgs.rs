//! L-BFGS follows PyTorch's path and counts, is exact where mathematics says so, and loses nothing.

mod failures;
mod laws;

use std::convert::Infallible;

use pleach_optim::{Lbfgs, LbfgsMemory};
use serde_json::Value;

use crate::support::{close, data, numbers};

/// Loss and gradient at a point.
pub(crate) type Evaluated = Result<(f64, Vec<f64>), Infallible>;

/// `Σ 100 (xᵢ₊₁ - xᵢ²)² + (1 - xᵢ)²`.
pub(crate) fn rosenbrock(x: &[f64]) -> Evaluated {
    let (mut loss, mut gradient) = (0.0, vec![0.0; x.len()]);
    for i in 0..x.len() - 1 {
        let (valley, far) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
        loss += 100.0 * valley * valley + far * far;
        gradient[i] += -400.0 * valley * x[i] - 2.0 * far;
        gradient[i + 1] += 200.0 * valley;
    }
    Ok((loss, gradient))
}

/// `½ xᵀAx - bᵀx` with a symmetric `A`, in rows.
pub(crate) fn quadratic(a: &[f64], b: &[f64], x: &[f64]) -> Evaluated {
    let n = x.len();
    let ax = |i: usize| (0..n).map(|j| a[i * n + j] * x[j]).sum::<f64>();
    let gradient: Vec<f64> = (0..n).map(|i| ax(i) - b[i]).collect();
    let loss = (0..n).map(|i| x[i] * (gradient[i] - b[i]) * 0.5).sum();
    Ok((loss, gradient))
}

/// Mean cross entropy of `softmax(Xw + b)` for three classes; `p` is `w` by rows, then `b`.
fn logistic(rows: &[f64], labels: &[f64], p: &[f64]) -> Evaluated {
    let (n, k) = (labels.len(), rows.len() / labels.len());
    let (mut loss, mut gradient) = (0.0, vec![0.0; p.len()]);
    for (row, label) in rows.chunks(k).zip(labels) {
        let logit = |c: usize| (0..k).map(|j| row[j] * p[3 * j + c]).sum::<f64>() + p[3 * k + c];
        let logits = [0, 1, 2].map(logit);
        let max = logits.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let exp = logits.map(|z| (z - max).exp());
        let sum: f64 = exp.iter().sum();
        loss += (max + sum.ln() - logits[*label as usize]) / n as f64;
        for (c, exp) in exp.iter().enumerate() {
            let d = (exp / sum - f64::from(u8::from(*label == c as f64))) / n as f64;
            row.iter().enumerate().for_each(|(j, x)| gradient[3 * j + c] += d * x);
            gradient[3 * k + c] += d;
        }
    }
    Ok((loss, gradient))
}

/// The optimizer of a case.
fn lbfgs(o: &Value) -> Lbfgs {
    let number = |name: &str| o[name].as_f64().unwrap();
    let count = |name: &str| number(name) as usize;
    let mut lbfgs = Lbfgs::new(number("lr"))
        .history(count("history_size"))
        .max_iterations(count("max_iter"))
        .max_evaluations(count("max_eval"))
        .tolerance_gradient(number("tolerance_grad"))
        .tolerance_change(number("tolerance_change"));
    if o["line_search_fn"] == "strong_wolfe" {
        lbfgs = lbfgs.strong_wolfe();
    }
    if o["maximize"] == true { lbfgs.maximize() } else { lbfgs }
}

fn follow(case: &Value, rows: &[usize], constants: &Value) {
    let id = case["id"].as_str().unwrap();
    let sign = if case["options"]["maximize"] == true { -1.0 } else { 1.0 };
    let of = |name: &str| numbers(&constants[name]["values"]);
    let (a, b) = (of("quadratic.A"), of("quadratic.b"));
    let (points, labels) = (of("logistic.X"), of("logistic.y"));
    let evaluate = |x: &[f64]| {
        let (loss, mut gradient) = match case["problem"].as_str().unwrap() {
            "quadratic" => quadratic(&a, &b, x)?,
            "rosenbrock" => rosenbrock(x)?,
            _ => logistic(&points, &labels, x)?,
        };
        gradient.iter_mut().for_each(|g| *g *= sign);
        Ok::<_, Infallible>((sign * loss, gradient))
    };
    // The names in reverse: `w`, then `b`.
    let params = || case["path"].as_object().unwrap().values().rev();
    let row = |i: usize| params().flat_map(|p| numbers(&p["rows"][i])).collect::<Vec<f64>>();
    let (losses, lbfgs) = (numbers(&case["losses"]), lbfgs(&case["options"]));
    let (mut x, mut memory) = (row(0), LbfgsMemory::default());
    for step in 0..losses.len() {
        let loss = evaluate(&x).unwrap().0;
        close(&format!("{id}: loss {step}"), &[loss], &losses[step..=step], 1e-6, 1e-8);
        if let Some(at) = rows.iter().position(|&r| r == step) {
            close(&format!("{id}: x after {step} calls"), &x, &row(at), 1e-6, 1e-8);
        }
        if step + 1 < losses.len() {
            let report = lbfgs.step(&mut memory, &mut x, evaluate).unwrap();
            assert_eq!(report.first, loss);
            let counts = [memory.iterations as f64, memory.evaluations as f64];
            assert_eq!(counts[..], numbers(&case["counts"][step]), "{id}: counts of call {step}");
        }
    }
}

#[test]
fn fifty_calls_follow_pytorch() {
    let (problems, file) = (data("problems.json"), data("lbfgs.json"));
    let rows: Vec<usize> = numbers(&file["rows"]).into_iter().map(|r| r as usize).collect();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 12);
    cases.iter().for_each(|case| follow(case, &rows, &problems["constants"]));
}
