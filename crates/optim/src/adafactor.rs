//! Adafactor.

use pleach_ops::prelude::*;

use crate::error::{above_zero, at_least_zero, range};
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// Adafactor: second moments as the product of a row and a column. For a matrix of `n` columns,
/// with `b = tᵈ` (`t` counted from 1), `R ← R + b(mean of g² over columns - R)`,
/// `C ← C + b(mean over rows - C)`, `V = R C / mean(R)`; otherwise `V ← V + b(g² - V)`. Then
/// `u = g / √max(V, ε₁²)`, `θ ← θ - α u / max(1, rms(u)/d)` with `α = max(ε₂, rms(θ)) · min(lr, 1/√t)`.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | the largest relative step, at least 0 |
/// | d | `beta2_decay` | -0.8 | at most 0 |
/// | ε₁, ε₂ | `eps` | that of the type, 1e-3 | above 0; at least 0 |
/// | d | `threshold` | 1 | above 0: bounds the root mean square of `u` |
///
/// Decay is decoupled. State: for a matrix `[.., m, n]` a column and a row (`4(m + n)` bytes in
/// f32, for each matrix of a stack), otherwise 1 tensor per parameter.
///
/// **Numerics** agrees with PyTorch to 1e-9 over 50 updates in f64.
///
/// **Source** Shazeer and Stern, ICML 2018, Alg. 4; the form is that of PyTorch's `Adafactor`.
pub type Adafactor = Descent<AdafactorRule>;

/// The rule of [`Adafactor`].
#[derive(Clone, Debug)]
pub struct AdafactorRule {
    beta2_decay: f64,
    eps: (Option<f64>, f64),
    threshold: f64,
}

impl Adafactor {
    /// With this largest relative step.
    pub fn new(rate: impl Into<Rate>) -> Adafactor {
        let rule = AdafactorRule { beta2_decay: -0.8, eps: (None, 1e-3), threshold: 1.0 };
        Descent::of(rule, rate).decoupled()
    }

    /// Power of `t` in the decay of second moments; at most 0.
    #[must_use]
    pub fn beta2_decay(self, decay: f64) -> Self {
        self.map(|rule| rule.beta2_decay = decay)
    }

    /// The root of the least second moment (if none is said, the machine epsilon of the type), and
    /// the least scale of a parameter.
    #[must_use]
    pub fn eps(self, moment: Option<f64>, scale: f64) -> Self {
        self.map(|rule| rule.eps = (moment, scale))
    }

    /// Above which the root mean square of an update is clipped.
    #[must_use]
    pub fn threshold(self, threshold: f64) -> Self {
        self.map(|rule| rule.threshold = threshold)
    }
}

impl Rule for AdafactorRule {
    const NAME: &'static str = "adafactor";
    const ABOUT: About = About {
        formula: "`V = R C / mean R` (means of `g²` over columns and rows), `u = g / √max(V, ε₁²)`; `θ ← θ - max(ε₂, rms θ) min(lr, 1/√t) · u / max(1, rms(u)/d)`",
        source: "Shazeer and Stern, ICML 2018",
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        let ty = u.param.ty();
        let eps = self.eps.0.unwrap_or(u.value.dtype().epsilon());
        let t = u.t + 1.0;
        let weight = u.like((t.ln() * self.beta2_decay).exp());
        let follow = |old: Var<'g>, x: Var<'g>| u.keep(old, old + (x - old) * weight);
        let squares = u.grad * u.grad;
        let rank = ty.rank();
        let variance = if rank > 1 {
            let mut shape = ty.shape().to_vec();
            let (rows, columns) = (shape[rank - 2], shape[rank - 1]);
            shape[rank - 1] = 1;
            let row = u.old_shaped("row", &*shape);
            shape[rank - 2] = 1;
            shape[rank - 1] = columns;
            let column = u.old_shaped("column", &*shape);
            let row = follow(row, squares.sum(Keep(-1)) / columns as f64);
            let column = follow(column, squares.sum(Keep(-2)) / rows as f64);
            row * column / row.mean_over(Keep(-2)).maximum(eps)
        } else {
            follow(u.old("v"), squares)
        };
        let step = u.grad / variance.maximum(eps * eps).sqrt();
        let rms = |x: Var<'g>| (x * x).mean().sqrt().cast(F64);
        let clip = (rms(step) / self.threshold).maximum(1.0);
        let slow = u.rate.minimum(1.0 / t.sqrt());
        // The scale is that of the parameter before its decay.
        let scale = rms(u.like(u.graph.raw_param(u.param))).maximum(self.eps.1);
        u.value - u.like(scale * slow / clip) * step
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        let decay = self.beta2_decay;
        range(name, "beta 2 decay", "at most 0", decay, decay <= 0.0 && decay.is_finite())?;
        self.eps.0.map_or(Ok(()), |eps| above_zero(name, "eps of moments", eps))?;
        at_least_zero(name, "eps of scales", self.eps.1)?;
        above_zero(name, "threshold", self.threshold)
    }

    fn refuses(&self, ty: &Type) -> Option<&'static str> {
        (ty.numel() == 0).then_some("nothing has no root mean square")
    }
}
