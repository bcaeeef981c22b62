//! Runs graphs update by update, and reads the numbers in `tests/data`.

use std::collections::HashMap;

use pleach_ops::interpret::interpret;
use pleach_ops::prelude::*;
use pleach_ops::{Sources, Variable};
use pleach_optim::{Optimizer, Trained};
use serde_json::Value;

/// A graph's assignments, run over a state by the interpreter.
#[derive(Default)]
pub(crate) struct Runner {
    pub(crate) state: HashMap<String, Tensor>,
}

impl Runner {
    /// The value of a variable: what it was assigned, or its initial value.
    pub(crate) fn value(&self, variable: &Variable) -> Tensor {
        self.state.get(variable.name()).cloned().unwrap_or_else(|| variable.initial())
    }

    /// Numbers of the variable of this name, which was assigned.
    pub(crate) fn numbers(&self, name: &str) -> Vec<f64> {
        let known: Vec<_> = self.state.keys().collect();
        self.state.get(name).unwrap_or_else(|| panic!("{name} is not of {known:?}")).to_f64s()
    }

    /// The value of a node in the present state.
    pub(crate) fn eval(&self, v: Var<'_>) -> Tensor {
        let variable = |v: &Variable| Some(self.value(v));
        v.eval_with(Sources { input: &|_| None, variable: &variable }).unwrap()
    }

    /// One run: all assigned values are computed from the old state, then written.
    pub(crate) fn step(&mut self, g: &Graph) {
        let roots: Vec<_> = g.roots().into_iter().filter(|r| r.target.is_some()).collect();
        let wanted: Vec<NodeId> = roots.iter().map(|r| r.value).collect();
        let variable = |v: &Variable| Some(self.value(v));
        let sources = Sources { input: &|_| None, variable: &variable };
        let values = interpret(g, &wanted, sources).unwrap();
        self.state.extend(roots.iter().map(|r| r.name.to_string()).zip(values));
    }
}

/// Appends the update of `params` for `loss`.
#[track_caller]
pub(crate) fn minimize<'g>(
    g: &'g Graph,
    loss: Var<'g>,
    params: &[&Param],
    optimizer: &dyn Optimizer,
) {
    let values: Vec<Var<'g>> = params.iter().map(|p| g.raw_param(p)).collect();
    let trained: Vec<Trained<'g>> = std::iter::zip(params, &values)
        .zip(g.grad(loss, &values))
        .map(|((&param, &value), grad)| Trained { param: param.clone(), value, grad })
        .collect();
    optimizer.apply(g, &trained);
}

/// A file of `tests/data`.
pub(crate) fn data(name: &str) -> Value {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A list of numbers.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// A tensor `{shape, values}` of floats.
pub(crate) fn tensor(value: &Value) -> Tensor {
    Tensor::new(shape(value), numbers(&value["values"])).unwrap()
}

/// Its shape.
pub(crate) fn shape(value: &Value) -> Shape {
    numbers(&value["shape"]).into_iter().map(|n| n as usize).collect()
}

/// `|got - want| <= rtol · |want| + atol` for all.
#[track_caller]
pub(crate) fn close(what: &str, got: &[f64], want: &[f64], rtol: f64, atol: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (got - want).abs();
        assert!(error <= rtol * want.abs() + atol, "{what}[{i}]: {got} is not {want}");
    }
}
