//! Averaged stochastic gradient descent.

use pleach_ops::prelude::*;

use crate::error::at_least_zero;
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// Averaged gradient descent. `η = lr / (1 + λ lr t)^α`, `θ ← θ(1 - λη) - ηg`, and beside it the
/// average `a ← a + (θ - a)μ` with `μ = 1 / max(1, t - t₀)`, where `t` updates came before.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | per update, at least 0 |
/// | λ | `lambda` | 1e-4 | decay, at least 0 |
/// | α | `alpha` | 0.75 | power of the decay of the rate, at least 0 |
/// | t₀ | `start` | 1e6 | updates before the average begins |
///
/// The average is the slot `asgd.average/NAME`: bind it to evaluate with it.
///
/// State: 1 tensor per parameter (4 bytes/parameter in f32).
///
/// **Numerics** `η` and `μ` are rounded to f32, as PyTorch's are. Agrees with PyTorch to 1e-9 over 50
/// updates in f64.
///
/// **Source** Polyak and Juditsky 1992; Bottou 2010; the form is that of PyTorch's `ASGD`.
pub type Asgd = Descent<AsgdRule>;

/// The rule of [`Asgd`].
#[derive(Clone, Debug)]
pub struct AsgdRule {
    lambda: f64,
    alpha: f64,
    start: f64,
}

impl Asgd {
    /// At this rate per update.
    pub fn new(rate: impl Into<Rate>) -> Asgd {
        Descent::of(AsgdRule { lambda: 1e-4, alpha: 0.75, start: 1e6 }, rate)
    }

    /// Decay `λ` of weights and rate.
    #[must_use]
    pub fn lambda(self, lambda: f64) -> Self {
        self.map(|rule| rule.lambda = lambda)
    }

    /// Power `α` of the decay of the rate.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        self.map(|rule| rule.alpha = alpha)
    }

    /// Updates `t₀` before the average begins.
    #[must_use]
    pub fn start(self, start: f64) -> Self {
        self.map(|rule| rule.start = start)
    }
}

impl Rule for AsgdRule {
    const NAME: &'static str = "asgd";
    const ABOUT: About = About {
        formula: "`η = lr / (1 + λ lr t)^α`; `θ ← θ(1 - λη) - ηg`; `a ← a + (θ - a) / max(1, t - t₀)`",
        source: "Polyak and Juditsky 1992",
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        let slowed = (u.rate * u.t * self.lambda + 1.0).ln() * self.alpha;
        // Rates and weights are rounded to f32, as PyTorch's.
        let single = |x: Var<'g>| x.cast(F32).cast(F64);
        let eta = single(u.rate / slowed.exp());
        let new = u.value * u.like(1.0 - eta * self.lambda) - u.like(eta) * u.grad;
        let weight = single(1.0 / (u.t - self.start).maximum(1.0));
        let old = u.old("average");
        let average = old + (new - old) * u.like(weight);
        u.keep(old, weight.equal(1.0).select(new, average));
        new
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        at_least_zero(name, "lambda", self.lambda)?;
        at_least_zero(name, "alpha", self.alpha)?;
        at_least_zero(name, "start", self.start)
    }
}
