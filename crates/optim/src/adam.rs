//! Adam and AdamW.

use pleach_ops::prelude::*;

use crate::error::{at_least_zero, below_one};
use crate::rate::like;
use crate::{OptimError, Optimizer, Rate, Trained};

/// Adam. `m ← β₁m + (1-β₁)g`, `v ← β₂v + (1-β₂)g²`, `θ ← θ - lr · m̂ / (√v̂ + ε)` with
/// `m̂ = m / (1-β₁ᵗ)`, `v̂ = v / (1-β₂ᵗ)`.
///
/// State: 2 tensors per parameter + 1 step counter (8 bytes/parameter in f32).
///
/// **Source** Kingma and Ba, ICLR 2015, Alg. 1.
#[derive(Clone, Debug)]
pub struct Adam {
    name: String,
    rate: Rate,
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
    decoupled: bool,
}

impl Adam {
    /// At this rate per update, with β₁ = 0.9, β₂ = 0.999, ε = 1e-8.
    pub fn new(rate: impl Into<Rate>) -> Adam {
        Adam {
            name: "adam".into(),
            rate: rate.into(),
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            decoupled: false,
        }
    }

    /// Prefix of its slots, `adam` if nothing is said: two optimizers of one model need two.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Decay of the two moments, each in `[0, 1)`.
    #[must_use]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        self.betas = [beta1, beta2];
        self
    }

    /// What keeps the denominator from zero; at least 0.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }

    /// L2 penalty `λ`, added to the gradient as `λθ` (see [`AdamW`] for decoupled decay).
    #[must_use]
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.weight_decay = decay;
        self
    }
}

impl Optimizer for Adam {
    fn check(&self) -> Result<(), OptimError> {
        self.rate.check(&self.name)?;
        below_one(&self.name, "beta 1", self.betas[0])?;
        below_one(&self.name, "beta 2", self.betas[1])?;
        at_least_zero(&self.name, "eps", self.eps)?;
        at_least_zero(&self.name, "weight decay", self.weight_decay)
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) {
        let Some(first) = trained.first() else { return };
        let clock = self.rate.clock(g, &self.name, &first.param);
        let [b1, b2] = self.betas;
        // 1 - βᵗ with t counted from 1; with β = 0 there is nothing to correct.
        let correction = |beta: f64| match beta {
            0.0 => clock.t.full_like(1.0),
            beta => 1.0 - ((clock.t + 1.0) * beta.ln()).exp(),
        };
        let step_size = clock.rate / correction(b1);
        let root = correction(b2).sqrt();
        for p in trained {
            let slot = |moment: &str| {
                let name = format!("{}.{moment}", self.name);
                p.param.slot(&name, p.param.ty().clone(), Init::zeros())
            };
            let (slot_m, slot_v) = (slot("m"), slot("v"));
            let (mut value, mut grad) = (p.value, p.grad);
            if self.weight_decay != 0.0 {
                if self.decoupled {
                    value = value * like(1.0 - clock.rate * self.weight_decay, p);
                } else {
                    grad = grad + value * self.weight_decay;
                }
            }
            let m = g.raw_param(&slot_m) * b1 + grad * (1.0 - b1);
            let v = g.raw_param(&slot_v) * b2 + grad * grad * (1.0 - b2);
            g.assign_param(&slot_m, m);
            g.assign_param(&slot_v, v);
            let denominator = v.sqrt() / like(root, p) + self.eps;
            g.assign_param(&p.param, value - like(step_size, p) * m / denominator);
        }
    }
}

/// Adam with decoupled weight decay: `θ ← θ - lr · λθ` beside the update of [`Adam`], whose
/// moments do not see the decay.
///
/// State: 2 tensors per parameter + 1 step counter (8 bytes/parameter in f32).
///
/// **Source** Loshchilov and Hutter, ICLR 2019, Alg. 2.
#[derive(Clone, Debug)]
pub struct AdamW(Adam);

impl AdamW {
    /// At this rate per update, with decay 0.01 and the defaults of [`Adam`].
    pub fn new(rate: impl Into<Rate>) -> AdamW {
        AdamW(Adam { decoupled: true, weight_decay: 0.01, ..Adam::new(rate).named("adamw") })
    }

    /// See [`Adam::named`].
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        AdamW(self.0.named(name))
    }

    /// See [`Adam::betas`].
    #[must_use]
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        AdamW(self.0.betas(beta1, beta2))
    }

    /// See [`Adam::eps`].
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        AdamW(self.0.eps(eps))
    }

    /// The decay `λ` per update and unit of rate; at least 0.
    #[must_use]
    pub fn weight_decay(self, decay: f64) -> Self {
        AdamW(self.0.weight_decay(decay))
    }
}

impl Optimizer for AdamW {
    fn check(&self) -> Result<(), OptimError> {
        self.0.check()
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) {
        self.0.update(g, trained);
    }
}
