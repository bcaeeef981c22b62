//! Everything that is wrong with a model, at once.

use std::fmt;

use pleach_exec::ExecError;
use pleach_graph::{BuildError, GradError, Site};
use pleach_optim::OptimError;
use pleach_passes::PassError;
use pleach_tensor::Type;
use thiserror::Error;

/// Every independent problem of a graph and its compilation. Never empty.
#[derive(Debug)]
pub struct CompileError(pub Vec<Problem>);

impl CompileError {
    /// The errors of a graph.
    pub(crate) fn of_graph(errors: pleach_graph::BuildErrors) -> CompileError {
        CompileError(errors.0.into_iter().map(Problem::Build).collect())
    }
}

/// One problem.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// A node that was refused, with operator, operand types and the user's line.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A loss or output that was recorded in another graph.
    #[error("{name:?} is a value of another graph than the one that is compiled")]
    Foreign {
        /// Name of the output; `loss` for the loss.
        name: String,
    },
    /// A trained parameter without a differentiable path to the loss.
    #[error(transparent)]
    Unreached(#[from] Unreached),
    /// The loss is not a single float.
    #[error("the loss must be a single float, got {0}")]
    Loss(Type),
    /// A pattern that names no parameter of the graph.
    #[error("pattern {pattern:?} names no parameter of this graph; there are {known}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// The parameters there are.
        known: String,
    },
    /// A tag that no parameter of the graph has.
    #[error("no parameter of this graph has the tag {tag:?}; tags are: {known}")]
    Tag {
        /// The tag, without `#`.
        tag: String,
        /// The tags there are.
        known: String,
    },
    /// The graph has no parameter to train.
    #[error("there is no parameter to train: the graph uses none")]
    NothingToTrain,
    /// A name that [`Compile::without`](crate::Compile::without) was given and nothing has.
    #[error("no pass and no rule is named {name:?}; there are {known}")]
    Without {
        /// The name.
        name: String,
        /// The passes and rules there are.
        known: String,
    },
    /// Two outputs of one name.
    #[error("two outputs are named {0:?}")]
    OutputName(String),
    /// An option of the optimizer.
    #[error(transparent)]
    Optim(#[from] OptimError),
    /// The loss cannot be differentiated.
    #[error(transparent)]
    Grad(#[from] GradError),
    /// A pass failed: a defect of the pass.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// The memory that [`Compile::max_peak_bytes`](crate::Compile::max_peak_bytes) allows is not
    /// enough.
    #[error(
        "a run takes {lowest} bytes at least, more than the {limit} that max_peak_bytes allows"
    )]
    Memory {
        /// What is allowed.
        limit: u64,
        /// The lowest peak that was reached.
        lowest: u64,
    },
    /// The plan could not be made.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// A trained parameter that no gradient reaches.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Unreached {
    /// The parameter.
    pub param: String,
    /// The operator that cuts the path, if there is a path.
    pub cut: Option<String>,
    /// Where that operator was built.
    pub site: Option<Site>,
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no gradient reaches parameter {:?}: ", self.param)?;
        match &self.cut {
            Some(op) => write!(f, "{op} has no derivative")?,
            None => write!(f, "the loss does not depend on it")?,
        }
        if let Some(site) = &self.site {
            write!(f, " (built at {site})")?;
        }
        write!(f, "; if this is meant, say allow_unreached({:?})", self.param)
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return only.fmt(f);
        }
        write!(f, "{} errors", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for CompileError {}

impl<P: Into<Problem>> From<P> for CompileError {
    fn from(problem: P) -> Self {
        CompileError(vec![problem.into()])
    }
}
