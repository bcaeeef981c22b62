//! Whole models: loss, gradients, buffers, five steps of four optimizers, at every level.
//!
//! A file holds the model's PyTorch code; here it is written again, by the name of its class.

mod attention;
mod dense;
mod derivative;
mod net;
mod recurrent;
mod vision;

use std::path::Path;

use pleach::prelude::*;
use serde_json::Value as Json;

use super::compare::{agree, close, lists_agree};
use super::levels::LEVELS;
use super::read::{Tensors, file, files, number, numbers, pairs};
use super::report::{Job, Outcome, Report};
use super::train::{named, train};
use net::Net;

/// The loss of a model, recorded.
type Build = for<'g> fn(&Net<'g>) -> Var<'g>;

/// The name of the class, and its loss. In alphabetical order.
const TABLE: &[(&str, Build)] = &[
    ("CharModel", recurrent::char_model),
    ("Critic", derivative::critic),
    ("Encoder", attention::encoder),
    ("LeNet", vision::le_net),
    ("Maml", derivative::maml),
    ("Mlp", dense::mlp),
    ("Ode", derivative::ode),
    ("Pinn", derivative::pinn),
    ("Regularized", dense::regularized),
    ("ResNet", vision::res_net),
    ("Separable", vision::separable),
    ("Siamese", vision::siamese),
    ("TiedAutoencoder", dense::tied_autoencoder),
    ("TiedLm", recurrent::tied_lm),
    ("Vae", dense::vae),
];

/// Runs every model whose name holds `only`.
pub(crate) fn report(folder: &Path, only: &str) -> Result<Report, String> {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for path in files(&folder.join("models")) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !name.contains(only) {
            continue;
        }
        let (json, tensors) = file(&path)?;
        let build =
            TABLE.iter().find(|(class, _)| json["class"] == *class).map(|(_, build)| *build);
        let run = move || match build {
            Some(build) => check(build, &json, &tensors).into(),
            None => Outcome::Unsupported,
        };
        jobs.push((name, Box::new(run)));
    }
    Ok(Report::run("models", &jobs))
}

/// A run of the file: what it must give, and how near.
struct Run<'a> {
    json: &'a Json,
    /// The run in f64.
    double: &'a Json,
    tensors: &'a Tensors,
    dtype: DType,
    rtol: f64,
    atol: f64,
}

fn check(build: Build, json: &Json, tensors: &Tensors) -> Result<(), String> {
    for (name, dtype) in [("f64", F64), ("f32", F32)] {
        if json["runs"][name].is_null() {
            continue;
        }
        let tolerance = |which: &str| number(&json["tolerance"][name][which]);
        let (rtol, atol) = (tolerance("rtol"), tolerance("atol"));
        let (json_run, double) = (&json["runs"][name], &json["runs"]["f64"]);
        let run = Run { json: json_run, double, tensors, dtype, rtol, atol };
        first_step(build, json, &run).map_err(|why| format!("{name}: {why}"))?;
        for optimizer in run.json["losses"].as_object().into_iter().flat_map(|map| map.keys()) {
            five_steps(build, json, &run, optimizer)
                .map_err(|why| format!("{name}: {optimizer}: {why}"))?;
        }
    }
    Ok(())
}

impl Run<'_> {
    /// Does a tensor agree with the one of this key? The reference may have been kept in f32.
    fn agrees(&self, what: &str, got: &Tensor, key: &str) -> Result<(), String> {
        let want = self.tensors.get(key).ok_or_else(|| format!("the file has no tensor {key}"))?;
        let want = if want.dtype().is_float() { want.cast(self.dtype) } else { want.clone() };
        agree(got, &want, self.rtol, self.atol).map_err(|why| format!("{what} ({key}) {why}"))
    }
}

/// Do losses agree with those of the file? Where training in f32 runs away, PyTorch's own losses
/// lose digits: there ours and PyTorch's may each be off the true ones, those in f64, by twice the
/// tolerance.
fn losses_agree(run: &Run<'_>, text: &str, got: &[f64], want: &[f64]) -> Result<(), String> {
    let truth = numbers(&run.double["losses"][text]);
    let near = |i: usize| {
        let near_truth = |x: f64| close(x, truth[i], 2.0 * run.rtol, run.atol);
        let single = run.dtype == F32 && near_truth(got[i]) && near_truth(want[i]);
        single || close(got[i], want[i], run.rtol, run.atol)
    };
    if got.len() == want.len() && truth.len() == want.len() && (0..want.len()).all(near) {
        return Ok(());
    }
    lists_agree(got, want, run.rtol, run.atol)
}

/// Loss, gradients, and the buffers after one run.
fn first_step(build: Build, json: &Json, run: &Run<'_>) -> Result<(), String> {
    let registry = Params::seeded(0).dtype(run.dtype);
    let g = Graph::train();
    let net = Net::new(&g, &registry, json, run.tensors, run.dtype);
    let loss = build(&net);
    g.check().map_err(|e| e.to_string())?;
    let feeds = net.feeds();
    let keys = pairs(&run.json["grads"]);
    let params: Vec<Var<'_>> = keys.iter().map(|(name, _)| net.p(name)).collect();
    let grads = g.grad(loss, &params);
    for (level, compile) in LEVELS {
        let mut recording = g.infer(loss);
        for ((name, _), &grad) in keys.iter().zip(&grads) {
            recording = recording.output(&format!("gradient of {name}"), grad);
        }
        let mut step = recording.compile(compile()).map_err(|e| format!("{level}: {e}"))?;
        let mut state = State::new(&registry);
        let got = step.run(&mut state, &feeds).map_err(|e| format!("{level}: {e}"))?;
        let (got_loss, want) = (got.scalar("y").map_err(|e| e.to_string())?, &run.json["loss"]);
        if !close(got_loss, number(want), run.rtol, run.atol) {
            return Err(format!("{level}: loss is {got_loss:?}, not {want}"));
        }
        for (name, key) in &keys {
            let what = format!("gradient of {name}");
            let got = got.tensor(&what).map_err(|e| e.to_string())?;
            run.agrees(&what, &got, key).map_err(|why| format!("{level}: {why}"))?;
        }
        for (name, key) in pairs(&run.json["buffers_after"]) {
            let got = state.value(&name).map_err(|e| e.to_string())?;
            let what = format!("{name} afterwards");
            run.agrees(&what, &got, &key).map_err(|why| format!("{level}: {why}"))?;
        }
    }
    Ok(())
}

/// The losses of five steps, and where the parameters are after them.
fn five_steps(build: Build, json: &Json, run: &Run<'_>, text: &str) -> Result<(), String> {
    let registry = Params::seeded(0).dtype(run.dtype);
    let g = Graph::train();
    let net = Net::new(&g, &registry, json, run.tensors, run.dtype);
    let loss = build(&net);
    let feeds = net.feeds();
    let feeds: Vec<&Tensor> = feeds.iter().collect();
    let want = numbers(&run.json["losses"][text]);
    let is_adam = text.split_whitespace().next() == Some("adam");
    let after = if is_adam { pairs(&run.json["parameters_after_5_adam"]) } else { vec![] };
    for (level, compile) in LEVELS {
        let optimizer = named(text).ok_or("no such optimizer")?;
        let mut state = State::new(&registry);
        let steps = want.len().saturating_sub(1);
        let look = |i: usize, state: &State| {
            let last = if i == steps { after.as_slice() } else { &[] };
            last.iter().try_for_each(|(name, key)| {
                let got = state.value(name).map_err(|e| e.to_string())?;
                run.agrees(&format!("{name} after five steps"), &got, key)
            })
        };
        let losses = train(loss, optimizer, compile(), &mut state, &feeds, steps, look)
            .map_err(|why| format!("{level}: {why}"))?;
        losses_agree(run, text, &losses, &want).map_err(|why| format!("{level}: loss {why}"))?;
    }
    Ok(())
}

#[test]
fn models_are_sorted_and_named_once() {
    let names: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
}
