//! Adagrad.

use pleach_ops::prelude::*;

use crate::error::at_least_zero;
use crate::options::has;
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// Adagrad. `s ← s + g²`, `θ ← θ - lr / (1 + tη) · g / (√s + ε)`, where `t` updates came before.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | per update, at least 0 |
/// | η | `rate_decay` | 0 | at least 0 |
/// | | `initial` | 0 | what `s` begins with, at least 0 |
/// | ε | `eps` | 1e-10 | at least 0 |
///
/// State: 1 tensor per parameter (4 bytes/parameter in f32).
///
/// **Numerics** agrees with PyTorch to 1e-9 over 50 updates in f64. Where a gradient has been 0
/// from the start and ε = 0, the update is NaN, as PyTorch's.
///
/// **Source** Duchi, Hazan and Singer, JMLR 12 (2011), Alg. 1; the form is that of PyTorch.
pub type Adagrad = Descent<AdagradRule>;

/// The rule of [`Adagrad`].
#[derive(Clone, Debug)]
pub struct AdagradRule {
    rate_decay: f64,
    initial: f64,
    eps: f64,
}

impl Adagrad {
    /// At this rate per update.
    pub fn new(rate: impl Into<Rate>) -> Adagrad {
        Descent::of(AdagradRule { rate_decay: 0.0, initial: 0.0, eps: 1e-10 }, rate)
    }

    /// Decay `η` of the rate with the updates made; at least 0.
    #[must_use]
    pub fn rate_decay(self, decay: f64) -> Self {
        self.map(|rule| rule.rate_decay = decay)
    }

    /// What the sum of squares begins with; at least 0.
    #[must_use]
    pub fn initial(self, initial: f64) -> Self {
        self.map(|rule| rule.initial = initial)
    }
}

has!(AdagradRule: eps);

impl Rule for AdagradRule {
    const NAME: &'static str = "adagrad";
    const ABOUT: About = About {
        formula: "`s ← s + g²`; `θ ← θ - lr / (1 + tη) · g / (√s + ε)`",
        source: "Duchi, Hazan and Singer, JMLR 12 (2011)",
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        let old = u.old_from("sum", self.initial);
        let sum = u.keep(old, old + u.grad * u.grad);
        let rate = u.rate / (u.t * self.rate_decay + 1.0);
        u.value - u.like(rate) * u.grad / (sum.sqrt() + self.eps)
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        at_least_zero(name, "rate decay", self.rate_decay)?;
        at_least_zero(name, "initial sum", self.initial)?;
        at_least_zero(name, "eps", self.eps)
    }
}
