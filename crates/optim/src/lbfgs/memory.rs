//! What L-BFGS remembers: the last steps, and how the gradient changed over them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::LbfgsError;
use super::vector::{add_scaled, difference, dot, scaled};

/// Pairs whose `sᵀy` is not above it say nothing of curvature, and are left out.
const LEAST_CURVATURE: f64 = 1e-10;

/// The memory of [`Lbfgs`](super::Lbfgs), which goes on from call to call. It can be written and
/// read with serde; resumed in a format that keeps every bit of an `f64`, it gives the same bits.
///
/// It belongs to one function: over another one its curvature is wrong, and it should be a new
/// one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LbfgsMemory {
    /// Directions taken so far.
    pub iterations: u64,
    /// Evaluations made so far.
    pub evaluations: u64,
    /// Oldest first.
    pairs: VecDeque<Pair>,
    /// The last step and the gradient before it: half a pair, until the next gradient is known.
    last: Option<Move>,
}

/// A step `s`, and the change `y` of the gradient over it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The step.
    pub s: Vec<f64>,
    /// The change of the gradient.
    pub y: Vec<f64>,
}

/// A step, and the gradient before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// The step.
    pub step: Vec<f64>,
    /// The gradient before it.
    pub gradient: Vec<f64>,
}

impl LbfgsMemory {
    /// A memory of its parts: `pairs` oldest first, and the last step.
    pub fn new(iterations: u64, evaluations: u64, pairs: Vec<Pair>, last: Option<Move>) -> Self {
        LbfgsMemory { iterations, evaluations, pairs: pairs.into(), last }
    }

    /// Its pairs, oldest first.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = &Pair> {
        self.pairs.iter()
    }

    /// The last step, if nothing is learned from it yet.
    pub fn last(&self) -> Option<&Move> {
        self.last.as_ref()
    }

    /// Is nothing known: is the next step the first one?
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.last.is_none()
    }

    /// Forgets everything but the counts.
    pub fn forget(&mut self) {
        self.pairs.clear();
        self.last = None;
    }

    /// All vectors must have this length.
    pub(super) fn check<E>(&self, expected: usize) -> Result<(), LbfgsError<E>> {
        let pairs = self.pairs.iter().flat_map(|p| [&p.s, &p.y]);
        let last = self.last.iter().flat_map(|m| [&m.step, &m.gradient]);
        match pairs.chain(last).find(|v| v.len() != expected) {
            None => Ok(()),
            Some(v) => Err(LbfgsError::Length { what: "the memory", expected, got: v.len() }),
        }
    }

    /// Completes the last step to a pair; the oldest one goes if there are `history` already.
    pub(super) fn learn(&mut self, gradient: &[f64], history: usize) {
        let Some(last) = self.last.take() else { return };
        let (s, y) = (last.step, difference(gradient, &last.gradient));
        if dot(&y, &s) > LEAST_CURVATURE {
            while self.pairs.len() >= history {
                self.pairs.pop_front();
            }
            self.pairs.push_back(Pair { s, y });
        }
    }

    /// Half a pair.
    pub(super) fn remember(&mut self, step: Vec<f64>, gradient: Vec<f64>) {
        self.last = Some(Move { step, gradient });
    }

    /// `-H g`, by the two-loop recursion. Down the gradient if there are no pairs.
    pub(super) fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut q = scaled(-1.0, gradient);
        let Some(newest) = self.pairs.back() else { return q };
        let mut known = Vec::with_capacity(self.pairs.len());
        for Pair { s, y } in self.pairs.iter().rev() {
            let rho = 1.0 / dot(y, s);
            let alpha = dot(s, &q) * rho;
            add_scaled(&mut q, -alpha, y);
            known.push((rho, alpha));
        }
        let Pair { s, y } = newest;
        let mut r = scaled(dot(y, s) / dot(y, y), &q);
        for (Pair { s, y }, (rho, alpha)) in self.pairs.iter().zip(known.into_iter().rev()) {
            let beta = dot(y, &r) * rho;
            add_scaled(&mut r, alpha - beta, s);
        }
        r
    }
}
