//! Successive halving: many trials begin, the better ones go on.

use std::ops::Range;

use serde_json::json;

use crate::findings::Findings;
use crate::race::{Job, Race, Rule};
use crate::search::{drawn, search};
use crate::{IntoOutcome, Options, Space, Trial, TuneError};

/// Successive halving. `trials` random points begin; on every rung the best `1/reduction` of them
/// go on to the next, which is `reduction` times as far, up to `max`.
///
/// | option | default | unit |
/// |---|---|---|
/// | `trials` | | points drawn, at least 1; see [`Space::trial`] |
/// | `max` | | the resource of the top rung: epochs, steps, rows |
/// | `min` | 1 | the lowest rung is at least this; at least 1, at most `max` |
/// | `reduction` | 3 | η, at least 2 |
///
/// **Resume** the closure gets a trial and the part `from..to` of its resource. If `from` is not 0
/// it goes on from the state that it saved at `from`, which is its own business: save it under the
/// trial's number *and* the resource, for a search that was killed may ask for the same part again.
///
/// **Losers** a trial whose score is NaN, or that failed, counts as one of its rung and never goes
/// on.
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
/// use pleach_tune::{Halving, Options, Space, TuneError};
///
/// let halving = Halving::new(27, 9);
/// assert_eq!(halving.rungs()?, [1, 3, 9]);
/// let space = Space::new().uniform("pull", 0.0, 1.0);
/// let saved = Mutex::new(HashMap::new());
/// let found = halving.asha(&space, &Options::default(), |trial, part| {
///     // One step goes a part of the way to 0; the state is how far there is still to go.
///     let mut saved = saved.lock().unwrap();
///     let mut x: f64 = if part.start == 0 { 1.0 } else { saved[&(trial.number, part.start)] };
///     for _ in part.clone() {
///         x *= 1.0 - trial.float("pull")?;
///     }
///     saved.insert((trial.number, part.end), x);
///     Ok::<f64, TuneError>(x)
/// })?;
/// let best = found.best().expect("a trial has a score");
/// assert_eq!(best.rungs.last().map(|r| r.resource), Some(9));
/// assert!(best.trial.float("pull")? > 0.9);
/// # Ok::<(), TuneError>(())
/// ```
///
/// **Source** Jamieson and Talwalkar, AISTATS 2016 (synchronous); Li et al., MLSys 2020, Alg. 2
/// (ASHA).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halving {
    /// Points that begin.
    pub trials: usize,
    /// A lower bound of the lowest rung.
    pub min: u64,
    /// The top rung.
    pub max: u64,
    /// One of so many goes on.
    pub reduction: u64,
}

impl Halving {
    /// Of `trials` points up to the resource `max`, with rungs of 1 and more, reduced to a third.
    pub fn new(trials: usize, max: u64) -> Halving {
        Halving { trials, min: 1, max, reduction: 3 }
    }

    /// The resources of the rungs: `max / reductionᵏ`, rounded up, as long as `min` is no more
    /// than that; in increasing order.
    ///
    /// # Errors
    /// [`TuneError::Option`] unless `1 <= min <= max` and `reduction >= 2`.
    pub fn rungs(&self) -> Result<Vec<u64>, TuneError> {
        let wrong = |option, expected: String, got| {
            Err(TuneError::option("successive halving", option, expected, got))
        };
        if self.reduction < 2 {
            return wrong("reduction", "at least 2".into(), self.reduction);
        }
        if self.min == 0 || self.min > self.max {
            return wrong("min", format!("at least 1 and at most max = {}", self.max), self.min);
        }
        let mut rungs = vec![self.max];
        let powers = std::iter::successors(Some(self.reduction), |p| p.checked_mul(self.reduction));
        let powers = powers.take_while(|&power| power <= self.max / self.min);
        rungs.extend(powers.map(|power| self.max.div_ceil(power)));
        rungs.reverse();
        Ok(rungs)
    }

    /// Asynchronous: a trial goes on as soon as it is among the best `1/reduction` of those that
    /// have ended on its rung so far; else a new trial begins. No thread waits for a slow trial.
    /// When all have begun and none is due, the best one of the highest rung goes on until one has
    /// reached the top.
    ///
    /// With one thread the search is a pure function of its options and of the scores. With more,
    /// who goes on depends on who ends first; the outcome of each trial on each rung does not.
    ///
    /// # Errors
    /// Those of [`Halving::rungs`] and [`random`](crate::random).
    pub fn asha<R: IntoOutcome>(
        &self,
        space: &Space,
        options: &Options,
        run: impl Fn(&Trial, Range<u64>) -> R + Sync,
    ) -> Result<Findings, TuneError> {
        self.run(Rule::AtOnce, "asha", space, options, run)
    }

    /// Synchronous: the best `1/reduction` of a rung, at least one, go on when all of the rung have
    /// ended. The findings do not depend on the number of threads.
    ///
    /// # Errors
    /// Those of [`Halving::rungs`] and [`random`](crate::random).
    pub fn synchronous<R: IntoOutcome>(
        &self,
        space: &Space,
        options: &Options,
        run: impl Fn(&Trial, Range<u64>) -> R + Sync,
    ) -> Result<Findings, TuneError> {
        self.run(Rule::Together, "synchronous halving", space, options, run)
    }

    fn run<R: IntoOutcome>(
        &self,
        rule: Rule,
        name: &str,
        space: &Space,
        options: &Options,
        run: impl Fn(&Trial, Range<u64>) -> R + Sync,
    ) -> Result<Findings, TuneError> {
        space.check()?;
        let rungs = self.rungs()?;
        let trials = drawn(space, self.trials, options.seed)?;
        let reduction = usize::try_from(self.reduction).unwrap_or(usize::MAX);
        let race = Race::new(rule, options.direction, reduction, trials.len(), rungs.len());
        let identity = json!({
            "search": name, "trials": self.trials, "rungs": rungs, "reduction": self.reduction,
        });
        let work = |trial: &Trial, job: Job| {
            let from = job.rung.checked_sub(1).map_or(0, |below| rungs[below]);
            run(trial, from..rungs[job.rung]).into_outcome()
        };
        search(space, trials, options, identity, race, &rungs, work)
    }
}
