//! NAdam.

use pleach_ops::prelude::*;

use crate::adam::{check_betas, moments};
use crate::error::at_least_zero;
use crate::options::has;
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// NAdam: [`Adam`](crate::Adam) with Nesterov's momentum, warmed up.
///
/// With `μₜ = β₁(1 - 0.96^(tψ)/2)` and `Πₜ = Π μᵢ` for `i = 1..=t`:
/// `θ ← θ - lr · [(1-μₜ) g / (1-Πₜ) + μₜ₊₁ m / (1-Πₜ₊₁)] / (√v̂ + ε)`.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | per update, at least 0 |
/// | β₁, β₂ | `betas` | 0.9, 0.999 | in `[0, 1)` |
/// | ε | `eps` | 1e-8 | at least 0 |
/// | ψ | `momentum_decay` | 0.004 | at least 0 |
///
/// State: 2 tensors per parameter (8 bytes/parameter in f32), and `Π` (8 bytes in all).
///
/// **Numerics** `Π` is rounded to f32 in each update, as PyTorch's is. Agrees with PyTorch to 1e-9
/// over 50 updates in f64.
///
/// **Source** Dozat, ICLR 2016 workshop; the form is that of PyTorch.
pub type NAdam = Descent<NAdamRule>;

/// The rule of [`NAdam`].
#[derive(Clone, Debug)]
pub struct NAdamRule {
    betas: [f64; 2],
    eps: f64,
    momentum_decay: f64,
}

impl NAdam {
    /// At this rate per update.
    pub fn new(rate: impl Into<Rate>) -> NAdam {
        let rule = NAdamRule { betas: [0.9, 0.999], eps: 1e-8, momentum_decay: 0.004 };
        Descent::of(rule, rate)
    }

    /// How fast the momentum comes to `β₁`; at least 0.
    #[must_use]
    pub fn momentum_decay(self, decay: f64) -> Self {
        self.map(|rule| rule.momentum_decay = decay)
    }
}

has!(NAdamRule: betas eps);

impl Rule for NAdamRule {
    const NAME: &'static str = "nadam";
    const ABOUT: About = About {
        formula: "`m`, `v` as Adam; `θ ← θ - lr · [(1-μₜ) g / (1-Πₜ) + μₜ₊₁ m / (1-Πₜ₊₁)] / (√v̂ + ε)`",
        source: "Dozat, ICLR 2016 workshop",
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        let b1 = u.momentum(self.betas[0]);
        let (m, v) = moments(u, b1, self.betas[1]);
        let mu = |t: Var<'g>| {
            let warm = (t * (self.momentum_decay * 0.96f64.ln())).exp();
            b1 * (1.0 - warm * 0.5)
        };
        let (now, next) = (mu(u.t + 1.0), mu(u.t + 2.0));
        // The product is rounded to f32, as PyTorch's.
        let product = u.shared("product", 1.0).cast(F32) * now.cast(F32);
        let product = product.cast(F64);
        u.keep_shared("product", 1.0, product);
        let of_grad = u.rate * (1.0 - now) / (1.0 - product);
        let of_mean = u.rate * next / (1.0 - product * next);
        let root = u.correction(u.t.full_like(self.betas[1])).sqrt();
        let denominator = v.sqrt() / u.like(root) + self.eps;
        u.value - (u.like(of_grad) * u.grad + u.like(of_mean) * m) / denominator
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        at_least_zero(name, "momentum decay", self.momentum_decay)?;
        check_betas(name, self.betas, self.eps)
    }
}
