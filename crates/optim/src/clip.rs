//! Clipping of gradients: by the norm of all, of each, by value.

use pleach_ops::prelude::*;

use crate::error::{above_zero, range};
use crate::optimizer::{like, with_grads};
use crate::{OptimError, Optimizer, Trained};

/// An optimizer on clipped gradients: `g ← g · min(1, max / (‖g‖ + 1e-6))`, where `‖g‖` is the
/// norm over the gradients of all parameters together, Euclidean if no other is asked for
/// (PyTorch's `clip_grad_norm_`).
///
/// **Numerics** powers are summed in the element type of each gradient, then in f64. The 1e-6
/// leaves a clipped norm a little below `max`. A NaN in one gradient makes all of them NaN.
/// State: none of its own.
///
/// **Source** Pascanu, Mikolov, Bengio, ICML 2013, Alg. 1.
///
/// ```
/// use pleach_optim::{Adam, Optimizer};
/// let optimizer = Adam::new(1e-3).clip_norm(1.0);
/// assert!(optimizer.check(&[]).is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct ClipNorm<O> {
    inner: O,
    max: f64,
    order: f64,
}

impl<O> ClipNorm<O> {
    /// `inner` on gradients of norm at most `max`, which must be above 0.
    pub fn new(inner: O, max: f64) -> Self {
        ClipNorm { inner, max, order: 2.0 }
    }

    /// The norm of this order, above 0: `(Σ |g|ᵖ)^(1/p)`, with `∞` the largest.
    #[must_use]
    pub fn order(self, order: f64) -> Self {
        ClipNorm { order, ..self }
    }
}

impl<O: Optimizer> Optimizer for ClipNorm<O> {
    fn check(&self, params: &[&Param]) -> Result<(), OptimError> {
        above_zero("clip_norm", "max", self.max)?;
        range("clip_norm", "order", "above 0", self.order, self.order > 0.0)?;
        self.inner.check(params)
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        let clipped = {
            let _at = g.at_layer("clip_norm");
            let p = self.order;
            let part = |x: Var<'g>| match p {
                2.0 => (x * x).sum_all(),
                f64::INFINITY => x.abs().max_all(),
                _ => x.abs().pow(p).sum_all(),
            };
            let parts = trained.iter().map(|t| part(t.grad).cast(F64));
            let all = match p {
                f64::INFINITY => parts.reduce(|a, b| a.maximum(b)),
                2.0 => parts.reduce(|a, b| a + b).map(Var::sqrt),
                _ => parts.reduce(|a, b| a + b).map(|sum| sum.pow(p.recip())),
            };
            let Some(norm) = all else { return Vec::new() };
            let factor = (self.max / (norm + 1e-6)).minimum(1.0);
            with_grads(trained, |p| p.grad * like(factor, p))
        };
        self.inner.update(g, &clipped)
    }

    fn loss_scale<'g>(&self, g: &'g Graph, param: &Param) -> Option<Var<'g>> {
        self.inner.loss_scale(g, param)
    }
}

/// An optimizer on gradients each of which is clipped alone: `g ← g · min(1, max / (‖g‖ + 1e-6))`.
#[derive(Clone, Debug)]
pub struct ClipEach<O> {
    inner: O,
    max: f64,
}

impl<O> ClipEach<O> {
    /// `inner` on gradients of Euclidean norm at most `max`, which must be above 0.
    pub fn new(inner: O, max: f64) -> Self {
        ClipEach { inner, max }
    }
}

impl<O: Optimizer> Optimizer for ClipEach<O> {
    fn check(&self, params: &[&Param]) -> Result<(), OptimError> {
        above_zero("clip_each", "max", self.max)?;
        self.inner.check(params)
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        let clipped = {
            let _at = g.at_layer("clip_each");
            with_grads(trained, |p| {
                let norm = (p.grad * p.grad).sum_all().sqrt().cast(F64);
                p.grad * like((self.max / (norm + 1e-6)).minimum(1.0), p)
            })
        };
        self.inner.update(g, &clipped)
    }

    fn loss_scale<'g>(&self, g: &'g Graph, param: &Param) -> Option<Var<'g>> {
        self.inner.loss_scale(g, param)
    }
}

/// An optimizer on gradients whose elements are clamped to `[-max, max]` (PyTorch's
/// `clip_grad_value_`). A NaN stays.
#[derive(Clone, Debug)]
pub struct ClipValue<O> {
    inner: O,
    max: f64,
}

impl<O> ClipValue<O> {
    /// `inner` on gradients whose elements are at most `max`, which must be above 0.
    pub fn new(inner: O, max: f64) -> Self {
        ClipValue { inner, max }
    }
}

impl<O: Optimizer> Optimizer for ClipValue<O> {
    fn check(&self, params: &[&Param]) -> Result<(), OptimError> {
        above_zero("clip_value", "max", self.max)?;
        self.inner.check(params)
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        let clipped = {
            let _at = g.at_layer("clip_value");
            with_grads(trained, |p| p.grad.clamp(-self.max, self.max))
        };
        self.inner.update(g, &clipped)
    }

    fn loss_scale<'g>(&self, g: &'g Graph, param: &Param) -> Option<Var<'g>> {
        self.inner.loss_scale(g, param)
    }
}
