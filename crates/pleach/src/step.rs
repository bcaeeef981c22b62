//! `Step`: a compiled recording.

use std::time::Instant;

use pleach_exec::{ExecError, Interpreted, Limits, Outputs, Plan, Profile, State};
use pleach_ops::Input;
use pleach_tensor::Tensor;

use crate::{Report, accumulate};

/// A compiled training step or inference. It owns its memory; values live in a [`State`], which
/// any number of steps share.
#[derive(Debug)]
pub struct Step {
    pub(crate) engine: Engine,
    /// Of a step that [accumulates](crate::Recording::accumulate): runs without an update.
    pub(crate) gather: Option<Gather>,
    /// Was the last run one of those?
    pub(crate) gathered: bool,
    pub(crate) report: Report,
}

#[derive(Debug)]
pub(crate) enum Engine {
    Plan(Box<Plan>),
    Interpreted(Box<Interpreted>),
}

/// What adds up gradients, between updates.
#[derive(Debug)]
pub(crate) struct Gather {
    pub(crate) engine: Engine,
    /// Runs from one update to the next, with that of the update.
    pub(crate) runs: u64,
}

impl Engine {
    #[allow(clippy::result_large_err, reason = "a failed run is rare and looked at")]
    fn run<'f>(
        &mut self,
        state: &mut State,
        feeds: impl IntoIterator<Item = &'f Tensor>,
    ) -> Result<Outputs<'_>, ExecError> {
        match self {
            Engine::Plan(plan) => plan.run(state, feeds),
            Engine::Interpreted(graph) => graph.run(state, feeds),
        }
    }
}

impl Step {
    /// Runs the step on a state: `feeds` are the values of the inputs, in the order in which the
    /// graph declared them. The outputs are valid until the next run.
    ///
    /// After the first run nothing is allocated, but for interpreted operators.
    ///
    /// # Errors
    /// [`ExecError`] for wrong feeds, a state of another model, or an index out of range; the
    /// state is then as it was.
    #[allow(clippy::result_large_err, reason = "a failed run is rare and looked at")]
    pub fn run<'f>(
        &mut self,
        state: &mut State,
        feeds: impl IntoIterator<Item = &'f Tensor>,
    ) -> Result<Outputs<'_>, ExecError> {
        self.turn(state);
        self.current().run(state, feeds)
    }

    /// Decides what the next run is: of a step that accumulates, one without an update, or with.
    fn turn(&mut self, state: &State) {
        if let Some(gather) = &self.gather {
            let before = state.integer(accumulate::RUNS).unwrap_or(0);
            self.gathered = before + 1 < gather.runs as i64;
        }
    }

    /// What the current turn runs.
    fn current(&mut self) -> &mut Engine {
        match &mut self.gather {
            Some(gather) if self.gathered => &mut gather.engine,
            _ => &mut self.engine,
        }
    }

    /// Runs the step `runs` times with a clock around every instruction: where the time goes, by
    /// instruction and by line of the model. The runs are ordinary ones, with the bits of
    /// [`Step::run`]: they train. Run the step a few times before, or what the first run prepares
    /// is in the times. What was reached is set beside what the [machine](crate::Compile::machine) can
    /// do, which [`Compile::calibrated`](crate::Compile::calibrated) measures.
    ///
    /// ```
    /// use pleach::prelude::*;
    /// let params = Params::seeded(0);
    /// let layer = Linear::new(&params.scope("out"), 64, 10);
    /// let g = Graph::train();
    /// let (x, y) = (g.input("x", F32, [32, 64]), g.input("y", I64, [32]));
    /// let loss = layer.call(x).cross_entropy(y);
    /// let mut step = g.minimize(loss, Sgd::new(0.1)).compile(Compile::default())?;
    /// let mut state = State::new(&params);
    /// let x = Tensor::full(&Type::new(F32, [32, 64])?, 0.5);
    /// let y = Tensor::full(&Type::new(I64, [32])?, 3.0);
    /// let profile = step.profile(&mut state, [&x, &y], 10)?;
    /// print!("{profile}");
    /// assert!(profile.lines().iter().any(|line| line.site.starts_with("out (")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Step::run`], and [`ExecError::NoProfile`] for a step of the interpreter.
    #[allow(clippy::result_large_err, reason = "a failed run is rare and looked at")]
    pub fn profile<'f>(
        &mut self,
        state: &mut State,
        feeds: impl IntoIterator<Item = &'f Tensor> + Clone,
        runs: u64,
    ) -> Result<Profile, ExecError> {
        let machine = self.report.ledger.machine;
        let threads = self.report.plan.as_ref().map_or(1, |plan| plan.threads);
        let (gflops, gbs) = (machine.gflops * threads as f64, machine.gbs);
        let limits = Some(Limits { gflops, gbs, measured: machine.measured });
        let mut profile = Profile { runs, limits, ..Profile::default() };
        let mut clocks = [(Vec::new(), 0), (Vec::new(), 0)];
        for _ in 0..runs {
            self.turn(state);
            let (clocks, count) = &mut clocks[usize::from(self.gathered)];
            let Engine::Plan(plan) = self.current() else { return Err(ExecError::NoProfile) };
            let start = Instant::now();
            plan.run_timed(state, feeds.clone(), clocks)?;
            profile.ns += u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            *count += 1;
        }
        let gather = self.gather.as_ref().map(|gather| &gather.engine);
        let engines = [Some(&self.engine), gather];
        for (engine, (clocks, count)) in engines.into_iter().zip(&clocks).rev() {
            if let Some(Engine::Plan(plan)) = engine {
                profile.add(plan.report(), clocks, *count);
            }
        }
        Ok(profile)
    }

    /// The outputs of the last run.
    pub fn outputs(&self) -> Outputs<'_> {
        let gather = self.gather.as_ref().filter(|_| self.gathered);
        match gather.map_or(&self.engine, |gather| &gather.engine) {
            Engine::Plan(plan) => plan.outputs(),
            Engine::Interpreted(graph) => graph.outputs(),
        }
    }

    /// What the passes did, and what was planned.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The inputs, in the order in which they are fed.
    pub fn inputs(&self) -> &[Input] {
        match &self.engine {
            Engine::Plan(plan) => plan.inputs(),
            Engine::Interpreted(graph) => graph.inputs(),
        }
    }
}
