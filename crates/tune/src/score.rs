//! What a trial answers: a score, or why there is none.

use std::cmp::Ordering;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

/// Which scores are better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Small ones: losses.
    #[default]
    Minimize,
    /// Large ones: accuracies.
    Maximize,
}

impl Direction {
    /// Better scores first; every number before NaN.
    pub fn compare(self, a: f64, b: f64) -> Ordering {
        let by_value = match self {
            Direction::Minimize => a.partial_cmp(&b),
            Direction::Maximize => b.partial_cmp(&a),
        };
        by_value.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    }

    /// Is `score` better than `than` by more than `margin`? Never if `score` is NaN.
    pub(crate) fn beats(self, score: f64, than: f64, margin: f64) -> bool {
        match self {
            Direction::Minimize => score < than - margin,
            Direction::Maximize => score > than + margin,
        }
    }
}

/// The score of a trial; with cross-validation, that of every fold too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What is compared: the score, or the mean of the folds.
    #[serde(with = "crate::float")]
    pub value: f64,
    /// The scores of the folds in their order; empty without cross-validation.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::float::list")]
    pub folds: Vec<f64>,
}

impl Score {
    /// Standard deviation of the folds, `√(Σ(s - mean)² / (k - 1))`; none with fewer than 2.
    pub fn deviation(&self) -> Option<f64> {
        let n = self.folds.len();
        let squares: f64 = self.folds.iter().map(|s| (s - self.value).powi(2)).sum();
        (n > 1).then(|| (squares / (n as f64 - 1.0)).sqrt())
    }
}

impl From<f64> for Score {
    fn from(value: f64) -> Self {
        Score { value, folds: Vec::new() }
    }
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With a score. NaN is one: it loses to every number.
    Score(Score),
    /// With an error, which is kept as text.
    Failed(String),
}

impl Outcome {
    /// The score as a number; none if the trial failed or its score is NaN.
    pub fn number(&self) -> Option<f64> {
        match self {
            Outcome::Score(score) if !score.value.is_nan() => Some(score.value),
            _ => None,
        }
    }
}

/// What the closure of a trial may answer: `f64`, a [`Score`], or a `Result` of one of them whose
/// error can be shown.
pub trait IntoOutcome {
    /// The answer as an outcome.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for f64 {
    fn into_outcome(self) -> Outcome {
        Outcome::Score(self.into())
    }
}

impl IntoOutcome for Score {
    fn into_outcome(self) -> Outcome {
        Outcome::Score(self)
    }
}

impl<S: Into<Score>, E: Display> IntoOutcome for Result<S, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(score) => Outcome::Score(score.into()),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_worse_than_any_number() {
        for direction in [Direction::Minimize, Direction::Maximize] {
            let mut scores = [f64::NAN, 1.0, f64::INFINITY, f64::NAN, f64::NEG_INFINITY];
            scores.sort_by(|&a, &b| direction.compare(a, b));
            assert!(scores[3].is_nan() && scores[4].is_nan(), "{scores:?}");
            assert!(!direction.beats(f64::NAN, 0.0, 0.0));
        }
        assert_eq!(Direction::Minimize.compare(1.0, 2.0), Ordering::Less);
        assert_eq!(Direction::Maximize.compare(1.0, 2.0), Ordering::Greater);
    }

    #[test]
    fn outcomes_keep_their_bits_in_json() {
        let odd = [f64::NAN, f64::INFINITY, -0.0, 0.1 + 0.2, 5e-324, 1e22];
        for value in odd {
            let before = Outcome::Score(Score { value, folds: odd.to_vec() });
            let text = serde_json::to_string(&before).unwrap();
            let Outcome::Score(after) = serde_json::from_str(&text).unwrap() else {
                panic!("{text}")
            };
            assert_eq!(after.value.to_bits(), value.to_bits(), "{text}");
            assert!(after.folds.iter().zip(odd).all(|(a, b)| a.to_bits() == b.to_bits()), "{text}");
        }
    }
}
