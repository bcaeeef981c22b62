//! `GraphExt`: what a graph of operators offers its user.

use pleach_graph::{GradError, Gradient, NodeId, TypeError};
use pleach_tensor::{DType, I64, Key, Shape, Tensor, Type};

use crate::control::record::{self, Steps};
use crate::var::other_graph;
use crate::{
    Constant, Full, Graph, Init, Input, Iota, Kind, Mode, Op, Operand, Param, Real, Tree, Var,
    Variable,
};

/// Name of the variable that holds the seed of a run.
pub const SEED: &str = "random.seed";
/// Name of the variable that counts the runs that drew random numbers.
pub const RUNS: &str = "random.runs";

/// Recording: inputs, parameters, constants, keys, derivatives. In the prelude.
pub trait GraphExt {
    /// An empty graph for training: dropout drops, batch statistics are used.
    fn train() -> Self;
    /// An empty graph for inference.
    fn eval() -> Self;
    /// Is it a graph for training?
    fn is_training(&self) -> bool;
    /// A value that is fed at every run. Inputs are fed in the order of declaration.
    #[track_caller]
    fn input(&self, name: &str, dtype: DType, shape: impl Into<Shape>) -> Var<'_>;
    /// The inputs, in order of declaration.
    fn inputs(&self) -> Vec<Input>;
    /// The value of a parameter, buffer or slot. Asking twice gives the same node: sharing a
    /// parameter is reusing a node.
    #[track_caller]
    fn param(&self, param: &Param) -> Var<'_>;
    /// The variable itself, whatever it is bound to: what an optimizer differentiates and writes.
    #[track_caller]
    fn raw_param(&self, param: &Param) -> Var<'_>;
    /// From here on this graph uses `f` of the parameter wherever it is asked for the parameter:
    /// masks, weight normalization, fake quantization.
    #[track_caller]
    fn bind<'g>(&'g self, param: &Param, f: impl FnOnce(Var<'g>) -> Var<'g>) -> Var<'g>;
    /// After a run, `buffer` takes `value`.
    #[track_caller]
    fn assign_param(&self, buffer: &Param, value: Var<'_>);
    /// The variables that the graph uses, in order of first use.
    fn variables(&self) -> Vec<Variable>;
    /// A constant tensor.
    #[track_caller]
    fn constant(&self, value: impl Into<Tensor>) -> Var<'_>;
    /// Every element `value`.
    #[track_caller]
    fn full(&self, dtype: DType, shape: impl Into<Shape>, value: f64) -> Var<'_>;
    /// The index along `axis`: `iota(I64, [3], 0)` is `[0, 1, 2]`.
    #[track_caller]
    fn iota(&self, dtype: DType, shape: impl Into<Shape>, axis: usize) -> Var<'_>;
    /// A fresh random key: a function of the run's seed, the run counter, the module path and the
    /// number of this call.
    #[track_caller]
    fn key(&self) -> Var<'_>;
    /// A loop along the first axis of `xs`: from the first slice to the last, `step` turns the
    /// carry and a slice into the next carry and a result. Answers the last carry, and the results
    /// stacked along a new first axis:
    ///
    /// `(cₜ₊₁, yₜ) = step(cₜ, xₜ)`, `c₀ = init`.
    ///
    /// Carries, slices and results are variables, or tuples, arrays and vectors of them. `step` is
    /// recorded once and may use any value around it. It may not change the types of the carries.
    /// Gradients of every order are loops too; memory for them is one copy of the carries a step.
    #[track_caller]
    fn scan<'g, C: Tree<'g>, X: Tree<'g>, Y: Tree<'g>>(
        &'g self,
        init: C,
        xs: X,
        step: impl FnOnce(C, X) -> (C, Y),
    ) -> (C, Y);
    /// As [`scan`](GraphExt::scan), from the last slice to the first. Results stay with their
    /// slices.
    #[track_caller]
    fn scan_reverse<'g, C: Tree<'g>, X: Tree<'g>, Y: Tree<'g>>(
        &'g self,
        init: C,
        xs: X,
        step: impl FnOnce(C, X) -> (C, Y),
    ) -> (C, Y);
    /// `times` steps without slices: `step` gets the index of the step (an i64 scalar) and the
    /// carry, and answers the next carry.
    #[track_caller]
    fn repeat<'g, C: Tree<'g>>(
        &'g self,
        times: usize,
        init: C,
        step: impl FnOnce(Var<'g>, C) -> C,
    ) -> C;
    /// The gradient of the sum of `y` by every `x`. A value without a differentiable path to `y`
    /// has a zero gradient here; `minimize` refuses it.
    #[track_caller]
    fn grad<'g>(&'g self, y: Var<'g>, xs: &[Var<'g>]) -> Vec<Var<'g>>;
    /// The derivative of `y` along the tangents in `(x, dx)`.
    #[track_caller]
    fn jvp_of<'g>(&'g self, y: Var<'g>, seeds: &[(Var<'g>, Var<'g>)]) -> Var<'g>;
    /// The Hessian of the sum of `y`, times `v`: the derivative of the gradient along `v`.
    #[track_caller]
    fn hvp<'g>(&'g self, y: Var<'g>, x: Var<'g>, v: Var<'g>) -> Var<'g>;
    /// The same graph with element type `from` replaced by `to` everywhere, sources included.
    #[must_use]
    fn retype(&self, from: DType, to: DType) -> Graph;
}

impl GraphExt for Graph {
    fn train() -> Self {
        let g = Graph::new();
        g.context().borrow_mut().mode = Mode::Train;
        g
    }

    fn eval() -> Self {
        Graph::new()
    }

    fn is_training(&self) -> bool {
        self.context().borrow().mode == Mode::Train
    }

    fn input(&self, name: &str, dtype: DType, shape: impl Into<Shape>) -> Var<'_> {
        let ty = match Type::new(dtype, shape) {
            Ok(ty) => ty,
            Err(error) => {
                let op = format!("input {name:?}");
                return Var::new(self, self.refuse(op, &[], TypeError::TooLarge(error)));
            }
        };
        let declared = self.inputs();
        if declared.iter().any(|i| i.name() == name) {
            let why = TypeError::Attribute("an input of this name exists".into());
            return Var::new(self, self.refuse(format!("input {name:?}"), &[], why));
        }
        let position = declared.last().map_or(0, |last| last.position() + 1);
        let input = Input::new(name, position, ty);
        self.context().borrow_mut().inputs.push(input.clone());
        Var::new(self, self.push(Op::Input(input), &[]))
    }

    fn inputs(&self) -> Vec<Input> {
        if self.context().borrow().inputs.is_empty() {
            // A graph read from text declares its inputs by using them.
            let input = |id: NodeId| match self.op(id) {
                Op::Input(input) => Some(input),
                _ => None,
            };
            let mut used: Vec<Input> = self.ids().filter_map(input).collect();
            used.sort_by_key(Input::position);
            self.context().borrow_mut().inputs = used;
        }
        self.context().borrow().inputs.clone()
    }

    fn param(&self, param: &Param) -> Var<'_> {
        let bound = self.context().borrow().bindings.get(param).copied();
        match bound {
            Some(id) => Var::new(self, id),
            None => self.raw_param(param),
        }
    }

    fn raw_param(&self, param: &Param) -> Var<'_> {
        Var::new(self, self.push(Op::Variable(param.clone()), &[]))
    }

    fn bind<'g>(&'g self, param: &Param, f: impl FnOnce(Var<'g>) -> Var<'g>) -> Var<'g> {
        let bound = self.own("bind", f(self.param(param)));
        self.context().borrow_mut().bindings.insert(param.clone(), bound.id());
        bound
    }

    fn assign_param(&self, buffer: &Param, value: Var<'_>) {
        let target = self.raw_param(buffer).id();
        let value = self.own("assign", value);
        let Some(ty) = value.ty() else { return };
        if ty != *buffer.ty() {
            let why = format!("{} has type {}, the value {ty}", buffer.name(), buffer.ty());
            self.refuse("assign", &[target, value.id()], TypeError::Attribute(why));
            return;
        }
        self.assign(buffer.name(), target, value.id());
    }

    fn variables(&self) -> Vec<Variable> {
        let variable = |id: NodeId| match self.op(id) {
            Op::Variable(variable) => Some(variable),
            _ => None,
        };
        self.ids().filter_map(variable).collect()
    }

    fn constant(&self, value: impl Into<Tensor>) -> Var<'_> {
        Var::new(self, self.push(Op::Constant(Constant::new(value.into())), &[]))
    }

    fn full(&self, dtype: DType, shape: impl Into<Shape>, value: f64) -> Var<'_> {
        match Type::new(dtype, shape) {
            Ok(ty) => Var::new(self, self.push(Op::Full(Full::new(&ty, value)), &[])),
            Err(error) => Var::new(self, self.refuse("full", &[], TypeError::TooLarge(error))),
        }
    }

    fn iota(&self, dtype: DType, shape: impl Into<Shape>, axis: usize) -> Var<'_> {
        match Type::new(dtype, shape) {
            Ok(ty) => Var::new(self, self.push(Op::Iota(Iota::new(&ty, axis)), &[])),
            Err(error) => Var::new(self, self.refuse("iota", &[], TypeError::TooLarge(error))),
        }
    }

    fn key(&self) -> Var<'_> {
        let path = self.scope();
        let number = {
            let mut session = self.context().borrow_mut();
            let next = session.keys.entry(path.clone()).or_default();
            *next += 1;
            *next
        };
        let seed = self.param(&global(SEED));
        let runs = self.param(&global(RUNS));
        self.context().borrow_mut().draws = true;
        count_run(self);
        let site = Key(0).fold_str(path.as_deref().unwrap_or("")).fold(number);
        let site = self.constant(Tensor::scalar(site.to_i64()));
        let key = seed.fold_in(runs).fold_in(site);
        let loops = self.context().borrow().loops.clone();
        loops.iter().fold(key, |key, &index| key.fold_in(Var::new(self, index)))
    }

    fn scan<'g, C: Tree<'g>, X: Tree<'g>, Y: Tree<'g>>(
        &'g self,
        init: C,
        xs: X,
        step: impl FnOnce(C, X) -> (C, Y),
    ) -> (C, Y) {
        let steps = Steps::Slices { reverse: false };
        record::scan(self, steps, &init, &xs, |_, c, x| step(c, x))
    }

    fn scan_reverse<'g, C: Tree<'g>, X: Tree<'g>, Y: Tree<'g>>(
        &'g self,
        init: C,
        xs: X,
        step: impl FnOnce(C, X) -> (C, Y),
    ) -> (C, Y) {
        let steps = Steps::Slices { reverse: true };
        record::scan(self, steps, &init, &xs, |_, c, x| step(c, x))
    }

    fn repeat<'g, C: Tree<'g>>(
        &'g self,
        times: usize,
        init: C,
        step: impl FnOnce(Var<'g>, C) -> C,
    ) -> C {
        record::scan(self, Steps::Times(times), &init, &(), |i, c, ()| (step(i, c), ())).0
    }

    fn grad<'g>(&'g self, y: Var<'g>, xs: &[Var<'g>]) -> Vec<Var<'g>> {
        if let Some(refused) = self.foreign("grad", y, xs) {
            return vec![refused; xs.len()];
        }
        let seed = y.full_like(1.0);
        let ids: Vec<NodeId> = xs.iter().map(|x| x.id()).collect();
        let poisoned = y.id().is_poisoned() || ids.iter().any(|id| id.is_poisoned());
        let grads = if poisoned { Ok(vec![]) } else { self.reverse(&[(y.id(), seed.id())], &ids) };
        match grads {
            Ok(grads) if !poisoned => xs
                .iter()
                .zip(grads)
                .map(|(x, grad)| match grad {
                    Gradient::Value(id) => Var::new(self, id),
                    Gradient::Unreached { .. } => x.full_like(0.0),
                })
                .collect(),
            Ok(_) => vec![Var::new(self, self.first_poison(y.id(), &ids)); xs.len()],
            // The graph has errors, which it reports: it will never run, so any value will do, and
            // what follows is checked too.
            Err(GradError::Build(_)) => xs.iter().map(|x| x.full_like(0.0)).collect(),
            Err(error) => vec![refuse(self, "grad", y, error); xs.len()],
        }
    }

    fn jvp_of<'g>(&'g self, y: Var<'g>, seeds: &[(Var<'g>, Var<'g>)]) -> Var<'g> {
        let ids: Vec<(NodeId, NodeId)> = seeds.iter().map(|(x, dx)| (x.id(), dx.id())).collect();
        let vars: Vec<Var<'g>> = seeds.iter().flat_map(|&(x, dx)| [x, dx]).collect();
        if let Some(refused) = self.foreign("jvp", y, &vars) {
            return refused;
        }
        let flat: Vec<NodeId> = ids.iter().flat_map(|&(x, dx)| [x, dx]).collect();
        if y.id().is_poisoned() || flat.iter().any(|id| id.is_poisoned()) {
            return Var::new(self, self.first_poison(y.id(), &flat));
        }
        match self.jvp(&[y.id()], &ids) {
            Ok(tangents) => tangents[0].map_or_else(|| y.full_like(0.0), |id| Var::new(self, id)),
            Err(GradError::Build(_)) => y.full_like(0.0),
            Err(error) => refuse(self, "jvp", y, error),
        }
    }

    fn hvp<'g>(&'g self, y: Var<'g>, x: Var<'g>, v: Var<'g>) -> Var<'g> {
        let grad = self.grad(y, &[x])[0];
        self.jvp_of(grad, &[(x, v.like(x))])
    }

    fn retype(&self, from: DType, to: DType) -> Graph {
        let (new, map) = self.rebuild(|new, _, node, inputs| {
            pleach_graph::Rewrite::Replace(new.push(node.op.retype(from, to), inputs))
        });
        let mut session = new.context().borrow_mut();
        let old = self.context().borrow();
        session.mode = old.mode;
        session.inputs = old.inputs.iter().map(|i| i.retyped(from, to)).collect();
        session.bindings = old
            .bindings
            .iter()
            .filter_map(|(v, &id)| Some((v.retyped(from, to), map.get(id)?)))
            .collect();
        session.keys.clone_from(&old.keys);
        drop(session);
        new
    }
}

/// The variables of a run itself, which belong to no model: [`SEED`] and [`RUNS`]. They appear in
/// a state when a step that draws first runs on it.
pub fn run_variables() -> [Variable; 2] {
    [SEED, RUNS].map(global)
}

/// A variable of the run itself, in no registry.
fn global(name: &str) -> Variable {
    let init = Init::Full(Real(0.0));
    Variable::new(0, name.into(), Kind::Buffer, Type::scalar(I64), init, Key(0))
}

/// If a key was asked for, every run is counted; outside of all loops, for a body assigns nothing.
pub(crate) fn count_run(g: &Graph) {
    let (draws, inside) = {
        let session = g.context().borrow();
        (session.draws, !session.loops.is_empty())
    };
    if !draws || inside {
        return;
    }
    let runs = g.param(&global(RUNS));
    if !g.roots().iter().any(|r| r.target == Some(runs.id())) {
        g.assign(RUNS, runs.id(), (runs + 1).id());
    }
}

/// Values that do not fit this graph.
trait Misfits {
    fn first_poison(&self, y: NodeId, others: &[NodeId]) -> NodeId;
    /// A poisoned value if one of the values is of another graph.
    #[track_caller]
    fn foreign<'g>(&'g self, op: &str, y: Var<'g>, others: &[Var<'g>]) -> Option<Var<'g>>;
    /// The value, or a poisoned one if it is of another graph.
    #[track_caller]
    fn own<'a>(&'a self, op: &str, value: Var<'_>) -> Var<'a>;
}

impl Misfits for Graph {
    fn first_poison(&self, y: NodeId, others: &[NodeId]) -> NodeId {
        [&[y], others].concat().into_iter().find(|id| id.is_poisoned()).unwrap_or(y)
    }

    fn foreign<'g>(&'g self, op: &str, y: Var<'g>, others: &[Var<'g>]) -> Option<Var<'g>> {
        let all = [&[y], others].concat();
        let foreign = all.iter().any(|v| !std::ptr::eq(v.graph(), self));
        foreign.then(|| Var::new(self, y.id()).refuse(op, &all, other_graph()))
    }

    fn own<'a>(&'a self, op: &str, value: Var<'_>) -> Var<'a> {
        if std::ptr::eq(value.graph(), self) {
            return Var::new(self, value.id());
        }
        Var::new(self, self.refuse(op, &[], other_graph()))
    }
}

/// A derivative that cannot be recorded is an error of the user's code like any other.
#[track_caller]
fn refuse<'g>(g: &'g Graph, op: &str, y: Var<'g>, error: GradError) -> Var<'g> {
    Var::new(g, g.refuse(op, &[y.id()], TypeError::Attribute(error.to_string())))
}
