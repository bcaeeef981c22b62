//! Clipping by the global norm.

use pleach_ops::prelude::*;

use crate::error::range;
use crate::{OptimError, Optimizer, Trained};

/// An optimizer on clipped gradients: if the Euclidean norm over all gradients together exceeds
/// `max`, all are scaled by `max / (norm + 1e-6)` (PyTorch's `clip_grad_norm_`).
///
/// **Source** Pascanu, Mikolov, Bengio, ICML 2013, Alg. 1.
#[derive(Clone, Debug)]
pub struct ClipNorm<O> {
    inner: O,
    max: f64,
}

impl<O> ClipNorm<O> {
    /// `inner` on gradients of norm at most `max`.
    pub fn new(inner: O, max: f64) -> Self {
        ClipNorm { inner, max }
    }
}

impl<O: Optimizer> Optimizer for ClipNorm<O> {
    fn check(&self) -> Result<(), OptimError> {
        range("clip_norm", "max", "above 0", self.max, self.max > 0.0 && self.max.is_finite())?;
        self.inner.check()
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) {
        let squares = trained.iter().map(|p| (p.grad * p.grad).sum_all());
        let Some(norm) = squares.reduce(|a, b| a + b.cast(a.dtype())).map(Var::sqrt) else {
            return self.inner.update(g, trained);
        };
        let factor = (norm.full_like(self.max) / (norm + 1e-6)).minimum(1.0);
        let clipped: Vec<Trained<'g>> = trained
            .iter()
            .map(|p| Trained { grad: p.grad * factor.cast(p.grad.dtype()), ..p.clone() })
            .collect();
        self.inner.update(g, &clipped);
    }
}
