//! The runner is tested itself: a copy in which one number is changed by 1e-3 fails, and what it
//! says names the case and the tensor.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pleach::format::safetensors;
use pleach::prelude::*;
use serde_json::Value as Json;

use super::report::Report;
use super::{clip, init, models, ops, optim, schedule};

const CHANGE: f64 = 1e-3;

/// Runs a kind of case in a folder.
type Kind = fn(&Path) -> Result<Report, String>;

/// A copy of one file of cases, and the tensors beside it, in a folder of its own.
struct Copy {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl Copy {
    /// Of `ops/mul.json`, by its name from the folder of all cases.
    fn new(name: &'static str) -> Copy {
        let copy = Copy { folder: tempfile::tempdir().unwrap(), name };
        let to = copy.folder.path().join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conformance").join(name);
        for extension in ["json", "safetensors"] {
            let from = from.with_extension(extension);
            if from.exists() {
                fs::copy(from, to.with_extension(extension)).unwrap();
            }
        }
        copy
    }

    fn json(&self) -> Json {
        let path = self.folder.path().join(self.name);
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Changes the number at this place of the `.json`.
    fn change(&self, pointer: &str) {
        let mut json = self.json();
        let number = json.pointer_mut(pointer).unwrap();
        *number = Json::from(number.as_f64().unwrap() + CHANGE);
        fs::write(self.folder.path().join(self.name), json.to_string()).unwrap();
    }

    /// Changes the last element of a tensor.
    fn change_tensor(&self, key: &str) {
        let path = self.folder.path().join(self.name).with_extension("safetensors");
        let mut tensors = safetensors::load(&path).unwrap().tensors;
        let old = &tensors[key];
        let last = old.numel() - 1;
        let at = |i: usize| old.get(i).unwrap() + if i == last { CHANGE } else { 0.0 };
        let new = Tensor::build(old.ty(), at);
        assert_ne!(*old, new);
        tensors.insert(key.into(), new);
        safetensors::save(&path, tensors.iter(), &BTreeMap::new()).unwrap();
    }

    /// What fails, one line each.
    fn failures(&self, kind: Kind) -> Vec<String> {
        let report = kind(self.folder.path()).unwrap();
        let lines = report.failures();
        lines.iter().map(|(name, why)| format!("{} {name}: {why}", report.kind)).collect()
    }
}

/// The failure of the only case that fails; it says all of `words`.
fn fails(copy: &Copy, kind: Kind, words: &[&str]) {
    let failures = copy.failures(kind);
    assert_eq!(failures.len(), 1, "{words:?} {failures:?}");
    for word in words {
        assert!(failures[0].contains(word), "{word} is not in {}", failures[0]);
    }
}

fn ops(folder: &Path) -> Result<Report, String> {
    ops::reports(folder, "").map(|[double, _]| double)
}

fn models(folder: &Path) -> Result<Report, String> {
    models::report(folder, "")
}

#[test]
fn a_changed_value_gradient_or_second_derivative_of_an_operator_fails() {
    for name in ["ops/mul.json", "ops/tanh.json"] {
        assert_eq!(Copy::new(name).failures(ops), [""; 0]);
        let json = Copy::new(name).json();
        let cases = json["cases"].as_array().unwrap();
        let is_full = |case: &&Json| {
            let of = |what: &str| case[what].as_object().is_some_and(|map| !map.is_empty());
            let empty = case["tags"].as_array().unwrap().contains(&Json::from("empty"));
            of("hvp") && of("jvp") && !empty
        };
        let case = cases.iter().find(is_full).unwrap();
        let id = case["id"].as_str().unwrap();
        let first = |what: &str| case[what].as_object().unwrap().values().next().unwrap();
        for (key, word) in [
            (&case["outputs"][0]["tensor"], "output 0"),
            (first("grads"), "gradient of"),
            (first("hvp"), "hvp of"),
            (first("jvp"), "jvp of"),
        ] {
            let (copy, key) = (Copy::new(name), key.as_str().unwrap());
            copy.change_tensor(key);
            let operator = name.trim_start_matches("ops/").trim_end_matches(".json");
            fails(
                &copy,
                ops,
                &[&format!("ops {operator}/{id}: none: {word}"), key, "] is ", ", not "],
            );
        }
    }
}

#[test]
fn a_changed_loss_gradient_or_parameter_of_a_model_fails() {
    const NAME: &str = "models/tied_autoencoder.json";
    assert_eq!(Copy::new(NAME).failures(models), [""; 0]);
    for (place, words) in [
        ("/runs/f64/loss", ["f64: none: loss is"; 2]),
        ("/runs/f64/losses/sgd lr=0.05/5", ["f64: sgd lr=0.05: none: loss [5] is"; 2]),
        ("/runs/f64/losses/adamw lr=0.01 weight_decay=0.1/1", ["adamw", "loss [1] is"]),
        ("/runs/f32/loss", ["f32: none: loss is"; 2]),
        ("/runs/f32/losses/adam lr=0.01/3", ["f32: adam", "loss [3] is"]),
    ] {
        let copy = Copy::new(NAME);
        copy.change(place);
        fails(&copy, models, &[&["models tied_autoencoder: "], &words[..]].concat());
    }
    for (key, word) in [
        ("f64.grad.w", "gradient of w"),
        ("f32.grad.b", "gradient of b"),
        ("adam5.c", "c after five steps"),
    ] {
        let copy = Copy::new(NAME);
        copy.change_tensor(key);
        fails(&copy, models, &["models tied_autoencoder: ", word, key, "] is "]);
    }
}

#[test]
fn a_changed_step_rate_or_gradient_fails() {
    let copy = Copy::new("optim/trajectories.json");
    copy.change_tensor("adam.rosenbrock.x");
    fails(&copy, optim::optimizers, &["optim Adam/adam.rosenbrock: none: x after 50 steps [3] is"]);
    let copy = Copy::new("optim/trajectories.json");
    copy.change_tensor("sgd.logistic.losses");
    fails(&copy, optim::optimizers, &["optim SGD/sgd.logistic: none: loss [50] is"]);
    let copy = Copy::new("schedule/values.json");
    copy.change("/cases/0/lr/99");
    fails(&copy, schedule::schedules, &["schedule StepLR/00.StepLR: none: rate [99] is"]);
    let copy = Copy::new("clip.json");
    copy.change_tensor("c0.out.2");
    fails(&copy, clip::clipping, &["clip norm/c0: none: gradient 2 clipped [1, 1, 1] is"]);
}

#[test]
fn a_changed_bound_or_deviation_of_an_initializer_fails() {
    let json = Copy::new("init.json").json();
    let cases = json["cases"].as_array().unwrap();
    for (name, what) in [("kaiming_uniform_", "bound"), ("xavier_normal_", "std")] {
        let at = cases.iter().position(|case| case["init"] == name).unwrap();
        let copy = Copy::new("init.json");
        copy.change(&format!("/cases/{at}/{what}"));
        fails(&copy, init::report, &[&format!("init {name}/"), " is ", ", not "]);
    }
}
