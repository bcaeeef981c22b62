//! The learning-rate range test: which rates make the loss fall?

use serde::{Deserialize, Serialize};

use crate::TuneError;
use crate::space::log_between;

/// Trains with a rate that rises from `low` to `high`, `rate = low (high / low)^(i / (steps - 1))`,
/// one step at each, until the loss diverges.
///
/// | option | default | |
/// |---|---|---|
/// | `low`, `high` | 1e-6, 10 | rates per step, `0 < low < high` |
/// | `steps` | 100 | at least `window` |
/// | `window` | 9 | points that are smoothed together, odd, at least 3 |
/// | `diverged` | 4 | the test ends when the mean of the last `window` losses exceeds the least such mean by `diverged - 1` times its size; over 1, infinite for never |
///
/// A loss of NaN or ±∞ ends the test too.
///
/// **Smoothing** through the `window` points around each point a line is laid by least squares. Its
/// middle is the smoothed loss, its slope the slope, so neither lags behind the rates. The ends of
/// the curve have none.
///
/// **Suggestion** the rate where the smoothed loss falls fastest over the logarithm of the rate,
/// before it is least. None if it never falls.
///
/// ```
/// use pleach_tune::{RangeTest, TuneError};
/// // Gradient descent on w²: every step multiplies w by 1 - 2 rate, so it diverges above rate 1.
/// let mut w: f64 = 1.0;
/// let curve = RangeTest { low: 1e-4, ..RangeTest::default() }.run(|rate| {
///     let loss = w * w;
///     w -= rate * 2.0 * w;
///     Ok::<f64, TuneError>(loss)
/// })?;
/// assert!(curve.diverged);
/// let rate = curve.suggestion.expect("the loss falls");
/// assert!((0.005..0.5).contains(&rate), "{rate}");
/// # Ok::<(), TuneError>(())
/// ```
///
/// **Source** Smith, WACV 2017, §3.3; smoothing: Savitzky and Golay, Anal. Chem. 36, 1964.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeTest {
    /// The first rate.
    pub low: f64,
    /// The last rate.
    pub high: f64,
    /// Steps, if the loss does not diverge.
    pub steps: usize,
    /// Points that are smoothed together.
    pub window: usize,
    /// How much worse than the best is divergence.
    pub diverged: f64,
}

impl Default for RangeTest {
    fn default() -> Self {
        RangeTest { low: 1e-6, high: 10.0, steps: 100, window: 9, diverged: 4.0 }
    }
}

/// What a [`RangeTest`] saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RangeCurve {
    /// Every step, in order.
    pub points: Vec<RangePoint>,
    /// Did the loss end the test before its last step?
    pub diverged: bool,
    /// The rate of steepest descent.
    pub suggestion: Option<f64>,
}

/// A step of a range test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RangePoint {
    /// The rate of the step.
    pub rate: f64,
    /// The loss that the closure answered.
    #[serde(with = "crate::float")]
    pub loss: f64,
    /// The smoothed loss, and its slope over the natural logarithm of the rate. None within half a
    /// window of the ends, and of a loss that is not finite.
    pub smooth: Option<Smooth>,
}

/// The line through the losses around a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Smooth {
    /// Its middle.
    pub loss: f64,
    /// Its slope, in losses per factor e of the rate.
    pub slope: f64,
}

impl RangeTest {
    /// Runs the test. `step(rate)` trains one step at a rate and answers the loss, of before or
    /// after the step.
    ///
    /// # Errors
    /// That of the closure; [`TuneError::Option`] for an option outside of its range.
    pub fn run<E: From<TuneError>>(
        &self,
        mut step: impl FnMut(f64) -> Result<f64, E>,
    ) -> Result<RangeCurve, E> {
        self.check()?;
        let gaps = (self.steps - 1) as f64;
        let (mut rates, mut losses) = (Vec::new(), Vec::new());
        let mut least = f64::INFINITY;
        for i in 0..self.steps {
            let rate = log_between(self.low, self.high, i as f64 / gaps);
            let loss = step(rate)?;
            rates.push(rate);
            losses.push(loss);
            let recent = &losses[losses.len().saturating_sub(self.window)..];
            let mean = recent.iter().sum::<f64>() / recent.len() as f64;
            least = least.min(mean);
            if !loss.is_finite() || mean - least > (self.diverged - 1.0) * least.abs() {
                break;
            }
        }
        let diverged = losses.len() < self.steps || losses.last().is_some_and(|l| !l.is_finite());
        let lines = lines(&losses, self.window, (self.high.ln() - self.low.ln()) / gaps);
        let points = rates.into_iter().zip(losses).zip(lines);
        let points: Vec<RangePoint> =
            points.map(|((rate, loss), smooth)| RangePoint { rate, loss, smooth }).collect();
        let suggestion = steepest(&points);
        Ok(RangeCurve { points, diverged, suggestion })
    }

    fn check(&self) -> Result<(), TuneError> {
        let wrong = |option, expected: &str, got: String| {
            Err(TuneError::option("range test", option, expected, got))
        };
        if !(self.low > 0.0 && self.low < self.high && self.high.is_finite()) {
            return wrong(
                "low",
                "positive and below high",
                format!("{:?}, {:?}", self.low, self.high),
            );
        }
        if self.window < 3 || self.window.is_multiple_of(2) {
            return wrong("window", "odd and at least 3", self.window.to_string());
        }
        if self.steps < self.window {
            return wrong("steps", "at least window", self.steps.to_string());
        }
        if self.diverged.is_nan() || self.diverged <= 1.0 {
            return wrong("diverged", "over 1", format!("{:?}", self.diverged));
        }
        Ok(())
    }
}

/// For every point the line through the `window` points around it, which are `gap` apart.
fn lines(losses: &[f64], window: usize, gap: f64) -> Vec<Option<Smooth>> {
    let half = window / 2;
    let offset = |j: usize| j as f64 - half as f64;
    let squares: f64 = (0..window).map(|j| offset(j).powi(2)).sum();
    let line = |i: usize| {
        let around = losses.get(i.checked_sub(half)?..=i + half)?;
        let middle = around.iter().sum::<f64>() / window as f64;
        let moment: f64 = around.iter().enumerate().map(|(j, loss)| offset(j) * loss).sum();
        let smooth = Smooth { loss: middle, slope: moment / squares / gap };
        (smooth.loss.is_finite() && smooth.slope.is_finite()).then_some(smooth)
    };
    (0..losses.len()).map(line).collect()
}

/// The rate where the smoothed loss falls fastest, before it is least.
fn steepest(points: &[RangePoint]) -> Option<f64> {
    let smooth = || points.iter().filter_map(|p| p.smooth.map(|smooth| (p.rate, smooth)));
    let (least, _) = smooth().min_by(|a, b| a.1.loss.total_cmp(&b.1.loss))?;
    let falling = smooth().filter(|(rate, smooth)| *rate <= least && smooth.slope < 0.0);
    falling.min_by(|a, b| a.1.slope.total_cmp(&b.1.slope)).map(|(rate, _)| rate)
}
