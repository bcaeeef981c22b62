//! `Program`: one recording function, a step for every shape of its inputs.

use std::collections::HashMap;
use std::fmt;

use pleach_exec::{Outputs, State};
use pleach_ops::{Graph, GraphExt, Mode};
use pleach_tensor::{Tensor, Type};

use crate::{Compile, CompileError, Recording, Step};

/// Records what is asked for inputs of given types.
type Record = Box<dyn for<'g> Fn(&'g Graph, &[Type]) -> Recording<'g>>;

/// Compiles a recording for every combination of input types on first use, and keeps the steps:
/// last batches, evaluation sizes, generation. All run on one [`State`].
pub struct Program {
    mode: Mode,
    compile: fn() -> Compile,
    record: Record,
    steps: HashMap<Vec<Type>, Step>,
}

impl Program {
    /// For training; `compile` gives the options of each step.
    pub fn train(
        compile: fn() -> Compile,
        record: impl for<'g> Fn(&'g Graph, &[Type]) -> Recording<'g> + 'static,
    ) -> Program {
        Program { mode: Mode::Train, compile, record: Box::new(record), steps: HashMap::new() }
    }

    /// For inference.
    pub fn eval(
        compile: fn() -> Compile,
        record: impl for<'g> Fn(&'g Graph, &[Type]) -> Recording<'g> + 'static,
    ) -> Program {
        Program { mode: Mode::Eval, compile, record: Box::new(record), steps: HashMap::new() }
    }

    /// The step for these input types, compiled if it is the first time.
    ///
    /// # Errors
    /// [`CompileError`] if the recording has problems for these types.
    pub fn step(&mut self, types: &[Type]) -> Result<&mut Step, CompileError> {
        if !self.steps.contains_key(types) {
            let g = match self.mode {
                Mode::Train => Graph::train(),
                Mode::Eval => Graph::eval(),
            };
            let step = (self.record)(&g, types).compile((self.compile)())?;
            self.steps.insert(types.to_vec(), step);
        }
        Ok(self.steps.get_mut(types).expect("the step was just made"))
    }

    /// Runs the step for the types of the feeds.
    ///
    /// # Errors
    /// As [`Program::step`] and [`Step::run`].
    pub fn run(
        &mut self,
        state: &mut State,
        feeds: &[&Tensor],
    ) -> Result<Outputs<'_>, CompileError> {
        let types: Vec<Type> = feeds.iter().map(|t| t.ty().clone()).collect();
        Ok(self.step(&types)?.run(state, feeds.iter().copied())?)
    }

    /// Number of steps compiled so far.
    pub fn compiled(&self) -> usize {
        self.steps.len()
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("mode", &self.mode)
            .field("compiled", &self.steps.keys().collect::<Vec<_>>())
            .finish()
    }
}
