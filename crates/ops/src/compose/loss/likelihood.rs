//! Losses of distributions: divergence, counts, and normals of unknown variance.

use std::f64::consts::TAU;

use super::{Reduction, alike, wrong};
use crate::Var;

options! {
    /// `t·(ln t - x)`, the Kullback-Leibler divergence, for log-probabilities `x` and
    /// probabilities `t` (or their logarithms) of equal shapes.
    ///
    /// A mean over elements is not the divergence: [`batch_mean`](KlDiv::batch_mean) is.
    ///
    /// **Numerics** `0·ln 0 = 0`; the slope of this term by `t` is taken as 0 there. NaN for
    /// negative `t`. **Source** Kullback and Leibler 1951.
    KlDiv
    optional {}
    with {
        /// Is the target the logarithm of probabilities? Then the loss is `exp(t)·(t - x)`.
        log_target: bool = false,
        /// The sum divided by the length of the first axis, whatever `reduction` says.
        batch_mean: bool = false,
        /// What becomes of the elements' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

options! {
    /// `exp(x) - t·x`, the negative log-likelihood of counts `t` with rate `exp(x)`, up to a
    /// constant. Shapes must be equal.
    PoissonNll
    optional {}
    with {
        /// Is `x` the logarithm of the rate? If not, the loss is `x - t·ln(x + eps)`.
        log_input: bool = true,
        /// Adds Stirling's approximation of `ln t!`, `t·ln t - t + ln(2π·t)/2`, where `t > 1`.
        full: bool = false,
        /// Keeps the logarithm of a rate of 0 finite.
        eps: f64 = 1e-8,
        /// What becomes of the elements' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

options! {
    /// `(ln v + (x - t)²/v) / 2`, the negative log-likelihood of `t` under normals of mean `x` and
    /// variance `v`, up to a constant.
    ///
    /// | | shape |
    /// |---|---|
    /// | `x` | any |
    /// | `t` | broadcasts with `x` |
    /// | `v` | broadcasts with `x`; or that of `x` without its last axis, or with 1 there |
    ///
    /// **Numerics** variances are at least `eps` in the value; the gradient by `v` is that at
    /// `max(v, eps)`, also below `eps`, as in PyTorch. Negative variances, which PyTorch refuses,
    /// count as `eps`. **Source** Nix and Weigend 1994.
    GaussianNll
    optional {}
    with {
        /// Adds the constant `ln(2π)/2`.
        full: bool = false,
        /// The least variance, positive.
        eps: f64 = 1e-6,
        /// What becomes of the elements' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

impl KlDiv {
    /// The divergence of the target from the distribution whose logarithm is `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        if let Err(refused) = alike("kl_div", x, &[target]) {
            return refused;
        }
        let losses = if self.log_target {
            target.exp() * (target - x)
        } else {
            let zero = target.equal(0.0);
            let entropy = zero.select(0.0, target * zero.select(1.0, target).ln());
            entropy - target * x
        };
        if self.batch_mean {
            return losses.sum_all() / x.size(0);
        }
        self.reduction.of(losses)
    }
}

impl PoissonNll {
    /// The loss of rates, or their logarithms, against counts.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        if let Err(refused) = alike("poisson_nll", x, &[target]) {
            return refused;
        }
        let t = target.as_float_of(x);
        let mut losses = if self.log_input { x.exp() - t * x } else { x - t * (x + self.eps).ln() };
        if self.full {
            let some = t.greater(1.0);
            let t = some.select(t, 1.0);
            let stirling = t * t.ln() - t + (t * TAU).ln() * 0.5;
            losses = losses + some.select(stirling, 0.0);
        }
        self.reduction.of(losses)
    }
}

impl GaussianNll {
    /// The loss of means `x` and variances `var` against `target`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>, target: Var<'g>, var: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        let all = [x, target, var];
        if all.iter().any(|v| v.ty().is_none()) {
            return x.untyped("gaussian_nll", &all);
        }
        if self.eps.is_nan() || self.eps <= 0.0 {
            return wrong("gaussian_nll", &all, format!("eps must be positive, got {}", self.eps));
        }
        let shape = x.shape();
        let last = shape.rank().saturating_sub(1);
        let one_a_row = shape.rank() > 0 && var.shape() != shape && *var.shape() == shape[..last];
        let var = if one_a_row { var.unsqueeze(-1) } else { var };
        let low = var.less(self.eps).select(-var + self.eps, 0.0);
        let var = var + low.stop_gradient();
        let d = x - target.as_float_of(x);
        let mut losses = (var.ln() + d * d / var) * 0.5;
        if self.full {
            losses = losses + 0.5 * TAU.ln();
        }
        self.reduction.of(losses)
    }
}

impl<'g> Var<'g> {
    /// Mean over elements of `t·(ln t - x)` for log-probabilities, see [`KlDiv`].
    #[track_caller]
    pub fn kl_div(self, target: Var<'g>) -> Var<'g> {
        KlDiv::default().call(self, target)
    }

    /// Mean of `exp(x) - t·x`, see [`PoissonNll`].
    #[track_caller]
    pub fn poisson_nll(self, target: Var<'g>) -> Var<'g> {
        PoissonNll::default().call(self, target)
    }

    /// Mean of `(ln v + (x - t)²/v) / 2`, see [`GaussianNll`].
    #[track_caller]
    pub fn gaussian_nll(self, target: Var<'g>, var: Var<'g>) -> Var<'g> {
        GaussianNll::default().call(self, target, var)
    }
}

#[cfg(test)]
mod tests {
    use crate::loss::*;
    use crate::prelude::*;

    #[test]
    fn a_probability_of_zero_adds_nothing_to_the_divergence() {
        let g = Graph::new();
        let x = g.input("x", F64, [2, 2]);
        let p = Tensor::new([2, 2], vec![0.5, 0.5, 0.0, 1.0]).unwrap();
        let ln_half = Tensor::full(&Type::new(F64, [2, 2]).unwrap(), 0.5f64.ln());
        let p = g.constant(p);
        let value = |y: Var<'_>| y.eval(&[&ln_half]).unwrap().item().unwrap();
        // ln 2 for the second row, 0 for the first.
        assert!(
            (value(KlDiv::default().batch_mean(true).call(x, p)) - 2f64.ln() / 2.0).abs() < 1e-15
        );
        assert!((value(x.kl_div(p)) - 2f64.ln() / 4.0).abs() < 1e-15);
        assert!(x.kl_div(g.input("t", F64, [2])).ok().is_err());
    }

    #[test]
    fn a_variance_below_eps_counts_as_eps_and_still_has_a_gradient() {
        let g = Graph::new();
        let (x, v) = (g.input("x", F64, [1]), g.input("v", F64, [1]));
        let y = GaussianNll::default().eps(0.25).call(x, g.full(F64, [1], 0.0), v);
        let one = Tensor::new([1], vec![1.0]).unwrap();
        let dv = g.grad(y, &[v])[0];
        for small in [0.0, -3.0, 0.25] {
            let at = [&one, &Tensor::new([1], vec![small]).unwrap()];
            assert_eq!(y.eval(&at).unwrap().item(), Some((0.25f64.ln() + 4.0) / 2.0));
            assert_eq!(dv.eval(&at).unwrap().to_f64s(), [(4.0 - 16.0) / 2.0]);
        }
        assert!(GaussianNll::default().eps(0.0).call(x, x, v).ok().is_err());
        assert!(x.gaussian_nll(x, g.input("w", F64, [3, 2])).ok().is_ok());
    }

    #[test]
    fn stirling_counts_only_above_one() {
        let g = Graph::new();
        let (x, t) = (g.input("x", F64, [3]), g.input("t", I64, [3]));
        let at = [
            &Tensor::full(&Type::new(F64, [3]).unwrap(), 1.0),
            &Tensor::new([3], vec![0i64, 1, 5]).unwrap(),
        ];
        let loss = PoissonNll::default().log_input(false).eps(0.0).reduction(Reduction::None);
        let (plain, full) = (loss.call(x, t), loss.full(true).call(x, t));
        let extra = (full - plain).eval(&at).unwrap().to_f64s();
        assert_eq!(extra[..2], [0.0, 0.0]);
        assert!((extra[2] - 120f64.ln()).abs() < 0.02);
    }
}
