//! Adam and AdamW.

use pleach_ops::prelude::*;

use crate::error::{at_least_zero, below_one};
use crate::options::has;
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// Adam. `m ← β₁m + (1-β₁)g`, `v ← β₂v + (1-β₂)g²`, `θ ← θ - lr · m̂ / (√v̂ + ε)` with
/// `m̂ = m / (1-β₁ᵗ)`, `v̂ = v / (1-β₂ᵗ)`.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | per update, at least 0 |
/// | β₁, β₂ | `betas` | 0.9, 0.999 | in `[0, 1)`, decay per update; a schedule may move β₁ |
/// | ε | `eps` | 1e-8 | at least 0, outside of the root and of the bias correction |
///
/// State: 2 tensors per parameter (8 bytes/parameter in f32), 3 with AMSGrad. `t` counts the
/// updates of the optimizer: a parameter that joins later is corrected as if it had been there
/// from the start, with moments of 0.
///
/// **Numerics** rate and bias corrections are computed in f64 and rounded once to the type of the
/// parameter. Agrees with PyTorch to 1e-9 over 50 updates in f64.
///
/// **Source** Kingma and Ba, ICLR 2015, Alg. 1; the form is that of PyTorch's `Adam`.
pub type Adam = Descent<AdamRule<false>>;

/// Adam with decoupled weight decay, 0.01 if nothing is said: `θ ← θ - lr · λθ` beside the update
/// of [`Adam`], whose moments do not see the decay.
///
/// **Source** Loshchilov and Hutter, ICLR 2019, Alg. 2.
pub type AdamW = Descent<AdamRule<true>>;

/// The rule of [`Adam`] and, if `W`, [`AdamW`]: they differ in name and decay alone.
#[derive(Clone, Debug)]
pub struct AdamRule<const W: bool> {
    betas: [f64; 2],
    eps: f64,
    amsgrad: bool,
}

impl<const W: bool> Default for AdamRule<W> {
    fn default() -> Self {
        AdamRule { betas: [0.9, 0.999], eps: 1e-8, amsgrad: false }
    }
}

impl Adam {
    /// At this rate per update, with β₁ = 0.9, β₂ = 0.999, ε = 1e-8.
    pub fn new(rate: impl Into<Rate>) -> Adam {
        Descent::of(AdamRule::default(), rate)
    }
}

impl AdamW {
    /// At this rate per update, with decay 0.01 and the defaults of [`Adam`].
    pub fn new(rate: impl Into<Rate>) -> AdamW {
        Descent::of(AdamRule::default(), rate).decoupled().weight_decay(0.01)
    }
}

impl<const W: bool> Descent<AdamRule<W>> {
    /// AMSGrad: the largest `v` so far stands for `v` in the update. One more tensor per parameter.
    ///
    /// **Source** Reddi, Kale and Kumar, ICLR 2018, Alg. 2, with bias corrections as in PyTorch.
    #[must_use]
    pub fn amsgrad(self) -> Self {
        self.map(|rule| rule.amsgrad = true)
    }
}

has!(AdamRule<false>: betas eps);
has!(AdamRule<true>: betas eps);

impl<const W: bool> Rule for AdamRule<W> {
    const NAME: &'static str = if W { "adamw" } else { "adam" };
    const ABOUT: About = About {
        formula: "`m ← β₁m + (1-β₁)g`, `v ← β₂v + (1-β₂)g²`; `θ ← θ - lr · m̂ / (√v̂ + ε)`",
        source: if W { "Loshchilov and Hutter, ICLR 2019" } else { "Kingma and Ba, ICLR 2015" },
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        let b1 = u.momentum(self.betas[0]);
        let (m, mut v) = moments(u, b1, self.betas[1]);
        if self.amsgrad {
            let largest = u.old("v_max");
            v = u.keep(largest, largest.maximum(v));
        }
        let root = u.correction(u.t.full_like(self.betas[1])).sqrt();
        let denominator = v.sqrt() / u.like(root) + self.eps;
        u.value - u.like(u.rate / u.correction(b1)) * m / denominator
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        check_betas(name, self.betas, self.eps)
    }
}

/// The moments `m ← β₁m + (1-β₁)g` and `v ← β₂v + (1-β₂)g²`, which are kept.
#[track_caller]
pub(crate) fn moments<'g>(u: &Update<'_, 'g>, b1: Var<'g>, b2: f64) -> (Var<'g>, Var<'g>) {
    let (m, v) = (u.old("m"), u.old("v"));
    let first = m * u.like(b1) + u.grad * u.like(1.0 - b1);
    let second = v * b2 + u.grad * u.grad * (1.0 - b2);
    (u.keep(m, first), u.keep(v, second))
}

pub(crate) fn check_betas(name: &str, betas: [f64; 2], eps: f64) -> Result<(), OptimError> {
    below_one(name, "beta 1", betas[0])?;
    below_one(name, "beta 2", betas[1])?;
    at_least_zero(name, "eps", eps)
}
