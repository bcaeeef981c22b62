//! Clipping of gradients: by the norm of all, of each, by value.

use pleach_ops::prelude::*;

use crate::around::like;
use crate::error::{above_zero, range};
use crate::{Around, OptimError, Trained, Wrapped};

/// Gradients scaled down together: `g ← g · min(1, max / (‖g‖ + 1e-6))`, where `‖g‖` is the norm
/// over the gradients of all parameters together, Euclidean if no other [order](Wrapped::order) is
/// asked for (PyTorch's `clip_grad_norm_`).
///
/// **Numerics** powers are summed in the element type of each gradient (f32 if that has 16 bits), then in f64. The 1e-6
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
pub struct ClipNorm {
    pub(crate) max: f64,
    pub(crate) order: f64,
}

impl<O> Wrapped<O, ClipNorm> {
    /// The norm of this order, above 0: `(Σ |g|ᵖ)^(1/p)`, with `∞` the largest.
    #[must_use]
    pub fn order(mut self, order: f64) -> Self {
        self.around.order = order;
        self
    }
}

impl Around for ClipNorm {
    const NAME: &'static str = "clip_norm";

    fn check(&self) -> Result<(), OptimError> {
        above_zero(Self::NAME, "max", self.max)?;
        range(Self::NAME, "order", "above 0", self.order, self.order > 0.0)
    }

    fn before<'g>(&self, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        let p = self.order;
        let part = |x: Var<'g>| match p {
            2.0 => (x * x).sum_all(),
            f64::INFINITY => x.abs().max_all(),
            _ => x.abs().pow(p).sum_all(),
        };
        let parts = trained.iter().map(|t| part(t.grad.wide()).cast(F64));
        let all = match p {
            f64::INFINITY => parts.reduce(|a, b| a.maximum(b)),
            2.0 => parts.reduce(|a, b| a + b).map(Var::sqrt),
            _ => parts.reduce(|a, b| a + b).map(|sum| sum.pow(p.recip())),
        };
        let Some(norm) = all else { return Vec::new() };
        let factor = (self.max / (norm + 1e-6)).minimum(1.0);
        trained.iter().map(|p| p.grad.wide() * like(factor, p)).collect()
    }
}

/// Each gradient scaled down alone: `g ← g · min(1, max / (‖g‖ + 1e-6))`, with its Euclidean norm.
#[derive(Clone, Debug)]
pub struct ClipEach {
    pub(crate) max: f64,
}

impl Around for ClipEach {
    const NAME: &'static str = "clip_each";

    fn check(&self) -> Result<(), OptimError> {
        above_zero(Self::NAME, "max", self.max)
    }

    fn before<'g>(&self, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        let clip = |p: &Trained<'g>| {
            let grad = p.grad.wide();
            let norm = (grad * grad).sum_all().sqrt().cast(F64);
            grad * like((self.max / (norm + 1e-6)).minimum(1.0), p)
        };
        trained.iter().map(clip).collect()
    }
}

/// Elements of gradients clamped to `[-max, max]` (PyTorch's `clip_grad_value_`). A NaN stays.
#[derive(Clone, Debug)]
pub struct ClipValue {
    pub(crate) max: f64,
}

impl Around for ClipValue {
    const NAME: &'static str = "clip_value";

    fn check(&self) -> Result<(), OptimError> {
        above_zero(Self::NAME, "max", self.max)
    }

    fn before<'g>(&self, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        trained.iter().map(|p| p.grad.clamp(-self.max, self.max)).collect()
    }
}
