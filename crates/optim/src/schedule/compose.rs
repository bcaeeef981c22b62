//! Schedules of schedules.

use std::sync::Arc;

use pleach_ops::prelude::*;

use crate::error::{at_least_one, range};
use crate::{OptimError, Schedule, Time};

/// All schedules at once: each turns the factor of the update before into that of this one, in
/// turn (PyTorch's `ChainedScheduler`). For schedules without a least factor it is the product of
/// their factors.
///
/// State: the last factor, 8 bytes.
#[derive(Clone, Debug)]
pub struct Chain(Vec<Arc<dyn Schedule>>);

impl Chain {
    /// Begins with this one.
    pub fn new(first: impl Schedule + 'static) -> Chain {
        Chain(vec![Arc::new(first)])
    }

    /// And this one.
    #[must_use]
    pub fn and(mut self, other: impl Schedule + 'static) -> Chain {
        self.0.push(Arc::new(other));
        self
    }
}

impl Schedule for Chain {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        let parts: Vec<Time<'g>> =
            (0..self.0.len()).map(|i| time.part(&format!("chain{i}"), time.t)).collect();
        let all = || self.0.iter().zip(&parts);
        let start = time.t.full_like(1.0);
        let first = all().fold(start, |factor, (s, time)| factor * s.factor(time));
        let last = time.slot("chain", 1.0);
        let next = all().fold(last, |factor, (s, time)| s.next(time, factor));
        let factor = time.t.equal(0.0).select(first, next);
        time.keep("chain", 1.0, factor);
        factor
    }

    fn momentum<'g>(&self, time: &Time<'g>) -> Option<Var<'g>> {
        self.0.iter().rev().find_map(|s| s.momentum(time))
    }

    fn length(&self) -> Option<u64> {
        let lengths: Option<Vec<u64>> = self.0.iter().map(|s| s.length()).collect();
        lengths?.into_iter().max()
    }

    fn check(&self) -> Result<(), OptimError> {
        self.0.iter().try_for_each(|s| s.check())
    }
}

/// One schedule after the other: each begins anew at its milestone (PyTorch's `SequentialLR`).
#[derive(Clone, Debug)]
pub struct Sequence {
    first: Arc<dyn Schedule>,
    later: Vec<(u64, Arc<dyn Schedule>)>,
}

impl Sequence {
    /// Begins with this one.
    pub fn new(first: impl Schedule + 'static) -> Sequence {
        Sequence { first: Arc::new(first), later: Vec::new() }
    }

    /// From the update that `milestone` others came before, this one. Milestones must rise.
    #[must_use]
    pub fn then(mut self, milestone: u64, next: impl Schedule + 'static) -> Sequence {
        self.later.push((milestone, Arc::new(next)));
        self
    }

    /// What `of` says of the schedule in force.
    #[track_caller]
    fn in_force<'g>(
        &self,
        time: &Time<'g>,
        of: impl Fn(&dyn Schedule, &Time<'g>) -> Option<Var<'g>>,
    ) -> Option<Var<'g>> {
        let first = of(self.first.as_ref(), &time.part("part0", time.t));
        self.later.iter().enumerate().fold(first, |before, (i, (milestone, schedule))| {
            let since = time.t - *milestone as f64;
            let part = time.part(&format!("part{}", i + 1), since.maximum(0.0));
            let now = of(schedule.as_ref(), &part);
            match (before, now) {
                (Some(before), Some(now)) => Some(since.greater_equal(0.0).select(now, before)),
                (before, now) => now.or(before),
            }
        })
    }
}

impl Schedule for Sequence {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        let factor = self.in_force(time, |schedule, time| Some(schedule.factor(time)));
        factor.unwrap_or_else(|| time.t.full_like(1.0))
    }

    fn momentum<'g>(&self, time: &Time<'g>) -> Option<Var<'g>> {
        self.in_force(time, |schedule, time| schedule.momentum(time))
    }

    fn length(&self) -> Option<u64> {
        let (start, last) = self.later.last().map_or((0, &self.first), |(m, s)| (*m, s));
        last.length().map(|n| n.saturating_add(start))
    }

    fn check(&self) -> Result<(), OptimError> {
        let mut before = 0;
        for (milestone, schedule) in &self.later {
            let rises = *milestone > before;
            let expected = "later than the one before";
            range("sequence of schedules", "milestone", expected, *milestone as f64, rises)?;
            before = *milestone;
            schedule.check()?;
        }
        self.first.check()
    }
}

/// Another schedule, begun slowly: its factor times `min((t + 1) / steps, 1)`. Time of the other
/// is counted from the start, so it must be longer than the warm-up.
///
/// ```
/// use pleach_optim::{AdamW, Cosine, Rate, Warmup};
/// let schedule = Warmup::new(100, Cosine { steps: 1000, min: 0.1 });
/// let optimizer = AdamW::new(Rate::new(1e-3, schedule));
/// ```
#[derive(Clone, Debug)]
pub struct Warmup {
    steps: u64,
    then: Arc<dyn Schedule>,
}

impl Warmup {
    /// A warm-up of `steps` updates, at least 1.
    pub fn new(steps: u64, then: impl Schedule + 'static) -> Warmup {
        Warmup { steps, then: Arc::new(then) }
    }
}

impl Schedule for Warmup {
    fn factor<'g>(&self, time: &Time<'g>) -> Var<'g> {
        ((time.t + 1.0) / self.steps as f64).minimum(1.0) * self.then.factor(time)
    }

    fn momentum<'g>(&self, time: &Time<'g>) -> Option<Var<'g>> {
        self.then.momentum(time)
    }

    fn length(&self) -> Option<u64> {
        self.then.length()
    }

    fn check(&self) -> Result<(), OptimError> {
        at_least_one("warm-up", "steps", self.steps)?;
        self.then.check()?;
        let Some(length) = self.then.length() else { return Ok(()) };
        let expected = "longer than its warm-up";
        range("warm-up", "length of the schedule", expected, length as f64, length > self.steps)
    }
}
