//! Clipping by the global norm.

use pleach_ops::prelude::*;

use crate::error::range;
use crate::rate::like;
use crate::{OptimError, Optimizer, Trained};

/// An optimizer on clipped gradients: `g ← g · min(1, max / (‖g‖ + 1e-6))`, where `‖g‖` is the
/// Euclidean norm over the gradients of all parameters together (PyTorch's `clip_grad_norm_`).
///
/// **Numerics** squares are summed in the element type of each gradient, then in f64. The 1e-6
/// leaves a clipped norm a little below `max`. A NaN in one gradient makes all of them NaN.
/// State: none of its own.
///
/// **Source** Pascanu, Mikolov, Bengio, ICML 2013, Alg. 1.
///
/// ```
/// use pleach_optim::{Adam, Optimizer};
/// let optimizer = Adam::new(1e-3).clip_norm(1.0);
/// assert!(optimizer.check().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct ClipNorm<O> {
    inner: O,
    max: f64,
}

impl<O> ClipNorm<O> {
    /// `inner` on gradients of norm at most `max`, which must be above 0.
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
        let clipped: Vec<Trained<'g>> = {
            let _at = g.at_layer("clip_norm");
            let squares = trained.iter().map(|p| (p.grad * p.grad).sum_all().cast(F64));
            let Some(norm) = squares.reduce(|a, b| a + b).map(Var::sqrt) else { return };
            let factor = (self.max / (norm + 1e-6)).minimum(1.0);
            let clip = |p: &Trained<'g>| Trained { grad: p.grad * like(factor, p), ..p.clone() };
            trained.iter().map(clip).collect()
        };
        self.inner.update(g, &clipped);
    }
}
