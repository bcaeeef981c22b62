//! How a call of L-BFGS ends.

use thiserror::Error;

use crate::OptimError;

/// What one call of [`Lbfgs::step`](super::Lbfgs::step) did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LbfgsReport {
    /// The loss at the point where the call began.
    pub first: f64,
    /// The loss at the point where it ended; without a line search the loss before the last step, if
    /// that one ended the call as [`Ended::Iterations`].
    pub loss: f64,
    /// Directions taken.
    pub iterations: usize,
    /// Evaluations of loss and gradient.
    pub evaluations: usize,
    /// Why it ended.
    pub ended: Ended,
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// No element of the gradient is larger than its tolerance.
    Gradient,
    /// The step, or the change of the loss, was within its tolerance.
    Change,
    /// The slope along the direction is within its tolerance, or leads up.
    Slope,
    /// All iterations that a call has were made.
    Iterations,
    /// All evaluations that a call has were made.
    Evaluations,
}

impl Ended {
    /// Is there nothing more to gain within the tolerances? Another call would change little.
    pub fn converged(self) -> bool {
        matches!(self, Ended::Gradient | Ended::Change | Ended::Slope)
    }
}

/// Why a call failed. See [`Lbfgs::step`](super::Lbfgs::step) for where it leaves `x`.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LbfgsError<E> {
    /// An option makes no sense.
    #[error(transparent)]
    Options(#[from] OptimError),
    /// `evaluate` failed.
    #[error(transparent)]
    Evaluate(E),
    /// `evaluate` answered what is not finite.
    #[error("lbfgs: evaluation {evaluation} of this call is not finite: loss {loss}, {}", elements(.element))]
    NotFinite {
        /// The number of the evaluation, from 1.
        evaluation: usize,
        /// The loss.
        loss: f64,
        /// The first element of the gradient that is not finite, if there is one.
        element: Option<usize>,
    },
    /// Gradient or memory of another length than `x`.
    #[error("lbfgs: {what} has {got} numbers, and x {expected}")]
    Length {
        /// `the gradient` or `the memory`.
        what: &'static str,
        /// Length of `x`.
        expected: usize,
        /// Its length.
        got: usize,
    },
}

fn elements(element: &Option<usize>) -> String {
    match element {
        Some(i) => format!("gradient from element {i} on"),
        None => "a finite gradient".into(),
    }
}
