//! What can go wrong when a graph is compiled or run.

use pleach_graph::BuildErrors;
use pleach_ops::EvalError;
use pleach_tensor::{TensorError, Type};
use thiserror::Error;

use crate::Misfit;

/// Why a graph could not be compiled or run. A run that fails has changed nothing in the state.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The graph holds errors of the model's code.
    #[error(transparent)]
    Build(#[from] BuildErrors),
    /// Operators without a kernel, although fallback is forbidden.
    #[error("no kernel for {}; allow the interpreter, or compile without `no_fallback`", .0.join(", "))]
    NoKernel(Vec<String>),
    /// The planner made a program that the kernels refuse: a defect of this library.
    #[error("the plan is not valid, a defect of pleach: {0}")]
    Invalid(String),
    /// Too few or too many inputs were fed.
    #[error("expected {expected} inputs ({names}), got {got}")]
    FeedCount {
        /// Inputs declared.
        expected: usize,
        /// Their names.
        names: String,
        /// Inputs fed.
        got: usize,
    },
    /// An input of another type than declared.
    #[error("input {name:?} has type {expected}, got {got}")]
    FeedType {
        /// Its name.
        name: String,
        /// Type declared.
        expected: Type,
        /// Type fed.
        got: Type,
    },
    /// A variable that belongs to another model than the state.
    #[error("variable {name:?} belongs to another model than this state")]
    ForeignVariable {
        /// Its name.
        name: String,
    },
    /// The state holds a variable of this name with another type.
    #[error("variable {name:?} has type {expected}, got {got}")]
    VariableType {
        /// Its name.
        name: String,
        /// Type held.
        expected: Type,
        /// Type given.
        got: Type,
    },
    /// Saved values that are not those of the model: all of them.
    #[error("the saved values do not fit the model: {}", crate::restore::listed(.0))]
    Misfits(Vec<Misfit>),
    /// No variable, input or output of this name.
    #[error("there is no {what} named {name:?}; there are {known}")]
    Unknown {
        /// `variable`, `input` or `output`.
        what: &'static str,
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// An output that is not a single number was asked for as one.
    #[error("output {name:?} has type {ty}, which is not a single number")]
    NotScalar {
        /// Its name.
        name: String,
        /// Its type.
        ty: Type,
    },
    /// An index outside of the axis it points into, with the operator and its place.
    #[error("{op}: index {index} is out of range for an axis of length {len}")]
    Index {
        /// The operator and where it was built.
        op: String,
        /// The index.
        index: i64,
        /// Length of the axis.
        len: usize,
    },
    /// An operator without a kernel failed in the interpreter.
    #[error("{op}: {message}")]
    Fallback {
        /// The operator and where it was built.
        op: String,
        /// What it said.
        message: String,
    },
    /// The interpreter has no instructions to time.
    #[error("expected a compiled step to profile, got one of the interpreter (`Compile::none`)")]
    NoProfile,
    /// The interpreter failed.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// An output was read as another element type.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}
