//! Cosines: once, as a wave, with restarts.

use std::f64::consts::PI;

use pleach_ops::prelude::*;

use super::power;
use crate::error::{at_least_one, at_least_zero};
use crate::{OptimError, Schedule, Time};

/// `min + (1 - min)(1 + cos πx)/2`.
#[track_caller]
fn half<'g>(x: Var<'g>, min: f64) -> Var<'g> {
    ((x * PI).cos() + 1.0) * 0.5 * (1.0 - min) + min
}

/// `min + (1 - min) · (1 + cos(π t / steps)) / 2`: half a cosine from 1 to `min` over `steps`
/// updates, `min` from then on. PyTorch's `CosineAnnealingLR` rises again, see [`CosineWave`].
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
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        half((time.t / self.steps as f64).minimum(1.0), self.min)
    }

    fn length(&self) -> Option<u64> {
        Some(self.steps)
    }

    fn check(&self) -> Result<(), OptimError> {
        at_least_one("cosine schedule", "steps", self.steps)?;
        at_least_zero("cosine schedule", "min", self.min)
    }
}

/// [`Cosine`] that rises again and falls again, with a period of `2 · steps` (PyTorch's
/// `CosineAnnealingLR` with `T_max = steps` and `eta_min = min · rate`).
///
/// In a [`Chain`](super::Chain) it acts on what is above `min` alone, as PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineWave {
    /// Updates of half a period, at least 1.
    pub steps: u64,
    /// The least factor, at least 0.
    pub min: f64,
}

impl Schedule for CosineWave {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        half(time.t / self.steps as f64, self.min)
    }

    fn next<'g>(&self, time: &Time<'g>, last: Var<'g>) -> Var<'g> {
        let height = |t: Var<'g>| half(t / self.steps as f64, 0.0);
        let (now, before) = (height(time.t), height(time.earlier().t));
        // From the bottom there is nothing to multiply.
        let bottom = ((time.t - 1.0) / self.steps as f64).remainder(2.0).equal(1.0);
        let rise = last + now * (1.0 - self.min);
        let ratio = now / bottom.select(1.0, before);
        bottom.select(rise, (last - self.min) * ratio + self.min)
    }

    fn check(&self) -> Result<(), OptimError> {
        at_least_one("cosine wave", "steps", self.steps)?;
        at_least_zero("cosine wave", "min", self.min)
    }
}

/// [`Cosine`] again and again: a period of `steps` updates, the next `growth` times as long, and so
/// on (PyTorch's `CosineAnnealingWarmRestarts`).
///
/// **Source** Loshchilov and Hutter, ICLR 2017, eq. 5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineRestarts {
    /// Updates of the first period, at least 1.
    pub steps: u64,
    /// Each period to the one before, at least 1.
    pub growth: u64,
    /// The factor that a period comes close to, at least 0.
    pub min: f64,
}

impl Schedule for CosineRestarts {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        let (t, steps, growth) = (time.t, self.steps as f64, self.growth as f64);
        if self.growth == 1 {
            return half(t.remainder(steps) / steps, self.min);
        }
        // Period n begins at steps · (growthⁿ - 1) / (growth - 1). Times are whole numbers, so a
        // quotient of logarithms is never just below a whole number but by rounding.
        let n = ((t * ((growth - 1.0) / steps) + 1.0).ln() / growth.ln() + 1e-9).floor();
        let length = power(growth, n).round();
        let start = (length - 1.0) * (steps / (growth - 1.0));
        half((t - start) / (length * steps), self.min)
    }

    fn check(&self) -> Result<(), OptimError> {
        at_least_one("cosine restarts", "steps", self.steps)?;
        at_least_one("cosine restarts", "growth", self.growth)?;
        at_least_zero("cosine restarts", "min", self.min)
    }
}
