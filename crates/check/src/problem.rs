//! A function as every check sees it: results of a graph as a function of some of its sources.

use std::collections::HashMap;

use pleach_graph::{NodeId, Site};
use pleach_ops::{EvalError, Graph, GraphExt, Input, Op, Sources, Variable, interpret};
use pleach_tensor::compare::unravel;
use pleach_tensor::{BF16, F16, F32, F64, Key, Tensor, Type};

use crate::{CheckError, Place};

/// A value that is differentiated by.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) id: NodeId,
    pub(crate) ty: Type,
}

/// A value that is differentiated.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) id: NodeId,
    pub(crate) ty: Type,
}

/// The values of all sources of a graph.
#[derive(Clone, Default)]
pub(crate) struct Values {
    inputs: HashMap<usize, Tensor>,
    variables: HashMap<Variable, Tensor>,
}

impl Values {
    pub(crate) fn set_input(&mut self, input: &Input, value: Tensor) {
        self.inputs.insert(input.position(), value);
    }

    pub(crate) fn set_variable(&mut self, variable: Variable, value: Tensor) {
        self.variables.insert(variable, value);
    }

    fn get(&self, op: &Op) -> Option<&Tensor> {
        match op {
            Op::Input(input) => self.inputs.get(&input.position()),
            Op::Variable(variable) => self.variables.get(variable),
            _ => None,
        }
    }

    fn set(&mut self, op: &Op, value: Tensor) {
        match op {
            Op::Input(input) => self.set_input(input, value),
            Op::Variable(variable) => self.set_variable(variable.clone(), value),
            _ => {}
        }
    }
}

/// Results of a graph as a function of sources, at a point. All elements of all sources form one
/// vector, in order, and so do those of all results.
pub(crate) struct Problem<'g> {
    pub(crate) g: &'g Graph,
    /// Operator, function or model, as messages name it.
    pub(crate) subject: String,
    /// How often the function has been differentiated, plus 1.
    pub(crate) order: u8,
    pub(crate) sources: Vec<Source>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) at: Values,
    /// Every source must be reached, whether or not the function depends on it.
    pub(crate) strict: bool,
    /// Search for the operator that is wrong.
    pub(crate) search: bool,
    /// Nodes of the function itself, as opposed to its derivatives.
    pub(crate) own: usize,
}

pub(crate) fn numel(types: impl Iterator<Item = Type>) -> usize {
    types.map(|ty| ty.numel()).sum()
}

impl<'g> Problem<'g> {
    pub(crate) fn new(g: &'g Graph, subject: &str) -> Problem<'g> {
        Problem {
            g,
            subject: subject.to_string(),
            order: 1,
            sources: vec![],
            outputs: vec![],
            at: Values::default(),
            strict: false,
            search: true,
            own: g.len(),
        }
    }

    /// Number of elements to differentiate by.
    pub(crate) fn n(&self) -> usize {
        numel(self.sources.iter().map(|s| s.ty.clone()))
    }

    /// Number of elements of the results.
    pub(crate) fn m(&self) -> usize {
        numel(self.outputs.iter().map(|o| o.ty.clone()))
    }

    pub(crate) fn source_of(&self, element: usize) -> Option<usize> {
        owner(self.sources.iter().map(|s| &s.ty), element).map(|(k, _)| k)
    }

    /// Names one element of the sources, or the only source that `u` touches.
    pub(crate) fn by(&self, u: &[f64]) -> Place {
        place(u, self.sources.iter().map(|s| (s.name.as_str(), &s.ty)))
    }

    /// Names one element of the results, or the only result that `w` touches.
    pub(crate) fn of(&self, w: &[f64]) -> Place {
        place(w, self.outputs.iter().map(|o| (o.name.as_str(), &o.ty)))
    }

    /// Where the source that `u` touches enters the graph, if the user's code built the graph.
    pub(crate) fn site(&self, u: &[f64]) -> Option<Site> {
        let first = u.iter().position(|&x| x != 0.0)?;
        let source = &self.sources[self.source_of(first)?];
        self.g.origin(source.id).first().filter(|_| self.search).cloned()
    }

    /// Flat values of nodes.
    pub(crate) fn eval(&self, ids: &[NodeId], at: &Values) -> Result<Vec<f64>, CheckError> {
        Ok(self.tensors(ids, at)?.iter().flat_map(Tensor::to_f64s).collect())
    }

    /// Values of nodes.
    pub(crate) fn tensors(&self, ids: &[NodeId], at: &Values) -> Result<Vec<Tensor>, CheckError> {
        let input = |input: &Input| at.inputs.get(&input.position()).cloned();
        let variable = |variable: &Variable| {
            Some(at.variables.get(variable).cloned().unwrap_or_else(|| variable.initial()))
        };
        let sources = Sources { input: &input, variable: &variable };
        interpret::interpret(self.g, ids, sources).map_err(|error| self.failed(error))
    }

    pub(crate) fn failed(&self, error: EvalError) -> CheckError {
        CheckError::Eval { subject: self.subject.clone(), error: Box::new(error) }
    }

    /// The point moved by `step · u`.
    pub(crate) fn moved(&self, u: &[f64], step: f64) -> Values {
        let mut at = self.at.clone();
        let mut rest = u;
        for source in &self.sources {
            let (own, others) = rest.split_at(source.ty.numel());
            rest = others;
            if own.iter().all(|&x| x == 0.0) {
                continue;
            }
            let op = self.g.op(source.id);
            let Some(x) = self.at.get(&op).map(Tensor::to_f64s) else { continue };
            at.set(&op, Tensor::build(&source.ty, |i| x[i] + step * own[i]));
        }
        at
    }

    /// All results at the point moved by `step · u`.
    pub(crate) fn results(&self, u: &[f64], step: f64) -> Result<Vec<f64>, CheckError> {
        let ids: Vec<NodeId> = self.outputs.iter().map(|o| o.id).collect();
        self.eval(&ids, &self.moved(u, step))
    }

    /// Derivative of all results along `u`, by central differences.
    pub(crate) fn slope(&self, u: &[f64], eps: f64) -> Result<Vec<f64>, CheckError> {
        let (right, left) = (self.results(u, eps)?, self.results(u, -eps)?);
        Ok(right.iter().zip(&left).map(|(r, l)| quotient(*r, *l, 2.0 * eps)).collect())
    }

    /// New inputs of the types of `of`, zero for now.
    pub(crate) fn new_inputs(&mut self, name: &str, types: &[Type]) -> Vec<Source> {
        let input = |(i, ty): (usize, &Type)| {
            let name = format!("check.{}.{name}.{i}", self.order);
            let id = self.g.input(&name, F64, ty.shape().clone()).id();
            Source { name: format!("the cotangent of result {i}"), id, ty: ty.clone() }
        };
        let sources: Vec<Source> = types.iter().enumerate().map(input).collect();
        set_flat(self.g, &mut self.at, &sources, &vec![0.0; numel(types.iter().cloned())]);
        sources
    }

    /// `op(x)` for new inputs of the values given.
    pub(crate) fn of_operator(
        g: &'g Graph,
        op: &Op,
        x: &[Tensor],
    ) -> Result<Problem<'g>, CheckError> {
        let op = [F32, F16, BF16].iter().fold(op.clone(), |op, &dtype| op.retype(dtype, F64));
        let mut p = Problem { search: false, ..Problem::new(g, &op.to_string()) };
        let mut ids = vec![];
        for (i, x) in x.iter().enumerate() {
            let x = if x.dtype().is_float() { x.cast(F64) } else { x.clone() };
            let id = g.input(&format!("operand {i}"), x.dtype(), x.shape().clone()).id();
            let (ty, name) = (x.ty().clone(), format!("operand {i}"));
            p.at.set(&g.op(id), x);
            ids.push(id);
            if ty.dtype().is_float() {
                p.sources.push(Source { name, id, ty });
            }
        }
        let id = g.push(op, &ids);
        p.checked()?;
        let ty = g.ty(id);
        if ty.dtype().is_float() {
            p.outputs.push(Output { name: "result".into(), id, ty });
        }
        p.own = g.len();
        Ok(p)
    }

    /// Errors of the user's recording.
    pub(crate) fn checked(&self) -> Result<(), CheckError> {
        let subject = || self.subject.clone();
        self.g.check().map_err(|errors| CheckError::Build { subject: subject(), errors })
    }
}

/// Gives inputs the elements of a flat vector.
pub(crate) fn set_flat(g: &Graph, at: &mut Values, sources: &[Source], flat: &[f64]) {
    let mut rest = flat;
    for source in sources {
        let (own, others) = rest.split_at(source.ty.numel());
        rest = others;
        at.set(&g.op(source.id), Tensor::build(&source.ty, |i| own[i]));
    }
}

/// `(r - l) / width`; equal infinities have no slope.
pub(crate) fn quotient(r: f64, l: f64, width: f64) -> f64 {
    if r == l { 0.0 } else { (r - l) / width }
}

/// Which of several tensors element `flat` of their concatenation belongs to, and where in it.
fn owner<'t>(types: impl Iterator<Item = &'t Type>, flat: usize) -> Option<(usize, usize)> {
    let mut rest = flat;
    for (k, ty) in types.enumerate() {
        if rest < ty.numel() {
            return Some((k, rest));
        }
        rest -= ty.numel();
    }
    None
}

fn place<'t>(v: &[f64], parts: impl Iterator<Item = (&'t str, &'t Type)> + Clone) -> Place {
    let touched: Vec<usize> = (0..v.len()).filter(|&i| v[i] != 0.0).collect();
    let of = |flat: usize| owner(parts.clone().map(|(_, ty)| ty), flat);
    let (first, last) = (touched.first().and_then(|&i| of(i)), touched.last().and_then(|&i| of(i)));
    match (first, last) {
        (Some((k, i)), Some((l, _))) if k == l => {
            let (name, ty) = parts.clone().nth(k).expect("it has an owner");
            let element = (touched.len() == 1).then(|| unravel(i, ty.shape()));
            Place { name: name.into(), ty: ty.clone(), element }
        }
        _ => {
            let names: Vec<&str> = parts.clone().map(|(name, _)| name).collect();
            let ty = Type::new(F64, [v.len()]).unwrap_or_else(|_| Type::scalar(F64));
            Place { name: names.join(", "), ty, element: None }
        }
    }
}

/// A dense direction: every element in ±[0.5, 1.5), so that none is lost.
pub(crate) fn dense(key: Key, n: usize) -> Vec<f64> {
    (0..n as u64)
        .map(|i| {
            let x = 2.0 * key.uniform_f64(i) - 1.0;
            x + 0.5f64.copysign(x)
        })
        .collect()
}
