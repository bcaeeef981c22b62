//! Schedules: factors of the rate, as functions of the number of updates made.

mod compose;
mod cosine;
mod cycle;
mod decay;
mod plateau;

pub use compose::{Chain, Sequence, Warmup};
pub use cosine::{Cosine, CosineRestarts, CosineWave};
pub use cycle::{Cyclic, CyclicShape, OneCycle};
pub use decay::{Constant, Exponential, Hold, InverseSqrt, Linear, MultiStep, Polynomial, Step};
pub use plateau::Plateau;

use std::fmt::Debug;

use pleach_ops::prelude::*;

use crate::{OptimError, Time};

/// A factor of the rate that changes with time. Time is counted in updates of the optimizer.
///
/// A schedule appends nodes, so it may be anything that the operators can say:
///
/// ```
/// use pleach_ops::prelude::*;
/// use pleach_optim::{Rate, Schedule, Sgd, Time};
///
/// /// `1 / (1 + t)`
/// #[derive(Debug)]
/// struct Harmonic;
///
/// impl Schedule for Harmonic {
///     fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
///         1.0 / (time.t + 1.0)
///     }
/// }
/// let optimizer = Sgd::new(Rate::new(0.1, Harmonic));
/// ```
///
/// | factor | item | PyTorch |
/// |---|---|---|
/// | 1 | [`Constant`] | |
/// | falls by steps | [`Step`], [`MultiStep`], [`Exponential`] | `StepLR`, `MultiStepLR`, `ExponentialLR` |
/// | from one number to another | [`Linear`], [`Hold`], [`Polynomial`] | `LinearLR`, `ConstantLR`, `PolynomialLR` |
/// | half a cosine, waves, restarts | [`Cosine`], [`CosineWave`], [`CosineRestarts`] | `CosineAnnealingLR`, `…WarmRestarts` |
/// | up and down, with the momentum | [`OneCycle`], [`Cyclic`] | `OneCycleLR`, `CyclicLR` |
/// | up, then `1/√t` | [`InverseSqrt`] | |
/// | falls when a metric stays | [`Plateau`] | `ReduceLROnPlateau` |
/// | one after another, together, begun slowly | [`Sequence`], [`Chain`], [`Warmup`] | `SequentialLR`, `ChainedScheduler` |
pub trait Schedule: Debug + Send + Sync {
    /// The factor in force at this update: `time.t` is 0 at the first. An f64 scalar.
    #[track_caller]
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g>;

    /// The momentum in force at this update, an f64 scalar, if the schedule moves it.
    #[track_caller]
    fn momentum<'g>(&self, _time: &Time<'g>) -> Option<Var<'g>> {
        None
    }

    /// What becomes of a factor `last` in one update, in a [`Chain`] of schedules, where `time.t` is
    /// at least 1. If nothing else is said, it is multiplied by the quotient of this schedule's
    /// factors now and before; after a factor of 0, what comes is this schedule's factor.
    #[track_caller]
    fn next<'g>(&self, time: &Time<'g>, last: Var<'g>) -> Var<'g> {
        let (now, before) = (self.factor(time), self.factor(&time.earlier()));
        let zero = before.equal(0.0);
        zero.select(now, last * now / zero.select(1.0, before))
    }

    /// The number of updates after which the factor does not change; none if there is none.
    fn length(&self) -> Option<u64> {
        None
    }

    /// Do the options make sense?
    ///
    /// # Errors
    /// [`OptimError`] with the option, what it must be, and what it is.
    fn check(&self) -> Result<(), OptimError> {
        Ok(())
    }
}

/// `baseⁿ` for a constant base above 0.
#[track_caller]
fn power<'g>(base: f64, n: Var<'g>) -> Var<'g> {
    (n * base.ln()).exp()
}

impl Schedule for Box<dyn Schedule> {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        (**self).factor(time)
    }

    fn momentum<'g>(&self, time: &Time<'g>) -> Option<Var<'g>> {
        (**self).momentum(time)
    }

    fn next<'g>(&self, time: &Time<'g>, last: Var<'g>) -> Var<'g> {
        (**self).next(time, last)
    }

    fn length(&self) -> Option<u64> {
        (**self).length()
    }

    fn check(&self) -> Result<(), OptimError> {
        (**self).check()
    }
}
