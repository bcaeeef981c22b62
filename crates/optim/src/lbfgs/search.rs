//! The strong Wolfe line search.

use super::LbfgsError;
use super::objective::{Evaluate, Objective, Point};
use super::vector::{dot, max_abs};

/// How much of the slope at the start a step must gain.
const ARMIJO: f64 = 1e-4;
/// How much of the slope at the start may be left.
const CURVATURE: f64 = 0.9;
/// What part of the bracket its ends are kept away from.
const MARGIN: f64 = 0.1;

/// A place on the ray: `x + t d`, and loss and slope there.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub(super) t: f64,
    /// Infinite if loss or gradient are not finite: the step is too long, whatever else it is.
    pub(super) loss: f64,
    /// `gᵀd`.
    pub(super) slope: f64,
    pub(super) point: Point,
}

/// From `x` along a direction.
pub(super) struct Ray<'x> {
    pub(super) x: &'x [f64],
    pub(super) direction: &'x [f64],
    /// The largest move that is not worth an evaluation.
    pub(super) tolerance: f64,
}

/// What is known after the first phase.
enum Bracket {
    /// A step that fulfils both conditions.
    Found(Trial),
    /// Two ends between which there is one.
    Between([Trial; 2]),
    /// All evaluations are made: the start and the last trial.
    Exhausted([Trial; 2]),
}

/// The start of a search, and the conditions against it.
struct Conditions {
    loss: f64,
    slope: f64,
}

impl Conditions {
    /// Is the loss too high at this length?
    fn is_too_high(&self, trial: &Trial) -> bool {
        trial.loss == f64::INFINITY || trial.loss > self.loss + ARMIJO * trial.t * self.slope
    }

    fn is_flat_enough(&self, trial: &Trial) -> bool {
        trial.slope.abs() <= -CURVATURE * self.slope
    }
}

impl Ray<'_> {
    /// A step that fulfils the strong Wolfe conditions, or, if `budget` evaluations after the first
    /// do not suffice, the lower end of the bracket. `start` is at 0, `t` the first trial.
    ///
    /// The ends of the loop are those of Nocedal and Wright, alg. 3.5 (`bracket`) and 3.6
    /// (`zoom`).
    pub(super) fn search<E>(
        &self,
        start: Trial,
        t: f64,
        budget: usize,
        objective: &mut Objective<impl Evaluate<E>>,
    ) -> Result<Trial, LbfgsError<E>> {
        let conditions = Conditions { loss: start.loss, slope: start.slope };
        let mut left = budget;
        let ends = match self.bracket(start, t, &conditions, &mut left, objective)? {
            Bracket::Found(trial) => return Ok(trial),
            Bracket::Between(ends) => self.zoom(ends, &conditions, left, objective)?,
            Bracket::Exhausted(ends) => ends,
        };
        let low = lower(&ends);
        let [a, b] = ends;
        let (low, high) = if low == 0 { (a, b) } else { (b, a) };
        if low.t == 0.0 && high.loss == f64::INFINITY {
            return Err(objective.not_finite(&high.point));
        }
        Ok(low)
    }

    fn trial<E>(
        &self,
        t: f64,
        objective: &mut Objective<impl Evaluate<E>>,
    ) -> Result<Trial, LbfgsError<E>> {
        let x: Vec<f64> = self.x.iter().zip(self.direction).map(|(x, d)| x + t * d).collect();
        let point = objective.at(&x)?;
        let loss = if point.is_finite() { point.loss } else { f64::INFINITY };
        Ok(Trial { t, loss, slope: dot(&point.gradient, self.direction), point })
    }

    /// Goes on until a step fulfils the conditions, or is too long.
    fn bracket<E>(
        &self,
        start: Trial,
        t: f64,
        conditions: &Conditions,
        left: &mut usize,
        objective: &mut Objective<impl Evaluate<E>>,
    ) -> Result<Bracket, LbfgsError<E>> {
        let mut previous = start.clone();
        let mut trial = self.trial(t, objective)?;
        let mut tries = 0;
        while *left > 0 {
            let rises = tries > 1 && trial.loss >= previous.loss;
            if conditions.is_too_high(&trial) || rises {
                return Ok(Bracket::Between([previous, trial]));
            }
            if conditions.is_flat_enough(&trial) {
                return Ok(Bracket::Found(trial));
            }
            if trial.slope >= 0.0 {
                return Ok(Bracket::Between([previous, trial]));
            }
            let bounds = [trial.t + 0.01 * (trial.t - previous.t), trial.t * 10.0];
            let next = self.trial(cubic_minimum(&previous, &trial, bounds), objective)?;
            previous = std::mem::replace(&mut trial, next);
            *left -= 1;
            tries += 1;
        }
        Ok(Bracket::Exhausted([start, trial]))
    }

    /// Narrows a bracket until its lower end fulfils the conditions.
    fn zoom<E>(
        &self,
        mut ends: [Trial; 2],
        conditions: &Conditions,
        mut left: usize,
        objective: &mut Objective<impl Evaluate<E>>,
    ) -> Result<[Trial; 2], LbfgsError<E>> {
        let reach = max_abs(self.direction);
        let mut low = lower(&ends);
        let mut was_close = false;
        while left > 0 && (ends[1].t - ends[0].t).abs() * reach >= self.tolerance {
            let t = inside(&ends, &mut was_close);
            let trial = self.trial(t, objective)?;
            left -= 1;
            let high = 1 - low;
            if conditions.is_too_high(&trial) || trial.loss >= ends[low].loss {
                ends[high] = trial;
                low = lower(&ends);
                continue;
            }
            let found = conditions.is_flat_enough(&trial);
            if !found && trial.slope * (ends[high].t - ends[low].t) >= 0.0 {
                ends.swap(low, high);
            }
            ends[low] = trial;
            if found {
                break;
            }
        }
        Ok(ends)
    }
}

/// Which end is the lower one?
fn lower(ends: &[Trial; 2]) -> usize {
    usize::from(ends[0].loss > ends[1].loss)
}

/// The next trial in a bracket: where the cubic is least, but away from the ends if the last
/// trial was close to one, too, or this one is not inside.
fn inside(ends: &[Trial; 2], was_close: &mut bool) -> f64 {
    let (min, max) = (ends[0].t.min(ends[1].t), ends[0].t.max(ends[1].t));
    let t = cubic_minimum(&ends[0], &ends[1], [min, max]);
    let margin = MARGIN * (max - min);
    let is_close = (max - t).min(t - min) < margin;
    let must_move = is_close && (*was_close || t >= max || t <= min);
    *was_close = is_close && !must_move;
    if !must_move {
        t
    } else if (t - max).abs() < (t - min).abs() {
        max - margin
    } else {
        min + margin
    }
}

/// Where the cubic through both losses and slopes is least, within bounds; the middle of the bounds
/// if it has no minimum, or a loss is not finite. **Source** Nocedal and Wright, eq. 3.59.
fn cubic_minimum(a: &Trial, b: &Trial, [min, max]: [f64; 2]) -> f64 {
    let (a, b) = if a.t <= b.t { (a, b) } else { (b, a) };
    let d1 = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.t - b.t);
    let square = d1 * d1 - a.slope * b.slope;
    if !(square >= 0.0 && square.is_finite()) {
        return (min + max) / 2.0;
    }
    let d2 = square.sqrt();
    let t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2));
    t.max(min).min(max)
}
