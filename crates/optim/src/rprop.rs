//! Resilient backpropagation.

use pleach_ops::prelude::*;

use crate::error::{above_zero, range};
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// Rprop: a step size `η` for each element, which grows while the sign of the gradient stays and
/// shrinks when it turns. `η ← clamp(η · {η₊, η₋, 1})` by the sign of `g · g'` with the gradient
/// `g'` before; where it turned `g ← 0`; `θ ← θ - η sign g`. For whole batches.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | the first `η`, at least 0; of later ones only 0 has an effect |
/// | η₋, η₊ | `factors` | 0.5, 1.2 | `0 < η₋ < 1 < η₊` |
/// | | `bounds` | 1e-6, 50 | of `η` |
///
/// State: 2 tensors per parameter (8 bytes/parameter in f32).
///
/// **Numerics** agrees with PyTorch to 1e-9 over 50 updates in f64.
///
/// **Source** Riedmiller and Braun, ICNN 1993; the form is that of PyTorch's `Rprop`.
pub type Rprop = Descent<RpropRule>;

/// The rule of [`Rprop`].
#[derive(Clone, Debug)]
pub struct RpropRule {
    factors: [f64; 2],
    bounds: [f64; 2],
}

impl Rprop {
    /// With this first step size.
    pub fn new(rate: impl Into<Rate>) -> Rprop {
        Descent::of(RpropRule { factors: [0.5, 1.2], bounds: [1e-6, 50.0] }, rate)
    }

    /// Factors of the step size when the gradient turns, and while it does not.
    #[must_use]
    pub fn factors(self, turned: f64, stays: f64) -> Self {
        self.map(|rule| rule.factors = [turned, stays])
    }

    /// The least and the largest step size.
    #[must_use]
    pub fn bounds(self, least: f64, largest: f64) -> Self {
        self.map(|rule| rule.bounds = [least, largest])
    }
}

impl Rule for RpropRule {
    const NAME: &'static str = "rprop";
    const ABOUT: About = About {
        formula: "`η ← clamp(η · {η₊, η₋, 1})` by the sign of `g · g'`, `g ← 0` where it turned; `θ ← θ - η sign g`",
        source: "Riedmiller and Braun, ICNN 1993",
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        let (size, before) = (u.old("size"), u.old("gradient"));
        let first = u.t.equal(0.0).select(u.like(u.rate), size);
        let turn = u.grad * before;
        let turned = turn.less(0.0);
        let [shrink, grow] = self.factors;
        let factor = turned.select(shrink, turn.greater(0.0).select(turn.full_like(grow), 1.0));
        let [least, largest] = self.bounds;
        let eta = u.keep(size, (first * factor).maximum(least).minimum(largest));
        let grad = u.keep(before, turned.select(0.0, u.grad));
        // A rate of 0 stops the parameter, whatever its step size is.
        let moves = u.like(u.rate.greater(0.0).cast(F64));
        u.value - eta * moves * grad.sign()
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        let [shrink, grow] = self.factors;
        above_zero(name, "factor of a turn", shrink)?;
        range(name, "factor of a turn", "below 1", shrink, shrink < 1.0)?;
        range(name, "factor of growth", "above 1", grow, grow > 1.0 && grow.is_finite())?;
        let [least, largest] = self.bounds;
        above_zero(name, "least step size", least)?;
        range(name, "largest step size", "at least the least", largest, largest >= least)
    }
}
