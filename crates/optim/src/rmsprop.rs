//! RMSprop.

use pleach_ops::prelude::*;

use crate::error::{at_least_zero, below_one};
use crate::options::has;
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// RMSprop. `v ← αv + (1-α)g²`, `d = g / (√v + ε)`, `θ ← θ - lr · d`; with momentum
/// `b ← μb + d`, `θ ← θ - lr · b`. Centered, the variance stands for `v`:
/// `√(v - m²)` with `m ← αm + (1-α)g`.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | per update, at least 0 |
/// | α | `alpha` | 0.99 | in `[0, 1)` |
/// | μ | `momentum` | 0 | at least 0; a schedule may move it |
/// | ε | `eps` | 1e-8 | at least 0, outside of the root |
///
/// State: 1 tensor per parameter (4 bytes/parameter in f32), 1 more with momentum, 1 more if
/// centered.
///
/// **Numerics** a variance that rounding makes negative is 0. Agrees with PyTorch to 1e-9 over 50
/// updates in f64.
///
/// **Source** Tieleman and Hinton 2012, lecture 6.5; centered: Graves, arXiv 1308.0850, eq. 38 to
/// 45; the form is that of PyTorch.
pub type RmsProp = Descent<RmsPropRule>;

/// The rule of [`RmsProp`].
#[derive(Clone, Debug)]
pub struct RmsPropRule {
    alpha: f64,
    momentum: f64,
    eps: f64,
    centered: bool,
}

impl RmsProp {
    /// At this rate per update.
    pub fn new(rate: impl Into<Rate>) -> RmsProp {
        Descent::of(RmsPropRule { alpha: 0.99, momentum: 0.0, eps: 1e-8, centered: false }, rate)
    }

    /// Decay `α` of the mean of squares.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        self.map(|rule| rule.alpha = alpha)
    }

    /// Divides by the standard deviation.
    #[must_use]
    pub fn centered(self) -> Self {
        self.map(|rule| rule.centered = true)
    }
}

has!(RmsPropRule: eps momentum);

impl Rule for RmsPropRule {
    const NAME: &'static str = "rmsprop";
    const ABOUT: About = About {
        formula: "`v ← αv + (1-α)g²`, `b ← μb + g / (√v + ε)`; `θ ← θ - lr · b`; centered: `v - m²` for `v`",
        source: "Tieleman and Hinton 2012, lecture 6.5",
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        let (alpha, rest) = (self.alpha, 1.0 - self.alpha);
        let old = u.old("v");
        let mut v = u.keep(old, old * alpha + u.grad * u.grad * rest);
        if self.centered {
            let old = u.old("m");
            let mean = u.keep(old, old + (u.grad - old) * rest);
            v = (v - mean * mean).maximum(0.0);
        }
        let mut step = u.grad / (v.sqrt() + self.eps);
        if self.momentum != 0.0 {
            let old = u.old("momentum");
            step = u.keep(old, old * u.like(u.momentum(self.momentum)) + step);
        }
        u.value - u.like(u.rate) * step
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        below_one(name, "alpha", self.alpha)?;
        at_least_zero(name, "momentum", self.momentum)?;
        at_least_zero(name, "eps", self.eps)
    }
}
