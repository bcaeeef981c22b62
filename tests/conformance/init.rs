//! Initializers: bounds, deviations and structure of large samples.

use std::path::Path;

use pleach::nn::init::*;
use pleach::ops::Init;
use pleach::prelude::*;
use serde_json::Value as Json;

use super::read::{file, number};
use super::report::{Outcome, Report};

/// The initializers of PyTorch, judged by what they draw.
pub(crate) fn report(folder: &Path) -> Result<Report, String> {
    let path = folder.join("init.json");
    if !path.exists() {
        return Ok(Report { kind: "init", cases: vec![] });
    }
    let (json, _) = file(&path)?;
    let cases = json["cases"].as_array().ok_or("no cases")?;
    let mut cases: Vec<(String, Outcome)> = cases
        .iter()
        .map(|case| {
            let word = |name: &str| case[name].as_str().unwrap_or_default();
            let outcome = match build(case) {
                Some(init) => check(&init, case).into(),
                None => Outcome::Unsupported,
            };
            (format!("{}/{}", word("init"), word("id")), outcome)
        })
        .collect();
    for (name, want) in json["gains"].as_object().into_iter().flatten() {
        let got = gain(name);
        let agrees = got.is_some_and(|got| (got / number(want) - 1.0).abs() < 1e-15);
        if !agrees {
            cases.push((format!("gain/{name}"), Err(format!("{got:?}, not {want}")).into()));
        }
    }
    Ok(Report { kind: "init", cases })
}

fn gain(name: &str) -> Option<f64> {
    let after = match name {
        "linear" | "conv1d" | "conv2d" | "conv3d" => Nonlinearity::Linear,
        "sigmoid" => Nonlinearity::Sigmoid,
        "tanh" => Nonlinearity::Tanh,
        "relu" => Nonlinearity::Relu,
        "selu" => Nonlinearity::Selu,
        "leaky_relu" => Nonlinearity::LeakyRelu(0.01),
        _ => {
            let slope = name.strip_prefix("leaky_relu(")?.strip_suffix(')')?;
            Nonlinearity::LeakyRelu(slope.parse().ok()?)
        }
    };
    Some(after.gain())
}

fn build(case: &Json) -> Option<Init> {
    let options = &case["options"];
    let option = |name: &str, default: f64| {
        if options[name].is_null() { default } else { number(&options[name]) }
    };
    let (fan_in, fan_out) = fans(&shape(case));
    let fan = if options["mode"] == "fan_out" { fan_out } else { fan_in };
    let after = match options["nonlinearity"].as_str() {
        None | Some("leaky_relu") => Nonlinearity::LeakyRelu(option("a", 0.0)),
        Some("relu") => Nonlinearity::Relu,
        Some("tanh") => Nonlinearity::Tanh,
        Some("selu") => Nonlinearity::Selu,
        Some("linear" | "sigmoid") => Nonlinearity::Linear,
        Some(_) => return None,
    };
    Some(match case["init"].as_str()? {
        "uniform_" => uniform(option("a", 0.0), option("b", 1.0)),
        "normal_" => normal(option("mean", 0.0), option("std", 1.0)),
        "constant_" => constant(option("val", 0.0)),
        "ones_" => ones(),
        "zeros_" => zeros(),
        "eye_" => eye(),
        "dirac_" => dirac(option("groups", 1.0) as usize),
        "trunc_normal_" => {
            let (low, high) = (option("a", -2.0), option("b", 2.0));
            trunc_normal(option("mean", 0.0), option("std", 1.0), low, high)
        }
        "xavier_uniform_" => xavier_uniform(fan_in, fan_out, option("gain", 1.0)),
        "xavier_normal_" => xavier_normal(fan_in, fan_out, option("gain", 1.0)),
        "kaiming_uniform_" => kaiming_uniform(fan, after),
        "kaiming_normal_" => kaiming_normal(fan, after),
        "orthogonal_" => orthogonal(option("gain", 1.0)),
        "sparse_" => sparse(option("sparsity", 0.0), option("std", 0.01)),
        _ => return None,
    })
}

fn shape(case: &Json) -> Vec<usize> {
    let sizes = case["shape"].as_array().into_iter().flatten();
    sizes.map(|n| n.as_u64().unwrap_or_default() as usize).collect()
}

/// Draws until there are many numbers, and compares them with what PyTorch's are.
fn check(init: &Init, case: &Json) -> Result<(), String> {
    let ty = Type::new(F64, shape(case)).map_err(|e| e.to_string())?;
    init.check(&ty).map_err(|e| e.to_string())?;
    let measured = &case["measured"];
    let draws = (number(&measured["numbers"]) as usize / ty.numel().max(1)).max(1);
    let x: Vec<f64> =
        (0..draws as u64).flat_map(|i| init.draw(&ty, Key(7).fold(i)).to_f64s()).collect();
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let std = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    let near = |what: &str, got: f64, want: f64, by: f64| {
        let agrees = (got - want).abs() <= by;
        if agrees { Ok(()) } else { Err(format!("{what} is {got:?}, not {want:?} ± {by:e}")) }
    };
    let want = |name: &str| number(&measured[name]);
    // Two samples of n numbers: 5 deviations of the difference of their moments.
    let by = 5.0 * want("std") * (2.0 / n).sqrt();
    near("mean", mean, want("mean"), by.max(1e-12))?;
    near("std", std, want("std"), by.max(1e-12))?;
    if !case["std"].is_null() {
        near("std", std, number(&case["std"]), by)?;
    }
    let (low, high) = x
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    // By formula: what the initializer says of itself.
    let said = |name: &str, got: f64| match number(&case[name]) {
        want if want.is_nan() => Ok(()),
        want => near(&format!("{name} by formula"), got, want, 1e-12 * want),
    };
    match init {
        Init::Normal { std, .. } => said("std", std.0)?,
        Init::Uniform { high, .. } => said("bound", high.0)?,
        _ => {}
    }
    if !case["bound"].is_null() {
        let bound = number(&case["bound"]);
        for (what, got) in [("least", -low), ("largest", high)] {
            if got > bound || got < bound * (1.0 - 1e-3) {
                return Err(format!("{what} is {got:?}, not just inside {bound:?}"));
            }
        }
    }
    // Ends of a sample that has ends; those of a normal are its own affair.
    if matches!(init, Init::Uniform { .. } | Init::Full(_)) {
        let by = 1e-3 * (want("max") - want("min")) + 1e-12;
        near("least", low, want("min"), by)?;
        near("largest", high, want("max"), by)?;
    }
    if matches!(init, Init::TruncatedNormal { .. }) {
        let by = 0.15 * (want("max") - want("min"));
        near("least", low, want("min"), by)?;
        near("largest", high, want("max"), by)?;
    }
    structure(init, case, &ty, &x)
}

/// Orthogonality, and the zeros of columns.
fn structure(init: &Init, case: &Json, ty: &Type, x: &[f64]) -> Result<(), String> {
    let rows = ty.shape()[0];
    let columns = ty.numel() / rows;
    if let Init::Orthogonal { gain } = init {
        let by_rows = rows < columns;
        let (count, length) = (rows.min(columns), rows.max(columns));
        let at = |v: usize, i: usize| if by_rows { x[v * columns + i] } else { x[i * columns + v] };
        for a in 0..count {
            for b in 0..=a {
                let dot: f64 = (0..length).map(|i| at(a, i) * at(b, i)).sum();
                let want = if a == b { gain.0 * gain.0 } else { 0.0 };
                if (dot - want).abs() > 4.0 * number(&case["gram_error"]) {
                    return Err(format!("gram[{a}, {b}] is {dot:?}, not {want:?}"));
                }
            }
        }
    }
    if let Some(zeros) = case["zeros_a_column"].as_u64() {
        for column in 0..columns {
            let got = (0..rows).filter(|row| x[row * columns + column] == 0.0).count() as u64;
            if got != zeros {
                return Err(format!("column {column} has {got} zeros, not {zeros}"));
            }
        }
    }
    Ok(())
}
