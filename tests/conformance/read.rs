//! Reads cases: a `.json` beside a `.safetensors` of the same name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pleach::format::safetensors;
use pleach::prelude::*;
use serde_json::Value as Json;

/// The tensors of a file, by key.
pub(crate) type Tensors = BTreeMap<String, Tensor>;

/// One argument of a call.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    None,
    Flag(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// The key of a tensor.
    Tensor(String),
    List(Vec<Value>),
    /// Start, stop, step.
    Slice([Option<i64>; 3]),
    Ellipsis,
}

impl Value {
    fn new(json: &Json) -> Value {
        if let Some(key) = json["tensor"].as_str() {
            return Value::Tensor(key.into());
        }
        if let Some(bounds) = json["slice"].as_array() {
            let at = |i: usize| bounds.get(i).and_then(Json::as_i64);
            return Value::Slice([at(0), at(1), at(2)]);
        }
        match json {
            Json::Bool(flag) => Value::Flag(*flag),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(Value::new).collect()),
            Json::Number(n) => n.as_i64().map_or_else(|| Value::Float(number(json)), Value::Int),
            Json::Object(o) if o.contains_key("float") => Value::Float(number(json)),
            Json::Object(o) if o.contains_key("ellipsis") => Value::Ellipsis,
            _ => Value::None,
        }
    }

    /// The keys of the tensors in it, in order.
    pub(crate) fn keys(&self) -> Vec<&str> {
        match self {
            Value::Tensor(key) => vec![key],
            Value::List(items) => items.iter().flat_map(Value::keys).collect(),
            _ => vec![],
        }
    }
}

/// A float, `inf` and `nan` included.
pub(crate) fn number(json: &Json) -> f64 {
    let named = json["float"].as_str().and_then(|name| name.parse().ok());
    named.or_else(|| json.as_f64()).unwrap_or(f64::NAN)
}

/// A list of floats.
pub(crate) fn numbers(json: &Json) -> Vec<f64> {
    json.as_array().map_or_else(Vec::new, |items| items.iter().map(number).collect())
}

/// The strings of an object, in order of its keys.
pub(crate) fn pairs(json: &Json) -> Vec<(String, String)> {
    let text = |(k, v): (&String, &Json)| Some((k.clone(), v.as_str()?.to_string()));
    json.as_object().map_or_else(Vec::new, |map| map.iter().filter_map(text).collect())
}

/// What an operator gave.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) key: String,
    /// The vector to pull back; none if the output has no derivative.
    pub(crate) cotangent: Option<String>,
}

/// One call of an operator.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) args: Vec<(String, Value)>,
    pub(crate) outputs: Vec<Output>,
    /// Key of an input, key of its gradient.
    pub(crate) grads: Vec<(String, String)>,
    /// Key of an input, key of its value after the call.
    pub(crate) in_place: Vec<(String, String)>,
    /// Key of an input, key of a vector.
    pub(crate) direction: Vec<(String, String)>,
    pub(crate) hvp: Vec<(String, String)>,
    /// Key of an output, key of its derivative.
    pub(crate) jvp: Vec<(String, String)>,
    pub(crate) rtol: f64,
    pub(crate) atol: f64,
    /// PyTorch's own largest error in f32, of outputs and gradients, over the largest true value.
    pub(crate) single: [f64; 2],
}

impl Case {
    fn new(json: &Json, file: &Json) -> Case {
        let list = |name: &str| json[name].as_array().cloned().unwrap_or_default();
        let text = |json: &Json| json.as_str().unwrap_or_default().to_string();
        let tolerance = |name: &str| {
            let own = &json["tolerance"][name];
            number(if own.is_null() { &file["tolerance"][name] } else { own })
        };
        Case {
            id: text(&json["id"]),
            args: list("args")
                .iter()
                .map(|a| (text(&a["name"]), Value::new(&a["value"])))
                .collect(),
            outputs: list("outputs")
                .iter()
                .map(|o| Output {
                    key: text(&o["tensor"]),
                    cotangent: o["cotangent"].as_str().map(Into::into),
                })
                .collect(),
            grads: pairs(&json["grads"]),
            in_place: pairs(&json["in_place"]),
            direction: pairs(&json["direction"]),
            hvp: pairs(&json["hvp"]),
            jvp: pairs(&json["jvp"]),
            rtol: tolerance("rtol"),
            atol: tolerance("atol"),
            single: ["torch_f32_out", "torch_f32_grad"].map(|name| number(&json["check"][name])),
        }
    }
}

/// The cases of one operator.
#[derive(Debug)]
pub(crate) struct Operator {
    /// PyTorch's name, and the variant: the name of the file.
    pub(crate) name: String,
    pub(crate) cases: Vec<Case>,
    pub(crate) tensors: Tensors,
}

impl Operator {
    pub(crate) fn read(path: &Path) -> Result<Operator, String> {
        let (json, tensors) = file(path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let cases = json["cases"].as_array().ok_or("no cases")?;
        Ok(Operator { name, cases: cases.iter().map(|c| Case::new(c, &json)).collect(), tensors })
    }
}

/// A `.json` and the tensors beside it; none if there is no such file.
pub(crate) fn file(path: &Path) -> Result<(Json, Tensors), String> {
    let at = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| at(&e))?;
    let json = serde_json::from_str(&text).map_err(|e| at(&e))?;
    let beside = path.with_extension("safetensors");
    if !beside.exists() {
        return Ok((json, Tensors::new()));
    }
    let contents = safetensors::load(&beside).map_err(|e| e.to_string())?;
    Ok((json, contents.tensors))
}

/// The `.json` files of a folder, in order of their names.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let is_json = |path: &PathBuf| path.extension().is_some_and(|e| e == "json");
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|e| Some(e.ok()?.path())).filter(is_json).collect();
    paths.sort();
    paths
}
