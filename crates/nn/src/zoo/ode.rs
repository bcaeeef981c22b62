//! A differential equation whose right side is a network, integrated by steps that share it.

use pleach_ops::prelude::*;

use crate::Linear;

/// `h(1)` of `h′ = f(h)`, `h(0) = x`, by `steps` steps of the classical Runge-Kutta method, with
/// `f(h) = tanh(h · w₁ + b₁) · w₂ + b₂`.
///
/// | | shape |
/// |---|---|
/// | `x` | `[.., width]` |
/// | `y` | as `x` |
///
/// Parameters: `2 · width · hidden + hidden + width`, for any number of steps: each step calls the
/// cell four times, and all calls share it. The gradient is that of the steps as they are taken.
///
/// **Source** Chen et al., NeurIPS 2018; here by back-propagation through the steps.
#[derive(Clone, Debug)]
pub struct Ode {
    /// `w₁`, `b₁`.
    pub first: Linear,
    /// `w₂`, `b₂`.
    pub second: Linear,
    /// Number of steps.
    pub steps: usize,
}

impl Ode {
    /// A cell with layers `first` and `second` in scope `p`.
    pub fn new(p: &Params, width: usize, hidden: usize, steps: usize) -> Ode {
        Ode {
            first: Linear::new(&p.scope("first"), width, hidden),
            second: Linear::new(&p.scope("second"), hidden, width),
            steps,
        }
    }

    /// The right side `f(h)`.
    #[track_caller]
    pub fn cell<'g>(&self, h: Var<'g>) -> Var<'g> {
        let _at = h.graph().at();
        self.second.call(self.first.call(h).tanh())
    }

    /// `h(1)` from `h(0) = x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        let dt = 1.0 / self.steps.max(1) as f64;
        let mut h = x;
        for _ in 0..self.steps {
            let k1 = self.cell(h);
            let k2 = self.cell(h + k1 * (dt / 2.0));
            let k3 = self.cell(h + k2 * (dt / 2.0));
            let k4 = self.cell(h + k3 * dt);
            h = h + (k1 + k2 * 2.0 + k3 * 2.0 + k4) * (dt / 6.0);
        }
        h
    }
}
