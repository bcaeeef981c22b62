//! A factor that falls when a metric stays where it is.

use pleach_ops::prelude::*;

use crate::error::{at_least_zero, range};
use crate::{OptimError, Schedule, Time};

/// The factor is multiplied by `factor` when the metric has been told `patience + 1` times without
/// becoming better (PyTorch's `ReduceLROnPlateau`).
///
/// The metric is told by setting the slot `NAME.metric` (f64) in the state, after an update, as
/// often as one likes: once an epoch, say. The next update sees it, and sets the slot to NaN, which
/// means that nothing has been told. All that it remembers is slots, and is saved and loaded with
/// them.
///
/// | symbol | default | |
/// |---|---|---|
/// | `factor` | 0.1 | in `(0, 1)` |
/// | `patience` | 10 | |
/// | `threshold` | 1e-4 | what is better is less than `best · (1 - threshold)` |
/// | `absolute` | no | less than `best - threshold` |
/// | `largest` | no | the metric is to become large: more than `best · (1 + threshold)` |
/// | `cooldown` | 0 | tellings after a fall in which nothing is counted |
/// | `min` | 0 | the least factor |
///
/// State: 5 numbers, 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// The factor of one fall, in `(0, 1)`.
    pub factor: f64,
    /// How often the metric may be told without becoming better.
    pub patience: u64,
    /// By how much it must be better.
    pub threshold: f64,
    /// Is the threshold a difference, not a quotient?
    pub absolute: bool,
    /// Is more better?
    pub largest: bool,
    /// Tellings after a fall that do not count.
    pub cooldown: u64,
    /// The least factor.
    pub min: f64,
}

impl Default for Plateau {
    fn default() -> Plateau {
        Plateau {
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            absolute: false,
            largest: false,
            cooldown: 0,
            min: 0.0,
        }
    }
}

impl Schedule for Plateau {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        let worst = if self.largest { f64::NEG_INFINITY } else { f64::INFINITY };
        let metric = time.slot("metric", f64::NAN);
        let (best, bad) = (time.slot("best", worst), time.slot("bad", 0.0));
        let (rest, factor) = (time.slot("cooldown", 0.0), time.slot("factor", 1.0));
        let told = metric.equal(metric);
        let step = self.threshold * if self.largest { 1.0 } else { -1.0 };
        let bar = if self.absolute { best + step } else { best * (1.0 + step) };
        let better = if self.largest { metric.greater(bar) } else { metric.less(bar) };
        let resting = rest.greater(0.0);
        let still = better.or(resting).select(bad.full_like(0.0), bad + 1.0);
        let falls = still.greater(self.patience as f64);
        let if_told = |name: &str, init: f64, old: Var<'g>, new: Var<'g>| {
            let kept = told.select(new, old);
            time.keep(name, init, kept);
            kept
        };
        if_told("best", worst, best, better.select(metric, best));
        if_told("bad", 0.0, bad, falls.select(0.0, still));
        let cooled = (rest - 1.0).maximum(0.0);
        let pause = falls.select(rest.full_like(self.cooldown as f64), cooled);
        if_told("cooldown", 0.0, rest, pause);
        time.keep("metric", f64::NAN, metric.full_like(f64::NAN));
        let fallen = falls.select((factor * self.factor).maximum(self.min), factor);
        if_told("factor", 1.0, factor, fallen)
    }

    fn check(&self) -> Result<(), OptimError> {
        let name = "plateau";
        let inside = self.factor > 0.0 && self.factor < 1.0;
        range(name, "factor", "in (0, 1)", self.factor, inside)?;
        at_least_zero(name, "threshold", self.threshold)?;
        at_least_zero(name, "min", self.min)
    }
}
