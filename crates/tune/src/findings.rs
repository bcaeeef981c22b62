//! What a search found.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::race::Race;
use crate::{Direction, Outcome, Space, Trial};

/// The trials of a search, best first. A plain value, for serde and for the eye: with feature
/// `report` it is drawn as a table and as an SVG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// What was searched.
    pub space: Space,
    /// Which scores are better.
    pub direction: Direction,
    /// Every trial: those with a number, then those whose score is NaN, then those that failed.
    /// Among the first, whoever reached more comes first, then the better score, then the lower
    /// number of the trial.
    pub trials: Vec<Tried>,
}

/// A trial and how it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// What was tried.
    pub trial: Trial,
    /// How it ended: with rungs, on the last one that it reached.
    pub outcome: Outcome,
    /// The rungs that it reached, from the lowest; empty in a search without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rungs: Vec<Reached>,
}

/// A rung that a trial reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// The resource spent on the trial until then, in the search's own unit.
    pub resource: u64,
    /// How it stood there.
    pub outcome: Outcome,
}

impl Findings {
    /// The first of the trials, if its score is a number.
    pub fn best(&self) -> Option<&Tried> {
        self.trials.first().filter(|tried| tried.outcome.number().is_some())
    }

    /// Trials that failed, each with its error.
    pub fn failed(&self) -> impl Iterator<Item = (&Trial, &str)> {
        self.trials.iter().filter_map(|tried| match &tried.outcome {
            Outcome::Failed(error) => Some((&tried.trial, error.as_str())),
            Outcome::Score(_) => None,
        })
    }

    /// Trials whose score is NaN.
    pub fn nan(&self) -> impl Iterator<Item = &Trial> {
        let is_nan = |t: &&Tried| matches!(&t.outcome, Outcome::Score(s) if s.value.is_nan());
        self.trials.iter().filter(is_nan).map(|tried| &tried.trial)
    }
}

/// The findings of a race that has ended.
pub(crate) fn findings(
    space: &Space,
    direction: Direction,
    trials: Vec<Trial>,
    race: &Race,
    resources: &[u64],
) -> Findings {
    let tried = |trial: Trial| {
        let outcome = race.outcomes(trial.number).last()?.clone();
        let rungs = resources.iter().zip(race.outcomes(trial.number));
        let reached =
            |(&resource, outcome): (_, &Outcome)| Reached { resource, outcome: outcome.clone() };
        Some(Tried { outcome, rungs: rungs.map(reached).collect(), trial })
    };
    let mut trials: Vec<Tried> = trials.into_iter().filter_map(tried).collect();
    trials.sort_by(|a, b| better(direction, a, b));
    Findings { space: space.clone(), direction, trials }
}

fn better(direction: Direction, a: &Tried, b: &Tried) -> Ordering {
    let class = |tried: &Tried| match &tried.outcome {
        Outcome::Score(score) => usize::from(score.value.is_nan()),
        Outcome::Failed(_) => 2,
    };
    let score = |tried: &Tried| tried.outcome.number().unwrap_or(f64::NAN);
    class(a)
        .cmp(&class(b))
        .then(b.rungs.len().cmp(&a.rungs.len()))
        .then_with(|| direction.compare(score(a), score(b)))
        .then(a.trial.number.cmp(&b.trial.number))
}
