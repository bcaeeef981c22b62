//! `Step`: a compiled recording.

use pleach_exec::{ExecError, Interpreted, Outputs, Plan, State};
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
    /// After the first run nothing is allocated, but for packing inside of the matrix library and
    /// for interpreted operators.
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
        if let Some(gather) = &mut self.gather {
            let before = state.integer(accumulate::RUNS).unwrap_or(0);
            self.gathered = before + 1 < gather.runs as i64;
            if self.gathered {
                return gather.engine.run(state, feeds);
            }
        }
        self.engine.run(state, feeds)
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
