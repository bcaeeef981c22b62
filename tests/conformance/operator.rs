//! One case of an operator: values, gradients, Hessian-vector and Jacobian-vector products.

use std::collections::BTreeMap;

use pleach::graph::Gradient;
use pleach::prelude::*;

use super::call::{Build, Call};
use super::compare::agree;
use super::levels::{LEVELS, run};
use super::read::{Case, Tensors};

/// What is computed and what it must be: a name to print, a value, a key.
pub(crate) type Wanted<'g> = Vec<(String, Var<'g>, &'g str)>;

/// Does the case agree at every level? If not, what differs first.
pub(crate) fn check(build: Build, case: &Case, tensors: &Tensors) -> Result<(), String> {
    let g = Graph::new();
    let mut inputs = Inputs::new(&g, tensors);
    let wanted = record(build, case, &mut inputs)?;
    let feeds = inputs.feeds();
    let outputs: Vec<(String, Var<'_>)> =
        wanted.iter().map(|(name, value, _)| (name.clone(), *value)).collect();
    for (level, compile) in LEVELS {
        let got = run(&g, &outputs, &feeds, compile()).map_err(|e| format!("{level}: {e}"))?;
        for ((name, _, key), got) in wanted.iter().zip(got) {
            let want = tensor(tensors, key)?;
            agree(&got, want, case.rtol, case.atol)
                .map_err(|why| format!("{level}: {name} ({key}) {why}"))?;
        }
    }
    Ok(())
}

pub(crate) fn tensor<'t>(tensors: &'t Tensors, key: &str) -> Result<&'t Tensor, String> {
    tensors.get(key).ok_or_else(|| format!("the file has no tensor {key}"))
}

/// The inputs of a graph, by key, each declared once.
pub(crate) struct Inputs<'g> {
    g: &'g Graph,
    tensors: &'g Tensors,
    names: Vec<String>,
    vars: BTreeMap<String, Var<'g>>,
}

impl<'g> Inputs<'g> {
    pub(crate) fn new(g: &'g Graph, tensors: &'g Tensors) -> Inputs<'g> {
        Inputs { g, tensors, names: Vec::new(), vars: BTreeMap::new() }
    }

    /// The values of the inputs, in the order of declaration.
    pub(crate) fn feeds(&self) -> Vec<&'g Tensor> {
        self.names.iter().map(|key| &self.tensors[key.as_str()]).collect()
    }

    fn get(&mut self, key: &str) -> Result<Var<'g>, String> {
        if let Some(&var) = self.vars.get(key) {
            return Ok(var);
        }
        let value = tensor(self.tensors, key)?;
        let var = self.g.input(key, value.dtype(), value.shape().clone());
        self.names.push(key.into());
        self.vars.insert(key.into(), var);
        Ok(var)
    }
}

fn ids(pairs: &[(Var<'_>, Var<'_>)]) -> Vec<(NodeId, NodeId)> {
    pairs.iter().map(|(a, b)| (a.id(), b.id())).collect()
}

/// `Σ (∂y/∂x)ᵀ dy` for each `x`; zero where no path leads.
fn pull<'g>(seeds: &[(Var<'g>, Var<'g>)], xs: &[Var<'g>]) -> Result<Vec<Var<'g>>, String> {
    let Some(first) = xs.first() else { return Ok(vec![]) };
    let g = first.graph();
    let wrt: Vec<NodeId> = xs.iter().map(|x| x.id()).collect();
    let grads = g.reverse(&ids(seeds), &wrt).map_err(|e| e.to_string())?;
    let grad = |(x, grad): (&Var<'g>, Gradient)| match grad {
        Gradient::Value(id) => Var::new(g, id),
        Gradient::Unreached { .. } => x.full_like(0.0),
    };
    Ok(xs.iter().zip(grads).map(grad).collect())
}

/// `Σ (∂y/∂x) dx` for each `y`; zero where no path leads.
fn push<'g>(ys: &[Var<'g>], seeds: &[(Var<'g>, Var<'g>)]) -> Result<Vec<Var<'g>>, String> {
    let Some(first) = ys.first() else { return Ok(vec![]) };
    let g = first.graph();
    let wanted: Vec<NodeId> = ys.iter().map(|y| y.id()).collect();
    let tangents = g.jvp(&wanted, &ids(seeds)).map_err(|e| e.to_string())?;
    let tangent = |(y, id): (&Var<'g>, Option<NodeId>)| {
        id.map_or_else(|| y.full_like(0.0), |id| Var::new(g, id))
    };
    Ok(ys.iter().zip(tangents).map(tangent).collect())
}

/// Records everything that the case gives numbers for.
pub(crate) fn record<'g>(
    build: Build,
    case: &'g Case,
    inputs: &mut Inputs<'g>,
) -> Result<Wanted<'g>, String> {
    for (_, value) in &case.args {
        value.keys().into_iter().try_for_each(|key| inputs.get(key).map(drop))?;
    }
    let g = inputs.g;
    let call = Call::new(g, case, inputs.tensors, inputs.vars.clone());
    let ys = build(&call)?;
    g.check().map_err(|e| e.to_string())?;
    if ys.len() != case.outputs.len() {
        return Err(format!("{} outputs, not {}", ys.len(), case.outputs.len()));
    }
    let mut wanted = Wanted::new();
    for (i, (&y, output)) in ys.iter().zip(&case.outputs).enumerate() {
        wanted.push((format!("output {i}"), y, &output.key));
    }
    for (key, after) in &case.in_place {
        // Nothing said means unchanged: a file also lists inputs that hold NaN.
        let value = call.after(key).map_or_else(|| inputs.get(key), Ok)?;
        wanted.push((format!("{key} afterwards"), value, after));
    }

    let mut seeds = Vec::new();
    for (&y, output) in ys.iter().zip(&case.outputs) {
        if let Some(cotangent) = &output.cotangent {
            seeds.push((y, inputs.get(cotangent)?));
        }
    }
    let keys = |pairs: &'g [(String, String)]| pairs.iter().map(|(key, _)| key.as_str());
    let xs = keys(&case.grads).map(|key| inputs.get(key)).collect::<Result<Vec<_>, _>>()?;
    let grads = pull(&seeds, &xs).map_err(|e| format!("gradient: {e}"))?;
    for ((key, want), &grad) in case.grads.iter().zip(&grads) {
        wanted.push((format!("gradient of {key}"), grad, want));
    }

    let mut along = Vec::new();
    for (key, v) in &case.direction {
        along.push((inputs.get(key)?, inputs.get(v)?));
    }
    let of = |x: Var<'g>| xs.iter().position(|&other| other.id() == x.id()).map(|i| grads[i]);
    let pairs: Vec<(Var<'g>, Var<'g>)> =
        along.iter().filter_map(|&(x, v)| Some((of(x)?, v))).collect();
    let xs = keys(&case.hvp).map(|key| inputs.get(key)).collect::<Result<Vec<_>, _>>()?;
    let reverse = pull(&pairs, &xs).map_err(|e| format!("hvp: {e}"))?;
    // The other way: the derivative of the gradient along the direction.
    let firsts: Vec<Var<'g>> = xs.iter().filter_map(|&x| of(x)).collect();
    let forward = push(&firsts, &along).map_err(|e| format!("forward hvp: {e}"))?;
    for (i, (key, want)) in case.hvp.iter().enumerate() {
        wanted.push((format!("hvp of {key}"), reverse[i], want));
        wanted.push((format!("forward hvp of {key}"), forward[i], want));
    }

    let mut ys_along = Vec::new();
    for (key, _) in &case.jvp {
        let at = case.outputs.iter().position(|output| output.key == *key);
        ys_along.push(ys[at.ok_or_else(|| format!("{key} is no output"))?]);
    }
    let tangents = push(&ys_along, &along).map_err(|e| format!("jvp: {e}"))?;
    for ((key, want), tangent) in case.jvp.iter().zip(tangents) {
        wanted.push((format!("jvp of {key}"), tangent, want));
    }
    g.check().map_err(|e| e.to_string())?;
    Ok(wanted)
}
