//! Schedules: factors of the rate, as functions of the number of updates made.

use std::fmt::Debug;

use pleach_ops::prelude::*;

use crate::OptimError;
use crate::error::{at_least_zero, range};

/// A factor of the rate that changes with time. Time is counted in updates of the optimizer.
///
/// A schedule appends nodes, so it may be anything that the operators can say:
///
/// ```
/// use pleach_ops::prelude::*;
/// use pleach_optim::{Rate, Schedule, Sgd};
///
/// /// `min(1, (t + 1) / over)`
/// #[derive(Debug)]
/// struct Warmup { over: u32 }
///
/// impl Schedule for Warmup {
///     fn factor<'g>(&self, t: Var<'g>) -> Var<'g> {
///         ((t + 1.0) / f64::from(self.over)).minimum(1.0)
///     }
/// }
/// let optimizer = Sgd::new(Rate::new(0.1, Warmup { over: 100 }));
/// ```
pub trait Schedule: Debug + Send + Sync {
    /// The factor in force at the update that `t` others came before: `t` is 0 at the first. An
    /// f64 scalar of an f64 scalar.
    #[track_caller]
    fn factor<'g>(&self, t: Var<'g>) -> Var<'g>;

    /// Do the options make sense?
    ///
    /// # Errors
    /// [`OptimError`] with the option, what it must be, and what it is.
    fn check(&self) -> Result<(), OptimError> {
        Ok(())
    }
}

/// Factor 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Constant;

impl Schedule for Constant {
    fn factor<'g>(&self, t: Var<'g>) -> Var<'g> {
        t.full_like(1.0)
    }
}

/// `gamma^⌊t / every⌋`: the rate changes by a factor at every `every`-th update (PyTorch's
/// `StepLR`). Computed as `exp(⌊t / every⌋ · ln gamma)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Updates from one change to the next, at least 1.
    pub every: u64,
    /// The factor of one change, above 0.
    pub gamma: f64,
}

impl Schedule for Step {
    fn factor<'g>(&self, t: Var<'g>) -> Var<'g> {
        let changes = (t / self.every as f64).floor();
        (changes * self.gamma.ln()).exp()
    }

    fn check(&self) -> Result<(), OptimError> {
        range("step schedule", "every", "at least 1", self.every as f64, self.every >= 1)?;
        let positive = self.gamma > 0.0 && self.gamma.is_finite();
        range("step schedule", "gamma", "above 0", self.gamma, positive)
    }
}

/// `min + (1 - min) · (1 + cos(π t / steps)) / 2`: half a cosine from 1 to `min` over `steps`
/// updates, `min` from then on.
///
/// PyTorch's `CosineAnnealingLR` is the same up to `T_max = steps`, with `eta_min = min · rate`;
/// past it, that one rises again.
///
/// **Source** Loshchilov and Hutter, ICLR 2017, eq. 5 without restarts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine {
    /// Updates until the factor is `min`, at least 1.
    pub steps: u64,
    /// The last factor, at least 0.
    pub min: f64,
}

impl Schedule for Cosine {
    fn factor<'g>(&self, t: Var<'g>) -> Var<'g> {
        let done = (t / self.steps as f64).minimum(1.0);
        let half = ((done * std::f64::consts::PI).cos() + 1.0) * 0.5;
        half * (1.0 - self.min) + self.min
    }

    fn check(&self) -> Result<(), OptimError> {
        range("cosine schedule", "steps", "at least 1", self.steps as f64, self.steps >= 1)?;
        at_least_zero("cosine schedule", "min", self.min)
    }
}
