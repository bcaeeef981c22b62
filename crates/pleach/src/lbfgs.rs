//! L-BFGS over a recorded model: the graph gives loss and gradient, the algorithm moves.
#![allow(clippy::result_large_err, reason = "a failed run is rare and looked at")]

mod slots;

use pleach_exec::{ExecError, State};
use pleach_ops::prelude::*;
use pleach_ops::{Kind, RUNS, Variable};
use pleach_optim::{Lbfgs, LbfgsError, LbfgsReport, OptimError, Optimizer, Trained};

use crate::{Compile, CompileError, Problem, Recording, Report, Step, Train};
use slots::Slots;

/// A loss to be minimized by [`Lbfgs`], ready to be compiled; made by
/// [`Train::minimize_lbfgs`].
///
/// ```
/// use pleach::prelude::*;
/// let params = Params::seeded(1);
/// let line = Linear::new(&params, 1, 1);
/// let g = Graph::train();
/// let (x, y) = (g.input("x", F32, [3, 1]), g.input("y", F32, [3, 1]));
/// let loss = line.call(x).mse(y);
/// let lbfgs = Lbfgs::new(1.0).strong_wolfe();
/// let mut step = g.minimize_lbfgs(loss, lbfgs).compile(Compile::default())?;
///
/// let mut state = State::new(&params);
/// let x = Tensor::new([3, 1], vec![0.0f32, 1.0, 2.0])?;
/// let y = Tensor::new([3, 1], vec![1.0f32, 3.0, 5.0])?;
/// let report = step.run(&mut state, [&x, &y])?; // 2x + 1, in one call
/// assert!(report.ended.converged() && report.loss < 1e-6 && report.evaluations <= 25);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing happens before it is compiled"]
pub struct LbfgsRecording<'g> {
    recording: Recording<'g>,
    lbfgs: Lbfgs,
}

impl<'g> LbfgsRecording<'g> {
    pub(crate) fn new(g: &'g Graph, loss: Var<'g>, lbfgs: Lbfgs) -> Self {
        LbfgsRecording { recording: g.minimize(loss, Gradients(lbfgs.clone())), lbfgs }
    }

    /// Trains only the parameters that match, as [`Recording::only`].
    pub fn only(self, pattern: &str) -> Self {
        LbfgsRecording { recording: self.recording.only(pattern), ..self }
    }

    /// Leaves parameters that match as they are, if no gradient reaches them, as
    /// [`Recording::allow_unreached`].
    pub fn allow_unreached(self, pattern: &str) -> Self {
        LbfgsRecording { recording: self.recording.allow_unreached(pattern), ..self }
    }

    /// Compiles loss and gradients: one graph, which every evaluation runs.
    ///
    /// # Errors
    /// [`CompileError`] with every independent problem of the graph.
    #[track_caller]
    pub fn compile(self, compile: Compile) -> Result<LbfgsStep, CompileError> {
        let LbfgsRecording { recording, lbfgs } = self;
        let g = recording.graph;
        let step = recording.compile(compile)?;
        let trained = |v: &Variable| step.report.trained.iter().any(|name| name == v.name());
        let is_trained = |v: &Variable| v.kind() == Kind::Param && trained(v);
        let params: Vec<Param> = g.variables().into_iter().filter(is_trained).collect();
        let Some(slots) = Slots::new(&lbfgs, params) else {
            let (optimizer, got) = (lbfgs.name().to_string(), lbfgs.history_size() as f64);
            let expected = "few enough that their vectors fit into memory";
            let option = OptimError::Option { optimizer, option: "history", expected, got };
            return Err(Problem::Optim(option).into());
        };
        Ok(LbfgsStep { step, lbfgs, slots })
    }
}

/// The gradients as outputs: the algorithm that uses them is outside of the graph.
#[derive(Debug)]
struct Gradients(Lbfgs);

impl Optimizer for Gradients {
    fn check(&self, _: &[&Param]) -> Result<(), OptimError> {
        self.0.check()
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        trained.iter().for_each(|t| g.output(&gradient(&t.param), t.grad.id()));
        trained.iter().map(|t| t.value).collect()
    }

    /// Nothing is assigned: the parameters move between runs.
    fn apply<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) {
        self.update(g, trained);
    }
}

/// Name of the output that is the gradient by a parameter.
fn gradient(param: &Param) -> String {
    format!("gradient/{}", param.name())
}

/// A compiled call of L-BFGS. It owns the memory of the graph; values and the memory of the
/// algorithm live in a [`State`], and are saved with it.
///
/// | slot | type | |
/// |---|---|---|
/// | `lbfgs.rate` | f64 | the rate; set it between runs |
/// | `lbfgs.iterations`, `lbfgs.evaluations` | i64 | made so far |
/// | `lbfgs.s/w`, `lbfgs.y/w` | f64, `[history, …]` | steps and changes of the gradient, oldest first |
/// | `lbfgs.step/w`, `lbfgs.gradient/w` | f64, as `w` | the last step, and the gradient before it |
/// | `lbfgs.pairs`, `lbfgs.pending` | i64 | how many of the pairs, and whether the last step, are known |
#[derive(Debug)]
pub struct LbfgsStep {
    step: Step,
    lbfgs: Lbfgs,
    slots: Slots,
}

impl LbfgsStep {
    /// One call of [`Lbfgs::step`] on these feeds: loss and gradient are evaluated as often as it
    /// asks, and the parameters of `state` move.
    ///
    /// The algorithm works in f64: f32 parameters are rounded once for each evaluation, and at the
    /// end. Every evaluation is a run of the graph: buffers that the model assigns (running
    /// statistics) are assigned in each. Keys are those of one run, so that dropout draws the same
    /// masks in all evaluations of a call.
    ///
    /// # Errors
    /// [`LbfgsError`] as of [`Lbfgs::step`]: the parameters are then those of the best loss seen, and
    /// what was learned is kept. [`LbfgsError::Evaluate`] has the error of the run: wrong feeds, a
    /// state of another model, a slot of another type; what fails at the first evaluation leaves
    /// parameters and slots as they were.
    pub fn run<'f>(
        &mut self,
        state: &mut State,
        feeds: impl IntoIterator<Item = &'f Tensor>,
    ) -> Result<LbfgsReport, LbfgsError<ExecError>> {
        let LbfgsStep { step, lbfgs, slots } = self;
        let feeds: Vec<&Tensor> = feeds.into_iter().collect();
        let read =
            |state: &State| Ok((slots.rate(state)?, slots.point(state)?, slots.memory(state)?));
        let (rate, mut x, mut memory) = read(state).map_err(LbfgsError::Evaluate)?;
        let runs = state.value(RUNS).unwrap_or_else(|_| Tensor::scalar(0i64));
        let before = memory.evaluations;
        let evaluate = |x: &[f64]| {
            slots.set_point(state, x)?;
            if state.value(RUNS).is_ok() {
                state.set(RUNS, &runs)?;
            }
            let outputs = step.run(state, feeds.iter().copied())?;
            let mut all = Vec::with_capacity(x.len());
            for param in slots.params() {
                all.extend(outputs.tensor(&gradient(param))?.to_f64s());
            }
            Ok((outputs.scalar("loss")?, all))
        };
        let result = lbfgs.clone().rate(rate).step(&mut memory, &mut x, evaluate);
        if result.is_ok() || memory.evaluations > before + 1 {
            let kept = slots.set_point(state, &x).and_then(|()| slots.set_memory(state, &memory));
            kept.map_err(LbfgsError::Evaluate)?;
        }
        result
    }

    /// What the passes did to loss and gradients, and what was planned.
    pub fn report(&self) -> &Report {
        self.step.report()
    }

    /// The inputs, in the order in which they are fed.
    pub fn inputs(&self) -> &[pleach_ops::Input] {
        self.step.inputs()
    }
}
