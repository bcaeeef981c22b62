//! Lion.

use pleach_ops::prelude::*;

use crate::adam::check_betas;
use crate::options::has;
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// Lion. `θ ← θ - lr · sign(β₁m + (1-β₁)g)`, `m ← β₂m + (1-β₂)g`.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | per update, at least 0; 3 to 10 times less than Adam's |
/// | β₁, β₂ | `betas` | 0.9, 0.99 | in `[0, 1)` |
///
/// Decay is decoupled. State: 1 tensor per parameter (4 bytes/parameter in f32). The update does
/// not change when all gradients are multiplied by a positive number.
///
/// **Source** Chen et al., NeurIPS 2023, program 1.
pub type Lion = Descent<LionRule>;

/// The rule of [`Lion`].
#[derive(Clone, Debug)]
pub struct LionRule {
    betas: [f64; 2],
}

impl Lion {
    /// At this rate per update.
    pub fn new(rate: impl Into<Rate>) -> Lion {
        Descent::of(LionRule { betas: [0.9, 0.99] }, rate).decoupled()
    }
}

has!(LionRule: betas);

impl Rule for LionRule {
    const NAME: &'static str = "lion";
    const ABOUT: About = About {
        formula: "`θ ← θ - lr · sign(β₁m + (1-β₁)g)`, `m ← β₂m + (1-β₂)g`",
        source: "Chen et al., NeurIPS 2023",
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        let b1 = u.momentum(self.betas[0]);
        let m = u.old("m");
        let direction = (m * u.like(b1) + u.grad * u.like(1.0 - b1)).sign();
        u.keep(m, m * self.betas[1] + u.grad * (1.0 - self.betas[1]));
        u.value - u.like(u.rate) * direction
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        check_betas(name, self.betas, 0.0)
    }
}
