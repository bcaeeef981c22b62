//! Factors that fall, or rise, from one number to another.

use pleach_ops::prelude::*;

use super::power;
use crate::error::{above_zero, at_least_one, at_least_zero, range};
use crate::{OptimError, Schedule, Time};

/// Factor 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Constant;

impl Schedule for Constant {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        time.t.full_like(1.0)
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
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        power(self.gamma, (time.t / self.every as f64).floor())
    }

    fn check(&self) -> Result<(), OptimError> {
        at_least_one("step schedule", "every", self.every)?;
        above_zero("step schedule", "gamma", self.gamma)
    }
}

/// `gamma^n` after `n` of the milestones (PyTorch's `MultiStepLR`). A milestone that stands twice
/// counts twice.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiStep {
    /// Updates before each change, in any order.
    pub milestones: Vec<u64>,
    /// The factor of one change, above 0.
    pub gamma: f64,
}

impl Schedule for MultiStep {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        let passed = |&m: &u64| time.t.greater_equal(m as f64).cast(F64);
        let count = self.milestones.iter().map(passed).reduce(|a, b| a + b);
        power(self.gamma, count.unwrap_or_else(|| time.t.full_like(0.0)))
    }

    fn length(&self) -> Option<u64> {
        self.milestones.iter().copied().max()
    }

    fn check(&self) -> Result<(), OptimError> {
        above_zero("multi-step schedule", "gamma", self.gamma)
    }
}

/// `gammaᵗ` (PyTorch's `ExponentialLR`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exponential {
    /// The factor of one update, above 0.
    pub gamma: f64,
}

impl Schedule for Exponential {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        power(self.gamma, time.t)
    }

    fn check(&self) -> Result<(), OptimError> {
        above_zero("exponential schedule", "gamma", self.gamma)
    }
}

/// `start + (end - start) · min(t / steps, 1)` (PyTorch's `LinearLR`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// The first factor, at least 0.
    pub start: f64,
    /// The last factor, at least 0.
    pub end: f64,
    /// Updates until the last factor, at least 1.
    pub steps: u64,
}

impl Schedule for Linear {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        (time.t / self.steps as f64).minimum(1.0) * (self.end - self.start) + self.start
    }

    fn length(&self) -> Option<u64> {
        Some(self.steps)
    }

    fn check(&self) -> Result<(), OptimError> {
        at_least_zero("linear schedule", "start", self.start)?;
        at_least_zero("linear schedule", "end", self.end)?;
        at_least_one("linear schedule", "steps", self.steps)
    }
}

/// `factor` for the first `steps` updates, 1 from then on (PyTorch's `ConstantLR`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hold {
    /// The first factor, at least 0.
    pub factor: f64,
    /// Updates with it.
    pub steps: u64,
}

impl Schedule for Hold {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        time.t.less(self.steps as f64).select(time.t.full_like(self.factor), 1.0)
    }

    fn length(&self) -> Option<u64> {
        Some(self.steps)
    }

    fn check(&self) -> Result<(), OptimError> {
        at_least_zero("hold schedule", "factor", self.factor)
    }
}

/// `(1 - min(t / steps, 1))^power` (PyTorch's `PolynomialLR`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Polynomial {
    /// Updates until the factor is 0, at least 1.
    pub steps: u64,
    /// The power, above 0.
    pub power: f64,
}

impl Schedule for Polynomial {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        let left = 1.0 - (time.t / self.steps as f64).minimum(1.0);
        if self.power == 1.0 { left } else { left.pow(self.power) }
    }

    fn length(&self) -> Option<u64> {
        Some(self.steps)
    }

    fn check(&self) -> Result<(), OptimError> {
        at_least_one("polynomial schedule", "steps", self.steps)?;
        let positive = self.power > 0.0 && self.power.is_finite();
        range("polynomial schedule", "power", "above 0", self.power, positive)
    }
}

/// `√w · min(1/√(t+1), (t+1) / w^1.5)`: rises to 1 over `warmup` updates, and falls as `1/√t`.
///
/// **Source** Vaswani et al., NeurIPS 2017, eq. 3, scaled to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InverseSqrt {
    /// Updates `w` until the factor is 1, at least 1.
    pub warmup: u64,
}

impl Schedule for InverseSqrt {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        let (t, w) = (time.t + 1.0, self.warmup as f64);
        (1.0 / t.sqrt()).minimum(t / (w * w.sqrt())) * w.sqrt()
    }

    fn check(&self) -> Result<(), OptimError> {
        at_least_one("inverse square root schedule", "warmup", self.warmup)
    }
}
