//! RAdam.

use pleach_ops::prelude::*;

use crate::adam::{check_betas, moments};
use crate::options::has;
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// RAdam: [`Adam`](crate::Adam), rectified while the variance of its rate is large.
///
/// With `ρ∞ = 2/(1-β₂) - 1` and `ρₜ = ρ∞ - 2tβ₂ᵗ/(1-β₂ᵗ)`: where `ρₜ > 5`,
/// `θ ← θ - lr · m̂ · r √(1-β₂ᵗ) / (√v + ε)` with `r² = (ρₜ-4)(ρₜ-2)ρ∞ / ((ρ∞-4)(ρ∞-2)ρₜ)`, and
/// before that `θ ← θ - lr · m̂`.
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
/// **Source** Liu et al., ICLR 2020, Alg. 2; the form, with ε, is that of PyTorch.
pub type RAdam = Descent<RAdamRule>;

/// The rule of [`RAdam`].
#[derive(Clone, Debug)]
pub struct RAdamRule {
    betas: [f64; 2],
    eps: f64,
}

impl RAdam {
    /// At this rate per update.
    pub fn new(rate: impl Into<Rate>) -> RAdam {
        Descent::of(RAdamRule { betas: [0.9, 0.999], eps: 1e-8 }, rate)
    }
}

has!(RAdamRule: betas eps);

impl Rule for RAdamRule {
    const NAME: &'static str = "radam";
    const ABOUT: About = About {
        formula: "`m`, `v` as Adam; `θ ← θ - lr · m̂ · r √(1-β₂ᵗ) / (√v + ε)` if `ρₜ > 5`, else `θ ← θ - lr · m̂`",
        source: "Liu et al., ICLR 2020",
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        let (b1, b2) = (u.momentum(self.betas[0]), self.betas[1]);
        let (m, v) = moments(u, b1, b2);
        let far = 2.0 / (1.0 - b2) - 1.0;
        let rest = u.correction(u.t.full_like(b2));
        // tβ₂ᵗ, with n = t updates.
        let rho = far - (u.t + 1.0) * 2.0 * (1.0 - rest) / rest;
        let square = (rho - 4.0) * (rho - 2.0) * far / (rho * ((far - 4.0) * (far - 2.0)));
        let rectified = rho.greater(5.0);
        // Where it is not used, the square may be negative: the root is not taken of it.
        let r = (rectified.select(square, 1.0) * rest).sqrt();
        let adaptive = u.like(r) / (v.sqrt() + self.eps);
        let step = rectified.select(adaptive, 1.0);
        u.value - u.like(u.rate / u.correction(b1)) * m * step
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        check_betas(name, self.betas, self.eps)
    }
}
