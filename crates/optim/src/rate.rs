//! Rates: a base number and a schedule, and the slots that hold rate and time.

use std::sync::Arc;

use pleach_ops::prelude::*;

use crate::error::at_least_zero;
use crate::{Constant, OptimError, Schedule, Trained};

/// A learning rate per update: a base number times the factor of a schedule.
///
/// A number alone is a rate that stays as it is. The base lives in the slot `NAME.rate`, so that
/// it can be set between runs without recompiling: `base` is what the slot begins with, and a
/// state that holds the slot already keeps its own number. The factor is nodes of the graph.
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

    /// The clock of an optimizer: `NAME.rate` and `NAME.steps` in the registry of `param`. One
    /// graph has one clock of a name: a second one is an error of the graph.
    #[track_caller]
    pub(crate) fn clock<'g>(&self, g: &'g Graph, name: &str, param: &Param) -> Clock<'g> {
        let scalar = |slot: &str, dtype: DType, init: f64| {
            let ty = Type::scalar(dtype);
            param.shared_slot(&format!("{name}.{slot}"), ty, Init::full(init))
        };
        let base = g.raw_param(&scalar("rate", F64, self.base));
        let counter = scalar("steps", I64, 0.0);
        let steps = g.raw_param(&counter);
        if g.roots().iter().any(|root| root.target == Some(steps.id())) {
            let why = "another optimizer has this name: give one another by `named`";
            g.refuse("update", &[], TypeError::Attribute(why.into()));
        } else {
            g.assign_param(&counter, steps + 1);
        }
        let t = steps.cast(F64);
        Clock { rate: base * self.schedule.factor(t), t }
    }
}

impl From<f64> for Rate {
    fn from(base: f64) -> Rate {
        Rate::new(base, Constant)
    }
}

/// Rate and time of one update, as f64 scalars.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock<'g> {
    /// The rate of this update.
    pub(crate) rate: Var<'g>,
    /// Updates made before this one.
    pub(crate) t: Var<'g>,
}

/// A scalar in the type and shape of a parameter: computed in f64, rounded once.
#[track_caller]
pub(crate) fn like<'g>(scalar: Var<'g>, p: &Trained<'g>) -> Var<'g> {
    scalar.cast(p.value.dtype()).broadcast_to(p.value.shape())
}
