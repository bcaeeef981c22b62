//! Stochastic gradient descent, with momentum.

use pleach_ops::prelude::*;

use crate::error::{at_least_zero, range};
use crate::rate::like;
use crate::{OptimError, Optimizer, Rate, Trained};

/// Gradient descent. `g ← g + λθ`, `b ← μb + (1-τ)g` (at first `b ← g`), `θ ← θ - lr · b`; with
/// Nesterov's momentum `θ ← θ - lr · (g + μb)`; without momentum `θ ← θ - lr · g`.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | per update, at least 0 |
/// | μ | `momentum` | 0 | at least 0, per update |
/// | τ | `dampening` | 0 | |
/// | λ | `weight_decay` | 0 | at least 0, per update |
///
/// State: with momentum 1 tensor per parameter (4 bytes/parameter in f32), without none; 1 rate
/// and 1 step counter (16 bytes in all). "At first" is the first update of the optimizer: the
/// momentum of a parameter that joins later begins at 0, dampened.
///
/// **Numerics** the rate is computed in f64 and rounded once to the type of the parameter. Agrees
/// with PyTorch to 1e-9 over 50 updates in f64.
///
/// **Source** Sutskever et al., ICML 2013; the form is that of PyTorch's `SGD`.
#[derive(Clone, Debug)]
pub struct Sgd {
    name: String,
    rate: Rate,
    momentum: f64,
    dampening: f64,
    nesterov: bool,
    weight_decay: f64,
    maximize: bool,
}

impl Sgd {
    /// Plain gradient descent at this rate per update.
    pub fn new(rate: impl Into<Rate>) -> Sgd {
        Sgd {
            name: "sgd".into(),
            rate: rate.into(),
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            maximize: false,
        }
    }

    /// Prefix of its slots, `sgd` if nothing is said (`sgd.rate`, `sgd.momentum/hidden.w`). Two
    /// optimizers over one state need two.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Momentum `μ`, at least 0.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Dampening `τ` of the gradient in the momentum.
    #[must_use]
    pub fn dampening(mut self, dampening: f64) -> Self {
        self.dampening = dampening;
        self
    }

    /// Nesterov's momentum; wants momentum above 0 and no dampening.
    #[must_use]
    pub fn nesterov(mut self) -> Self {
        self.nesterov = true;
        self
    }

    /// L2 penalty `λ`, added to the gradient as `λθ`; at least 0.
    #[must_use]
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.weight_decay = decay;
        self
    }

    /// Climbs instead of descending.
    #[must_use]
    pub fn maximize(mut self) -> Self {
        self.maximize = true;
        self
    }
}

impl Optimizer for Sgd {
    fn check(&self) -> Result<(), OptimError> {
        self.rate.check(&self.name)?;
        at_least_zero(&self.name, "momentum", self.momentum)?;
        at_least_zero(&self.name, "weight decay", self.weight_decay)?;
        let finite = self.dampening.is_finite();
        range(&self.name, "dampening", "finite", self.dampening, finite)?;
        if self.nesterov && (self.momentum <= 0.0 || self.dampening != 0.0) {
            let reason = "Nesterov's momentum wants momentum above 0 and no dampening";
            return Err(OptimError::Conflict { optimizer: self.name.clone(), reason });
        }
        Ok(())
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) {
        let Some(first) = trained.first() else { return };
        let _at = g.at_layer(&self.name);
        let clock = self.rate.clock(g, &self.name, &first.param);
        // The first momentum is the gradient, undampened.
        let fresh = clock.t.equal(0.0);
        for p in trained {
            let mut grad = if self.maximize { -p.grad } else { p.grad };
            if self.weight_decay != 0.0 {
                grad = grad + p.value * self.weight_decay;
            }
            if self.momentum != 0.0 {
                let slot = p.param.slot(
                    &format!("{}.momentum", self.name),
                    p.param.ty().clone(),
                    Init::zeros(),
                );
                let old = g.raw_param(&slot) * self.momentum;
                let mut momentum = old + grad * (1.0 - self.dampening);
                if self.dampening != 0.0 {
                    momentum = fresh.select(grad, momentum);
                }
                g.assign_param(&slot, momentum);
                grad = if self.nesterov { grad + momentum * self.momentum } else { momentum };
            }
            g.assign_param(&p.param, p.value - like(clock.rate, p) * grad);
        }
    }
}
