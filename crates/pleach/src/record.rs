//! From a recorded graph to a step: gradients, update, passes, plan.

use std::collections::HashSet;

use pleach_exec::{Interpreted, Plan};
use pleach_graph::{Gradient, Root};
use pleach_ops::prelude::*;
use pleach_ops::{Kind, Variable, choices, tag_of};
use pleach_optim::{Lbfgs, OptimError, Optimizer, Trained};
use pleach_passes::{Culprit, Ledger, PassCx, Totals};

use crate::accumulate;
use crate::compile::Engine as Wanted;
use crate::step::{Engine, Gather};
use crate::{Compile, CompileError, LbfgsRecording, Optimized, Problem, Report, Step, Unreached};

/// Nodes of the largest graph whose memory is planned after every pass, for the ledger. That of a
/// larger one is estimated by the lives of its values.
const PLANNED: usize = 20_000;

/// What is asked of a graph: training or inference. In the prelude.
pub trait Train {
    /// A training step: the gradient of `loss` and the update of every parameter that the graph
    /// uses. The loss is an output named `loss`.
    fn minimize<'g>(&'g self, loss: Var<'g>, optimizer: impl Optimizer + 'static) -> Recording<'g>;

    /// Training with [`Lbfgs`], which evaluates loss and gradient as often as it needs; see
    /// [`LbfgsRecording`].
    fn minimize_lbfgs<'g>(&'g self, loss: Var<'g>, lbfgs: Lbfgs) -> LbfgsRecording<'g>;

    /// The value of `y`, an output named `y`.
    fn infer<'g>(&'g self, y: Var<'g>) -> Recording<'g>;
}

impl Train for Graph {
    fn minimize<'g>(&'g self, loss: Var<'g>, optimizer: impl Optimizer + 'static) -> Recording<'g> {
        let training = Training {
            loss,
            optimizer: Box::new(optimizer),
            only: Vec::new(),
            allowed: Vec::new(),
            micro: 1,
        };
        let outputs = vec![("loss".into(), loss)];
        Recording { graph: self, training: Some(training), outputs }
    }

    fn minimize_lbfgs<'g>(&'g self, loss: Var<'g>, lbfgs: Lbfgs) -> LbfgsRecording<'g> {
        LbfgsRecording::new(self, loss, lbfgs)
    }

    fn infer<'g>(&'g self, y: Var<'g>) -> Recording<'g> {
        Recording { graph: self, training: None, outputs: vec![("y".into(), y)] }
    }
}

/// A graph with what is asked of it, ready to be compiled.
#[derive(Debug)]
#[must_use = "nothing happens before it is compiled"]
pub struct Recording<'g> {
    pub(crate) graph: &'g Graph,
    training: Option<Training<'g>>,
    outputs: Vec<(String, Var<'g>)>,
}

#[derive(Debug)]
struct Training<'g> {
    loss: Var<'g>,
    optimizer: Box<dyn Optimizer>,
    only: Vec<String>,
    allowed: Vec<String>,
    /// Runs whose gradients are added up before an update.
    micro: u64,
}

impl<'g> Recording<'g> {
    /// Asks for another value, under a name.
    pub fn output(mut self, name: &str, value: Var<'g>) -> Self {
        self.outputs.push((name.into(), value));
        self
    }

    /// Trains only the parameters that [match](Param::matches), by name (`encoder.*`, `*` stands for any
    /// text) or by tag (`#head`). Said twice, those of both.
    pub fn only(mut self, pattern: &str) -> Self {
        if let Some(training) = &mut self.training {
            training.only.push(pattern.into());
        }
        self
    }

    /// Leaves parameters that [match](Param::matches), by name or by tag, as they are, if no gradient
    /// reaches them.
    pub fn allow_unreached(mut self, pattern: &str) -> Self {
        if let Some(training) = &mut self.training {
            training.allowed.push(pattern.into());
        }
        self
    }

    /// Updates after every `k` runs, with the mean of their gradients: a batch in `k` parts, which
    /// needs the memory of one. Each run answers the loss of its part, and draws its own random
    /// numbers; schedules count updates.
    ///
    /// Two programs over one state: one adds a gradient to the slots `accumulate/NAME` (1 tensor per
    /// parameter), the other adds the last one, divides by `k`, updates, and empties them. How far
    /// it is stands in the slot `accumulate.runs`, so that a run that is saved goes on. Bit by bit
    /// what the sum in one graph would give, from the first part to the last.
    pub fn accumulate(mut self, k: u64) -> Self {
        if let Some(training) = &mut self.training {
            training.micro = k;
        }
        self
    }

    /// Records gradients and update, runs the passes, plans the program.
    ///
    /// # Errors
    /// [`CompileError`] with every independent problem of the graph.
    #[track_caller]
    pub fn compile(self, compile: Compile) -> Result<Step, CompileError> {
        // What the update records comes from the user's line, not from the facade's.
        let _at = self.graph.at();
        self.prepared(&compile, |g, prepared| {
            let Prepared { mut ledger, mut report, gather } = prepared;
            let engine = engine(g, &compile, &mut ledger)?;
            if let Engine::Plan(plan) = &engine {
                report.plan = Some(plan.report().clone());
            }
            report.ledger = ledger;
            Ok(Step { engine, gather, gathered: false, report })
        })
    }

    /// What the passes make of the step, and how: the graphs before and after, the ledger, and
    /// which rules made each node. Nothing is planned.
    ///
    /// # Errors
    /// As [`Recording::compile`], but for what planning refuses.
    #[track_caller]
    pub fn optimize(self, compile: Compile) -> Result<Optimized, CompileError> {
        let _at = self.graph.at();
        self.prepared(&compile, |g, prepared| {
            let (level, pipeline) = compile.passes();
            let evaluate = |op: &Op, x: &[&Tensor], y: &Type| Plan::evaluate(op, x, y);
            let mut cx = PassCx::new(level, &evaluate).peak(&Plan::peak_bytes).traced();
            cx.max_peak_bytes = compile.max_peak_bytes;
            let mut ledger = prepared.ledger;
            let (after, _) = pipeline.run(g, &mut cx, &mut ledger)?;
            let (before, _) = g.rebuild(|_, _, _, _| pleach_graph::Rewrite::Keep);
            let trace = cx.trace().cloned().unwrap_or_default();
            Ok(Optimized { before, after, ledger, trace })
        })
    }

    /// The first rewrite after which the step is `broken`, with its rule and your line; `None` if
    /// all of them together do not break it. The predicate gets the step compiled with fewer
    /// rewrites and may do anything with it: run it on a new state, compare the loss, look at the
    /// report. A step that is [accumulated](Recording::accumulate) is bisected as if it were not.
    ///
    /// # Errors
    /// As [`Recording::compile`]. A step that cannot be planned counts as broken.
    #[track_caller]
    pub fn bisect(
        mut self,
        compile: Compile,
        mut broken: impl FnMut(&mut Step) -> bool,
    ) -> Result<Option<Culprit>, CompileError> {
        let _at = self.graph.at();
        if let Some(training) = &mut self.training {
            training.micro = training.micro.min(1);
        }
        self.prepared(&compile, |g, _| {
            let (level, pipeline) = compile.passes();
            let evaluate = |op: &Op, x: &[&Tensor], y: &Type| Plan::evaluate(op, x, y);
            let fails = |new: &Graph| match Plan::compile(new, &g.inputs(), compile.options) {
                Ok(plan) => {
                    let report = Report { plan: Some(plan.report().clone()), ..Report::default() };
                    let engine = Engine::Plan(Box::new(plan));
                    broken(&mut Step { engine, gather: None, gathered: false, report })
                }
                Err(_) => true,
            };
            let cx = || {
                let mut cx = PassCx::new(level, &evaluate);
                if compile.max_peak_bytes.is_some() {
                    cx = cx.peak(&Plan::peak_bytes);
                }
                cx.max_peak_bytes = compile.max_peak_bytes;
                cx
            };
            Ok(pleach_passes::bisect(&pipeline, g, cx, fails)?)
        })
    }

    /// Records gradients and update, asks for the outputs, and goes on from there. The graph may be
    /// recorded further and compiled again: it keeps only its own outputs.
    fn prepared<T>(
        self,
        compile: &Compile,
        then: impl FnOnce(&Graph, Prepared) -> Result<T, CompileError>,
    ) -> Result<T, CompileError> {
        let g = self.graph;
        let before = g.roots();
        let done = self.prepare(compile).and_then(|prepared| then(g, prepared));
        restore(g, &before);
        done
    }

    fn prepare(self, compile: &Compile) -> Result<Prepared, CompileError> {
        let g = self.graph;
        let mut ledger = Ledger { machine: compile.machine, ..Ledger::default() };
        let mut problems: Vec<Problem> = g.errors().iter().cloned().map(Problem::Build).collect();
        for (i, (name, value)) in self.outputs.iter().enumerate() {
            if !std::ptr::eq(value.graph(), g) {
                problems.push(Problem::Foreign { name: name.clone() });
            }
            if self.outputs[..i].iter().any(|(other, _)| other == name) {
                problems.push(Problem::OutputName(name.clone()));
            }
        }
        if self.training.as_ref().is_some_and(|training| training.micro == 0) {
            let (optimizer, option, expected) = ("accumulate".into(), "runs", "at least 1");
            let error = OptimError::Option { optimizer, option, expected, got: 0.0 };
            problems.push(Problem::Optim(error));
        }
        problems.extend(compile.unknown_names());
        if !problems.is_empty() {
            return Err(CompileError(problems));
        }
        ledger.stage("forward", Totals::of(g));
        let params = |g: &Graph| -> Vec<Variable> {
            g.variables().into_iter().filter(|v| v.kind() == Kind::Param).collect()
        };
        let used = params(g);
        let (mut trained, mut gather) = (Vec::new(), None);
        if let Some(training) = &self.training {
            trained = training.gradients(g, &used)?;
            ledger.stage("backward", Totals::of(g));
            if training.micro > 1 {
                let roots = g.roots();
                accumulate::add(g, &trained);
                self.ask();
                g.check().map_err(CompileError::of_graph)?;
                let engine = engine(g, compile, &mut Ledger::default())?;
                gather = Some(Gather { engine, runs: training.micro });
                restore(g, &roots);
                trained = accumulate::mean(g, trained, training.micro);
            }
            training.optimizer.apply(g, &trained);
            ledger.stage("update", Totals::of(g));
            g.check().map_err(CompileError::of_graph)?;
        }
        self.ask();
        let names = |of: &mut dyn Iterator<Item = &Variable>| -> Vec<String> {
            of.map(|v| v.name().to_string()).collect()
        };
        let to_train: HashSet<&Variable> = trained.iter().map(|t| &t.param).collect();
        let is_trained = |v: &Variable| to_train.contains(v);
        let report = Report {
            trained: names(&mut trained.iter().map(|t| &t.param)),
            frozen: names(&mut used.iter().filter(|v| !is_trained(v))),
            ..Report::default()
        };
        Ok(Prepared { ledger, report, gather })
    }

    /// Makes the outputs those of the graph.
    fn ask(&self) {
        for (name, value) in &self.outputs {
            self.graph.output(name, value.id());
        }
    }
}

impl<'g> Training<'g> {
    /// The gradients of the loss by all parameters to train.
    fn gradients(&self, g: &'g Graph, used: &[Variable]) -> Result<Vec<Trained<'g>>, CompileError> {
        let mut problems = Vec::new();
        let ty = self.loss.ok().map_err(Problem::Build)?.graph().ty(self.loss.id());
        if !(ty.dtype().is_float() && ty.numel() == 1) {
            return Err(Problem::Loss(ty).into());
        }
        for pattern in self.only.iter().chain(&self.allowed) {
            if !used.iter().any(|v| v.matches(pattern)) {
                let known = choices(pattern, used);
                problems.push(match tag_of(pattern) {
                    Some(tag) => Problem::Tag { tag: tag.into(), known },
                    None => Problem::Pattern { pattern: pattern.clone(), known },
                });
            }
        }
        let chosen = |v: &&Variable| {
            self.only.is_empty() || self.only.iter().any(|pattern| v.matches(pattern))
        };
        let chosen: Vec<&Variable> = used.iter().filter(chosen).collect();
        if chosen.is_empty() && problems.is_empty() {
            problems.push(Problem::NothingToTrain);
        }
        problems.extend(self.optimizer.check(&chosen).err().map(Problem::Optim));
        let values: Vec<Var<'g>> = chosen.iter().map(|v| g.raw_param(v)).collect();
        let ids: Vec<NodeId> = values.iter().map(|v| v.id()).collect();
        let scale = chosen.first().and_then(|param| self.optimizer.loss_scale(g, param));
        let one = self.loss.full_like(1.0);
        let seed = scale.map_or(one, |s| s.cast(one.dtype()).broadcast_to(one.shape()));
        let grads = g.reverse(&[(self.loss.id(), seed.id())], &ids)?;
        let mut trained = Vec::new();
        for ((param, value), grad) in chosen.into_iter().zip(values).zip(grads) {
            match grad {
                Gradient::Value(id) => {
                    trained.push(Trained { param: param.clone(), value, grad: Var::new(g, id) });
                }
                Gradient::Unreached { cut } => {
                    if self.allowed.iter().any(|pattern| param.matches(pattern)) {
                        continue;
                    }
                    let name = param.name().to_string();
                    let op = cut.map(|id| g.op(id).name().to_string());
                    let site = cut.and_then(|id| g.origin(id).first().cloned());
                    problems.push(Unreached { param: name, cut: op, site }.into());
                }
            }
        }
        if problems.is_empty() { Ok(trained) } else { Err(CompileError(problems)) }
    }
}

/// A graph with gradients and update, before any pass.
struct Prepared {
    ledger: Ledger,
    report: Report,
    gather: Option<Gather>,
}

/// What runs the graph as it is: the interpreter, or a plan of what the passes make of it.
fn engine(g: &Graph, compile: &Compile, ledger: &mut Ledger) -> Result<Engine, CompileError> {
    let (inputs, options) = (g.inputs(), compile.options);
    let engine = match &compile.engine {
        Wanted::Interpreter => {
            let (copy, _) = g.rebuild(|_, _, _, _| pleach_graph::Rewrite::Keep);
            Engine::Interpreted(Box::new(Interpreted::new(copy, &inputs)?))
        }
        Wanted::Plan(None) => Engine::Plan(Box::new(Plan::compile(g, &inputs, options)?)),
        Wanted::Plan(Some(_)) => {
            let (level, pipeline) = compile.passes();
            let evaluate = |op: &Op, x: &[&Tensor], y: &Type| Plan::evaluate(op, x, y);
            let mut cx = PassCx::new(level, &evaluate);
            cx.max_peak_bytes = compile.max_peak_bytes;
            if g.len() <= PLANNED || compile.max_peak_bytes.is_some() {
                cx = cx.peak(&Plan::peak_bytes);
            }
            let (optimized, _) = pipeline.run(g, &mut cx, ledger)?;
            Engine::Plan(Box::new(Plan::compile(&optimized, &inputs, options)?))
        }
    };
    if let (Engine::Plan(plan), Some(limit)) = (&engine, compile.max_peak_bytes) {
        let lowest = plan.report().arena_bytes as u64;
        if lowest > limit {
            return Err(Problem::Memory { limit, lowest }.into());
        }
    }
    Ok(engine)
}

fn restore(g: &Graph, roots: &[Root]) {
    g.clear_roots();
    for root in roots {
        match root.target {
            None => g.output(&root.name, root.value),
            Some(target) => g.assign(&root.name, target, root.value),
        }
    }
}
