//! LAMB.

use pleach_ops::prelude::*;

use crate::adam::{check_betas, moments};
use crate::options::has;
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// LAMB: [`Adam`](crate::Adam) with a step as long as the parameter is, for large batches.
/// `r = m̂ / (√v̂ + ε) + λθ`, `θ ← θ - lr · ‖θ‖/‖r‖ · r`, where the ratio is 1 if one of the norms
/// is 0.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | per update, at least 0 |
/// | β₁, β₂ | `betas` | 0.9, 0.999 | in `[0, 1)` |
/// | ε | `eps` | 1e-6 | at least 0 |
/// | λ | `decay_in_ratio` | 0 | at least 0 |
///
/// `λ` is in `r`, so that the ratio bounds it as well; [`weight_decay`](Descent::weight_decay) is
/// an L2 penalty beside it. State: 2 tensors per parameter (8 bytes/parameter in f32).
///
/// **Source** You et al., ICLR 2020, Alg. 2, with `φ(z) = z`.
pub type Lamb = Descent<LambRule>;

/// The rule of [`Lamb`].
#[derive(Clone, Debug)]
pub struct LambRule {
    betas: [f64; 2],
    eps: f64,
    decay: f64,
}

impl Lamb {
    /// At this rate per update.
    pub fn new(rate: impl Into<Rate>) -> Lamb {
        Descent::of(LambRule { betas: [0.9, 0.999], eps: 1e-6, decay: 0.0 }, rate)
    }

    /// Decay `λ` of weights in the step whose length is set; at least 0.
    #[must_use]
    pub fn decay_in_ratio(self, decay: f64) -> Self {
        self.map(|rule| rule.decay = decay)
    }
}

has!(LambRule: betas eps);

impl Rule for LambRule {
    const NAME: &'static str = "lamb";
    const ABOUT: About = About {
        formula: "`r = m̂ / (√v̂ + ε) + λθ`; `θ ← θ - lr · ‖θ‖/‖r‖ · r`",
        source: "You et al., ICLR 2020",
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        let (b1, b2) = (u.momentum(self.betas[0]), self.betas[1]);
        let (m, v) = moments(u, b1, b2);
        let root = u.correction(u.t.full_like(b2)).sqrt();
        let adam = m / u.like(u.correction(b1)) / (v.sqrt() / u.like(root) + self.eps);
        let r = if self.decay == 0.0 { adam } else { adam + u.value * self.decay };
        let norm = |x: Var<'g>| (x * x).sum_all().sqrt().cast(F64);
        let (of_value, of_step) = (norm(u.value), norm(r));
        let both = of_value.greater(0.0).and(of_step.greater(0.0));
        let ratio = both.select(of_value / both.select(of_step, 1.0), 1.0);
        u.value - u.like(u.rate * ratio) * r
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        crate::error::at_least_zero(name, "decay in the ratio", self.decay)?;
        check_betas(name, self.betas, self.eps)
    }
}
