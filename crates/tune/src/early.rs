//! Early stopping: an end to training when it no longer helps.

use serde::{Deserialize, Serialize};

use crate::{Direction, TuneError};

/// Watches a score, and says when it has not improved for `patience` checks in a row.
///
/// A score improves if it is better than the best one by more than `min_delta`; the first number
/// does. NaN never improves. With serde it is saved beside a model and goes on where it was.
///
/// ```
/// use pleach_tune::{Direction, EarlyStopping, Verdict};
/// let mut watch = EarlyStopping::new(Direction::Minimize, 2, 0.01)?;
/// let losses = [1.0, 0.5, 0.495, 0.6, 0.1];
/// let verdicts: Vec<Verdict> = losses.iter().map(|&loss| watch.check(loss)).collect();
/// use Verdict::{Improved, Stop, Waiting};
/// assert_eq!(verdicts, [Improved, Improved, Waiting, Stop, Improved]);
/// assert_eq!(watch.best().map(|best| (best.score, best.check)), Some((0.1, 4)));
/// # Ok::<(), pleach_tune::TuneError>(())
/// ```
///
/// **Source** Prechelt, "Early stopping, but when?", 1998, criterion UP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    direction: Direction,
    patience: u64,
    min_delta: f64,
    checks: u64,
    best: Option<Best>,
}

/// The best score so far, and when it was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The score.
    #[serde(with = "crate::float")]
    pub score: f64,
    /// The number of its check, from 0.
    pub check: u64,
}

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The best so far: the moment to save the weights.
    Improved,
    /// No better, for fewer than `patience` checks.
    Waiting,
    /// No better for `patience` checks or more. Whoever goes on may see it improve again.
    Stop,
}

impl EarlyStopping {
    /// Stops at the `patience`-th check in a row without an improvement of more than `min_delta`
    /// (in the score's unit).
    ///
    /// # Errors
    /// [`TuneError::Option`] for a patience of 0, or unless `min_delta` is finite and at least 0.
    pub fn new(
        direction: Direction,
        patience: u64,
        min_delta: f64,
    ) -> Result<EarlyStopping, TuneError> {
        if patience == 0 {
            return Err(TuneError::option("early stopping", "patience", "at least 1", patience));
        }
        if !(min_delta >= 0.0 && min_delta.is_finite()) {
            let expected = "finite and at least 0";
            return Err(TuneError::option("early stopping", "min_delta", expected, min_delta));
        }
        Ok(EarlyStopping { direction, patience, min_delta, checks: 0, best: None })
    }

    /// Notes a score.
    pub fn check(&mut self, score: f64) -> Verdict {
        let check = self.checks;
        self.checks = self.checks.saturating_add(1);
        let improved = match self.best {
            Some(best) => self.direction.beats(score, best.score, self.min_delta),
            None => !score.is_nan(),
        };
        if improved {
            self.best = Some(Best { score, check });
            return Verdict::Improved;
        }
        if self.waited() >= self.patience { Verdict::Stop } else { Verdict::Waiting }
    }

    /// The best score so far; none before the first number.
    pub fn best(&self) -> Option<Best> {
        self.best
    }

    /// Checks so far.
    pub fn checks(&self) -> u64 {
        self.checks
    }

    /// Checks since the best one, or since the beginning if there is none.
    pub fn waited(&self) -> u64 {
        self.checks.saturating_sub(self.best.map_or(0, |best| best.check.saturating_add(1)))
    }
}
