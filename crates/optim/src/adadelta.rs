//! Adadelta.

use pleach_ops::prelude::*;

use crate::error::{above_zero, below_one};
use crate::options::has;
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// Adadelta. `v ← ρv + (1-ρ)g²`, `δ = √(a + ε) / √(v + ε) · g`, `a ← ρa + (1-ρ)δ²`,
/// `θ ← θ - lr · δ`.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | per update, at least 0; 1 in the paper |
/// | ρ | `rho` | 0.9 | in `[0, 1)` |
/// | ε | `eps` | 1e-6 | above 0 |
///
/// State: 2 tensors per parameter (8 bytes/parameter in f32).
///
/// **Numerics** agrees with PyTorch to 1e-9 over 50 updates in f64.
///
/// **Source** Zeiler, arXiv 1212.5701, Alg. 1.
pub type Adadelta = Descent<AdadeltaRule>;

/// The rule of [`Adadelta`].
#[derive(Clone, Debug)]
pub struct AdadeltaRule {
    rho: f64,
    eps: f64,
}

impl Adadelta {
    /// At this rate per update.
    pub fn new(rate: impl Into<Rate>) -> Adadelta {
        Descent::of(AdadeltaRule { rho: 0.9, eps: 1e-6 }, rate)
    }

    /// Decay `ρ` of both means of squares.
    #[must_use]
    pub fn rho(self, rho: f64) -> Self {
        self.map(|rule| rule.rho = rho)
    }
}

has!(AdadeltaRule: eps);

impl Rule for AdadeltaRule {
    const NAME: &'static str = "adadelta";
    const ABOUT: About = About {
        formula: "`v ← ρv + (1-ρ)g²`, `δ = √(a + ε) / √(v + ε) · g`, `a ← ρa + (1-ρ)δ²`; `θ ← θ - lr · δ`",
        source: "Zeiler, arXiv 1212.5701",
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        let mean =
            |old: Var<'g>, x: Var<'g>| u.keep(old, old * self.rho + x * x * (1.0 - self.rho));
        let (v, a) = (u.old("v"), u.old("a"));
        let delta = (a + self.eps).sqrt() / (mean(v, u.grad) + self.eps).sqrt() * u.grad;
        mean(a, delta);
        u.value - u.like(u.rate) * delta
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        below_one(name, "rho", self.rho)?;
        above_zero(name, "eps", self.eps)
    }
}
