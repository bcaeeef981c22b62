//! Rates that go up and down, while the momentum goes down and up.

use std::f64::consts::PI;

use pleach_ops::prelude::*;

use super::power;
use crate::error::{above_zero, at_least_one, below_one, range};
use crate::{OptimError, Schedule, Time};

/// From `1/div` to 1 in the first part of `steps` updates, and down to `1/(div · final_div)`, while
/// the momentum goes from `momentum[1]` to `momentum[0]` and back (PyTorch's `OneCycleLR`; the base
/// rate is the largest one). Beyond `steps` the last factor stays.
///
/// **Source** Smith and Topin, arXiv 1708.07120.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// Updates in all, at least 2.
    pub steps: u64,
    /// The part of them that rises, in `(0, 1)`.
    pub rise: f64,
    /// The largest rate to the first one, above 0.
    pub div: f64,
    /// The first rate to the last one, above 0.
    pub final_div: f64,
    /// Falls as far as it rose in as many updates, and then to the end.
    pub three_phases: bool,
    /// Goes along lines, not along half cosines.
    pub linear: bool,
    /// The least and the largest momentum; none if it stays as it is.
    pub momentum: Option<[f64; 2]>,
}

impl OneCycle {
    /// PyTorch's defaults: rises in 0.3 of the updates, from 1/25, ends at 1/250,000; momentum
    /// between 0.85 and 0.95; half cosines.
    pub fn new(steps: u64) -> OneCycle {
        OneCycle {
            steps,
            rise: 0.3,
            div: 25.0,
            final_div: 1e4,
            three_phases: false,
            linear: false,
            momentum: Some([0.85, 0.95]),
        }
    }

    /// The value at this update of what goes through `points`, one more than there are phases.
    #[track_caller]
    fn through<'g>(&self, t: Var<'g>, points: &[f64]) -> Var<'g> {
        let (steps, top) = (self.steps as f64, self.rise * self.steps as f64);
        let ends: &[f64] = match self.three_phases {
            true => &[0.0, top - 1.0, 2.0 * top - 2.0, steps - 1.0],
            false => &[0.0, top - 1.0, steps - 1.0],
        };
        let phase = |i: usize| {
            let done = (t - ends[i]) / (ends[i + 1] - ends[i]);
            let done = if i + 2 == ends.len() { done.minimum(1.0) } else { done };
            let (from, to) = (points[i], points[i + 1]);
            match self.linear {
                true => done * (to - from) + from,
                false => ((done * PI).cos() + 1.0) * (0.5 * (from - to)) + to,
            }
        };
        let last = ends.len() - 2;
        (0..last)
            .rev()
            .fold(phase(last), |later, i| t.less_equal(ends[i + 1]).select(phase(i), later))
    }
}

impl Schedule for OneCycle {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        let first = self.div.recip();
        let last = first / self.final_div;
        let points: &[f64] =
            if self.three_phases { &[first, 1.0, first, last] } else { &[first, 1.0, last] };
        self.through(time.t, points)
    }

    fn momentum<'g>(&self, time: &Time<'g>) -> Option<Var<'g>> {
        let [least, most] = self.momentum?;
        let points: &[f64] =
            if self.three_phases { &[most, least, most, most] } else { &[most, least, most] };
        Some(self.through(time.t, points))
    }

    fn length(&self) -> Option<u64> {
        Some(self.steps)
    }

    fn check(&self) -> Result<(), OptimError> {
        let name = "one-cycle schedule";
        let top = self.rise * self.steps as f64;
        range(name, "steps", "at least 2", self.steps as f64, self.steps >= 2)?;
        range(name, "rise", "in (0, 1)", self.rise, self.rise > 0.0 && self.rise < 1.0)?;
        range(name, "rise · steps", "above 1: the rise is no update long", top, top > 1.0)?;
        let ends = if self.three_phases { 2.0 * top - 2.0 } else { top - 1.0 };
        let rest = self.steps as f64 - 1.0 - ends;
        range(name, "updates after the rise and fall", "above 0", rest, rest > 0.0)?;
        above_zero(name, "div", self.div)?;
        above_zero(name, "final div", self.final_div)?;
        let each = |m: &f64| below_one(name, "momentum", *m);
        self.momentum.iter().flatten().try_for_each(each)
    }
}

/// How the cycles of [`Cyclic`] change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CyclicShape {
    /// Not at all.
    Triangular,
    /// Each is half as high as the one before.
    Halving,
    /// The height is multiplied by this in each update.
    Exponential(f64),
}

/// Along lines from `min` to 1 in `up` updates, back in `down`, and again, while the momentum does
/// the opposite (PyTorch's `CyclicLR`; the base rate is the largest one).
///
/// **Source** Smith, WACV 2017.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cyclic {
    /// The least factor, in `[0, 1]`.
    pub min: f64,
    /// Updates of a rise, at least 1.
    pub up: u64,
    /// Updates of a fall, at least 1.
    pub down: u64,
    /// How cycles change.
    pub shape: CyclicShape,
    /// The least and the largest momentum; none if it stays as it is.
    pub momentum: Option<[f64; 2]>,
}

impl Cyclic {
    /// Cycles that stay as they are; momentum between 0.8 and 0.9.
    pub fn new(min: f64, up: u64, down: u64) -> Cyclic {
        let momentum = Some([0.8, 0.9]);
        Cyclic { min, up, down, shape: CyclicShape::Triangular, momentum }
    }

    /// How high between the least and the largest, in `[0, 1]`.
    #[track_caller]
    fn height<'g>(&self, t: Var<'g>) -> Var<'g> {
        let (up, down) = (self.up as f64, self.down as f64);
        let within = t.remainder(up + down);
        let rising = within / up;
        let height = rising.minimum((up + down - within) / down);
        match self.shape {
            CyclicShape::Triangular => height,
            CyclicShape::Halving => height * power(0.5, (t / (up + down)).floor()),
            CyclicShape::Exponential(gamma) => height * power(gamma, t),
        }
    }
}

impl Schedule for Cyclic {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        self.height(time.t) * (1.0 - self.min) + self.min
    }

    fn momentum<'g>(&self, time: &Time<'g>) -> Option<Var<'g>> {
        let [least, most] = self.momentum?;
        Some(self.height(time.t) * (least - most) + most)
    }

    fn check(&self) -> Result<(), OptimError> {
        let name = "cyclic schedule";
        range(name, "min", "in [0, 1]", self.min, (0.0..=1.0).contains(&self.min))?;
        at_least_one(name, "up", self.up)?;
        at_least_one(name, "down", self.down)?;
        if let CyclicShape::Exponential(gamma) = self.shape {
            above_zero(name, "gamma", gamma)?;
        }
        let each = |m: &f64| below_one(name, "momentum", *m);
        self.momentum.iter().flatten().try_for_each(each)
    }
}
