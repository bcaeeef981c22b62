//! Rates: a base number and a schedule.

use std::sync::Arc;

use pleach_ops::prelude::*;

use crate::error::at_least_zero;
use crate::{Constant, OptimError, Schedule, Time};

/// A learning rate per update: a base number times the factor of a schedule.
///
/// A number alone is a rate that stays as it is. The base lives in the slot `NAME.rate`, so that
/// it can be set between runs without recompiling: `base` is what the slot begins with, and a
/// state that holds the slot already keeps its own number. The factor is nodes of the graph. What
/// an update has used stands in the slot `NAME.rate_now`.
///
/// ```
/// use pleach_optim::{Adam, Cosine, Rate, Sgd};
/// let constant = Sgd::new(0.1);
/// let falling = Adam::new(Rate::new(1e-3, Cosine { steps: 1000, min: 0.01 }));
/// ```
#[derive(Clone, Debug)]
pub struct Rate {
    base: f64,
    schedule: Arc<dyn Schedule>,
}

impl Rate {
    /// `base` times the factor of `schedule`.
    pub fn new(base: f64, schedule: impl Schedule + 'static) -> Rate {
        Rate { base, schedule: Arc::new(schedule) }
    }

    /// Base and schedule must make sense.
    pub(crate) fn check(&self, optimizer: &str) -> Result<(), OptimError> {
        at_least_zero(optimizer, "rate", self.base)?;
        self.schedule.check()
    }

    /// Rate of this update, and momentum if the schedule moves it, as f64 scalars.
    #[track_caller]
    pub(crate) fn at<'g>(&self, time: &Time<'g>) -> Clock<'g> {
        let rate = time.slot("rate", self.base) * self.schedule.factor(time);
        time.keep("rate_now", self.base, rate);
        Clock { rate, momentum: self.schedule.momentum(time) }
    }
}

impl From<f64> for Rate {
    fn from(base: f64) -> Rate {
        Rate::new(base, Constant)
    }
}

/// Rate and momentum of one update, as f64 scalars.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock<'g> {
    pub(crate) rate: Var<'g>,
    pub(crate) momentum: Option<Var<'g>>,
}
