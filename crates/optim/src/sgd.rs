//! Stochastic gradient descent, with momentum.

use pleach_ops::prelude::*;

use crate::error::{at_least_zero, range};
use crate::options::has;
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// Gradient descent. `b ← μb + (1-τ)g` (at first `b ← g`), `θ ← θ - lr · b`; with Nesterov's
/// momentum `θ ← θ - lr · (g + μb)`; without momentum `θ ← θ - lr · g`.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | per update, at least 0 |
/// | μ | `momentum` | 0 | at least 0, per update; a schedule may move it |
/// | τ | `dampening` | 0 | |
///
/// State: with momentum 1 tensor per parameter (4 bytes/parameter in f32), without none. "At
/// first" is the first update of the optimizer: the momentum of a parameter that joins later
/// begins at 0, dampened. A schedule moves the momentum only if there is one.
///
/// **Numerics** the rate is computed in f64 and rounded once to the type of the parameter. Agrees
/// with PyTorch to 1e-9 over 50 updates in f64.
///
/// **Source** Sutskever et al., ICML 2013; the form is that of PyTorch's `SGD`.
pub type Sgd = Descent<SgdRule>;

/// The rule of [`Sgd`].
#[derive(Clone, Debug, Default)]
pub struct SgdRule {
    momentum: f64,
    dampening: f64,
    nesterov: bool,
}

impl Sgd {
    /// Plain gradient descent at this rate per update.
    pub fn new(rate: impl Into<Rate>) -> Sgd {
        Descent::of(SgdRule::default(), rate)
    }

    /// Dampening `τ` of the gradient in the momentum.
    #[must_use]
    pub fn dampening(self, dampening: f64) -> Self {
        self.map(|rule| rule.dampening = dampening)
    }

    /// Nesterov's momentum; wants momentum above 0 and no dampening.
    #[must_use]
    pub fn nesterov(self) -> Self {
        self.map(|rule| rule.nesterov = true)
    }
}

has!(SgdRule: momentum);

impl Rule for SgdRule {
    const NAME: &'static str = "sgd";
    const ABOUT: About = About {
        formula: "`b ← μb + (1-τ)g`, at first `b ← g`; `θ ← θ - lr · b`, Nesterov `θ ← θ - lr · (g + μb)`",
        source: "Sutskever et al., ICML 2013",
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        if self.momentum == 0.0 {
            return u.value - u.like(u.rate) * u.grad;
        }
        let momentum = u.like(u.momentum(self.momentum));
        let old = u.old("momentum");
        let mut b = old * momentum + u.grad * (1.0 - self.dampening);
        if self.dampening != 0.0 {
            // The first momentum is the gradient, undampened.
            b = u.t.equal(0.0).select(u.grad, b);
        }
        u.keep(old, b);
        let step = if self.nesterov { u.grad + b * momentum } else { b };
        u.value - u.like(u.rate) * step
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        at_least_zero(name, "momentum", self.momentum)?;
        let finite = self.dampening.is_finite();
        range(name, "dampening", "finite", self.dampening, finite)?;
        if self.nesterov && (self.momentum <= 0.0 || self.dampening != 0.0) {
            let reason = "Nesterov's momentum wants momentum above 0 and no dampening";
            return Err(OptimError::Conflict { optimizer: name.into(), reason });
        }
        Ok(())
    }
}
