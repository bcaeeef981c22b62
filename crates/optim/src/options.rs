//! Options that several rules have, each with one method for all of them.

use crate::{Descent, Rule};

/// A rule with the decays `β₁, β₂` of two means.
pub trait HasBetas: Rule {
    /// Both, each in `[0, 1)`.
    fn betas_mut(&mut self) -> &mut [f64; 2];
}

/// A rule with an `ε` that keeps a denominator from zero.
pub trait HasEps: Rule {
    /// The number, at least 0.
    fn eps_mut(&mut self) -> &mut f64;
}

/// A rule with a momentum `μ`.
pub trait HasMomentum: Rule {
    /// The momentum, at least 0.
    fn momentum_mut(&mut self) -> &mut f64;
}

impl<R: HasBetas> Descent<R> {
    /// Decays `β₁, β₂` per update, each in `[0, 1)`.
    #[must_use]
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        self.map(|rule| *rule.betas_mut() = [beta1, beta2])
    }
}

impl<R: HasEps> Descent<R> {
    /// What keeps the denominator from zero; at least 0 (above 0 for Adadelta and Muon).
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        self.map(|rule| *rule.eps_mut() = eps)
    }
}

impl<R: HasMomentum> Descent<R> {
    /// Momentum `μ`, at least 0 (in `[0, 1)` for Muon).
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        self.map(|rule| *rule.momentum_mut() = momentum)
    }
}

/// What says where a rule keeps its options: `has!(AdamRule: betas eps)`.
macro_rules! has {
    (@ $rule:ty, betas) => {
        impl crate::HasBetas for $rule {
            fn betas_mut(&mut self) -> &mut [f64; 2] {
                &mut self.betas
            }
        }
    };
    (@ $rule:ty, eps) => {
        impl crate::HasEps for $rule {
            fn eps_mut(&mut self) -> &mut f64 {
                &mut self.eps
            }
        }
    };
    (@ $rule:ty, momentum) => {
        impl crate::HasMomentum for $rule {
            fn momentum_mut(&mut self) -> &mut f64 {
                &mut self.momentum
            }
        }
    };
    ($rule:ty: $($option:ident)*) => {
        $(crate::options::has!(@ $rule, $option);)*
    };
}
pub(crate) use has;
