//! The function that is minimized: counted, checked, and its best point kept.

use super::LbfgsError;

/// A closure that answers a loss and its gradient at a point.
pub(super) trait Evaluate<E>: FnMut(&[f64]) -> Result<(f64, Vec<f64>), E> {}

impl<E, F: FnMut(&[f64]) -> Result<(f64, Vec<f64>), E>> Evaluate<E> for F {}

/// Loss and gradient at a point, of what is minimized.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) loss: f64,
    pub(super) gradient: Vec<f64>,
}

impl Point {
    pub(super) fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.gradient.iter().all(|g| g.is_finite())
    }
}

/// The function during one call.
pub(super) struct Objective<F> {
    evaluate: F,
    maximize: bool,
    pub(super) evaluations: usize,
    best: Option<(f64, Vec<f64>)>,
}

impl<F> Objective<F> {
    pub(super) fn new(evaluate: F, maximize: bool) -> Self {
        Objective { evaluate, maximize, evaluations: 0, best: None }
    }

    /// -1 if the user's function is climbed.
    pub(super) fn sign(&self) -> f64 {
        if self.maximize { -1.0 } else { 1.0 }
    }

    /// The point of the least loss so far.
    pub(super) fn best(&self) -> Option<&[f64]> {
        self.best.as_ref().map(|(_, x)| x.as_slice())
    }

    /// Loss and gradient at `x`, finite or not.
    pub(super) fn at<E>(&mut self, x: &[f64]) -> Result<Point, LbfgsError<E>>
    where
        F: Evaluate<E>,
    {
        self.evaluations += 1;
        let (mut loss, mut gradient) = (self.evaluate)(x).map_err(LbfgsError::Evaluate)?;
        if gradient.len() != x.len() {
            let (expected, got) = (x.len(), gradient.len());
            return Err(LbfgsError::Length { what: "the gradient", expected, got });
        }
        if self.maximize {
            loss = -loss;
            gradient.iter_mut().for_each(|g| *g = -*g);
        }
        let point = Point { loss, gradient };
        if point.is_finite() && self.best.as_ref().is_none_or(|(best, _)| loss < *best) {
            self.best = Some((loss, x.to_vec()));
        }
        Ok(point)
    }

    /// [`at`](Objective::at), where something not finite is an error.
    pub(super) fn finite<E>(&mut self, x: &[f64]) -> Result<Point, LbfgsError<E>>
    where
        F: Evaluate<E>,
    {
        let point = self.at(x)?;
        if point.is_finite() { Ok(point) } else { Err(self.not_finite(&point)) }
    }

    /// The error that the last evaluation is not finite.
    pub(super) fn not_finite<E>(&self, point: &Point) -> LbfgsError<E> {
        let element = point.gradient.iter().position(|g| !g.is_finite());
        let (evaluation, loss) = (self.evaluations, self.sign() * point.loss);
        LbfgsError::NotFinite { evaluation, loss, element }
    }
}
