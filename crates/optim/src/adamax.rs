//! Adamax.

use pleach_ops::prelude::*;

use crate::adam::check_betas;
use crate::options::has;
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// Adamax: [`Adam`](crate::Adam) by the largest gradient. `m ← β₁m + (1-β₁)g`,
/// `u ← max(β₂u, |g| + ε)`, `θ ← θ - lr / (1-β₁ᵗ) · m / u`.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | per update, at least 0 |
/// | β₁, β₂ | `betas` | 0.9, 0.999 | in `[0, 1)` |
/// | ε | `eps` | 1e-8 | at least 0 |
///
/// State: 2 tensors per parameter (8 bytes/parameter in f32).
///
/// **Numerics** agrees with PyTorch to 1e-9 over 50 updates in f64.
///
/// **Source** Kingma and Ba, ICLR 2015, Alg. 2; the place of ε is PyTorch's.
pub type Adamax = Descent<AdamaxRule>;

/// The rule of [`Adamax`].
#[derive(Clone, Debug)]
pub struct AdamaxRule {
    betas: [f64; 2],
    eps: f64,
}

impl Adamax {
    /// At this rate per update.
    pub fn new(rate: impl Into<Rate>) -> Adamax {
        Descent::of(AdamaxRule { betas: [0.9, 0.999], eps: 1e-8 }, rate)
    }
}

has!(AdamaxRule: betas eps);

impl Rule for AdamaxRule {
    const NAME: &'static str = "adamax";
    const ABOUT: About = About {
        formula: "`m ← β₁m + (1-β₁)g`, `u ← max(β₂u, abs g + ε)`; `θ ← θ - lr / (1-β₁ᵗ) · m / u`",
        source: "Kingma and Ba, ICLR 2015",
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        let b1 = u.momentum(self.betas[0]);
        let (m, largest) = (u.old("m"), u.old("u"));
        let mean = u.keep(m, m * u.like(b1) + u.grad * u.like(1.0 - b1));
        let norm = u.keep(largest, (largest * self.betas[1]).maximum(u.grad.abs() + self.eps));
        u.value - u.like(u.rate / u.correction(b1)) * mean / norm
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        check_betas(name, self.betas, self.eps)
    }
}
