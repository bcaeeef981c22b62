//! A model's parameters, buffers, inputs and options, by PyTorch's names.

use std::collections::BTreeMap;

use pleach::prelude::*;
use serde_json::Value as Json;

use super::super::read::{Tensors, number};

/// What a model is recorded from. A name that the file does not have is a panic: the case fails.
pub(crate) struct Net<'g> {
    pub(crate) g: &'g Graph,
    options: &'g Json,
    params: BTreeMap<String, Param>,
    inputs: BTreeMap<String, (Var<'g>, Tensor)>,
}

/// The tensors of an object, in order of their names, floats as `dtype`.
fn tensors(json: &Json, all: &Tensors, dtype: DType) -> Vec<(String, Tensor)> {
    let entries = json.as_object().into_iter().flatten();
    entries
        .map(|(name, entry)| {
            let key = entry["tensor"].as_str().unwrap_or_default();
            let value = all.get(key).unwrap_or_else(|| panic!("the file has no tensor {key}"));
            let is_float = value.dtype().is_float();
            (name.clone(), if is_float { value.cast(dtype) } else { value.clone() })
        })
        .collect()
}

impl<'g> Net<'g> {
    pub(crate) fn new(
        g: &'g Graph,
        registry: &Params,
        json: &'g Json,
        all: &Tensors,
        dtype: DType,
    ) -> Net<'g> {
        let mut params = BTreeMap::new();
        for (name, value) in tensors(&json["parameters"], all, dtype) {
            let param = registry.param(&name, value.shape().clone(), value);
            params.insert(name, param);
        }
        for (name, value) in tensors(&json["buffers"], all, dtype) {
            let buffer = registry.buffer(&name, value.dtype(), value.shape().clone(), value);
            params.insert(name, buffer);
        }
        let mut inputs = BTreeMap::new();
        for (name, value) in tensors(&json["inputs"], all, dtype) {
            let var = g.input(&name, value.dtype(), value.shape().clone());
            inputs.insert(name, (var, value));
        }
        Net { g, options: &json["options"], params, inputs }
    }

    /// The values of the inputs, in the order in which the graph declares them.
    pub(crate) fn feeds(&self) -> Vec<Tensor> {
        self.inputs.values().map(|(_, value)| value.clone()).collect()
    }

    /// Is there a parameter or buffer of this name?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.params.contains_key(name)
    }

    /// The handle of a parameter or buffer.
    pub(crate) fn param(&self, name: &str) -> &Param {
        self.params.get(name).unwrap_or_else(|| panic!("no parameter {name}"))
    }

    /// The value of a parameter or buffer.
    pub(crate) fn p(&self, name: &str) -> Var<'g> {
        self.g.param(self.param(name))
    }

    /// An input.
    pub(crate) fn x(&self, name: &str) -> Var<'g> {
        self.inputs.get(name).unwrap_or_else(|| panic!("no input {name}")).0
    }

    /// An option that is a number.
    pub(crate) fn number(&self, name: &str) -> f64 {
        number(&self.options[name])
    }

    /// An option that is a size.
    pub(crate) fn size(&self, name: &str) -> usize {
        self.number(name) as usize
    }

    /// An option that is a word.
    pub(crate) fn word(&self, name: &str) -> &'g str {
        self.options[name].as_str().unwrap_or_else(|| panic!("no option {name}"))
    }

    /// An option that is true or false.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.options[name].as_bool().unwrap_or_else(|| panic!("no option {name}"))
    }

    /// PyTorch's linear layer `name`: `x Wᵀ + b`.
    pub(crate) fn linear(&self, name: &str, x: Var<'g>) -> Var<'g> {
        let y = x.matmul(self.p(&format!("{name}.weight")).t());
        let bias = format!("{name}.bias");
        if self.has(&bias) { y + self.p(&bias) } else { y }
    }

    /// PyTorch's layer norm `name` over the last axis.
    pub(crate) fn layer_norm(&self, name: &str, x: Var<'g>) -> Var<'g> {
        let [weight, bias] = ["weight", "bias"].map(|part| self.p(&format!("{name}.{part}")));
        x.layer_norm(&[x.size(-1)], Some(weight), Some(bias), 1e-5)
    }
}

/// The activation of this name.
pub(crate) fn activation<'g>(name: &str, x: Var<'g>) -> Var<'g> {
    match name {
        "relu" => x.relu(),
        "tanh" => x.tanh(),
        "sigmoid" => x.sigmoid(),
        "gelu" => x.gelu(),
        "silu" => x.silu(),
        "mish" => x.mish(),
        "elu" => x.elu(1.0),
        "selu" => x.selu(),
        "leaky_relu" => x.leaky_relu(0.01),
        "hardswish" => x.hardswish(),
        "softplus" => x.softplus(),
        "identity" => x,
        other => panic!("no activation {other}"),
    }
}
