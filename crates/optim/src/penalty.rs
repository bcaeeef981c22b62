//! Penalties on weights: as a term of the loss, as a gradient, or as a proximal map.

use pleach_ops::prelude::*;

use crate::OptimError;
use crate::error::at_least_zero;

/// A penalty `P(θ)`. Three ways to use one:
///
/// | as | item | |
/// |---|---|---|
/// | a term of the loss | [`value`](Penalty::value) | for some parameters, weighed as you like |
/// | a part of the gradient | [`Descent::penalty`](crate::Descent::penalty) | the same, without the term |
/// | beside the rule | and [`decoupled`](crate::Descent::decoupled) | the proximal map at the rate: weights become exactly 0 |
///
/// | penalty | `P(θ)` | gradient | proximal map at rate `η` |
/// |---|---|---|---|
/// | `L1(λ)` | `λ‖θ‖₁` | `λ sign θ` | `sign θ · max(abs θ - ηλ, 0)` |
/// | `L2(λ)` | `λ/2 ‖θ‖²` | `λθ` | `θ / (1 + ηλ)` |
/// | `ElasticNet { l1, l2 }` | both | both | that of `L1`, then that of `L2` |
/// | `GroupLasso(λ)` | `λ √d Σ ‖θᵢ‖` over rows | `λ √d θᵢ / ‖θᵢ‖` | `θᵢ · max(1 - ηλ√d / ‖θᵢ‖, 0)` |
///
/// A row is what belongs to one index of the first axis, `d` its number of elements; a vector's
/// rows are its elements, where the group lasso is `L1`. At 0 all gradients are 0.
///
/// **Source** Tibshirani 1996; Zou and Hastie 2005; Yuan and Lin 2006, eq. 2.1; proximal maps:
/// Parikh and Boyd 2014, sections 6.5.1 and 6.5.2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Penalty {
    /// The sum of absolute values.
    L1(f64),
    /// Half the sum of squares.
    L2(f64),
    /// Both.
    ElasticNet {
        /// Weight of the absolute values.
        l1: f64,
        /// Weight of half the squares.
        l2: f64,
    },
    /// The sum of the norms of rows.
    GroupLasso(f64),
}

impl Penalty {
    pub(crate) fn check(&self, optimizer: &str) -> Result<(), OptimError> {
        let (l1, l2) = self.weights();
        at_least_zero(optimizer, "penalty", l1)?;
        at_least_zero(optimizer, "penalty", l2)
    }

    /// Weights of the part with a kink, and of the squares.
    fn weights(&self) -> (f64, f64) {
        match *self {
            Penalty::L1(l1) | Penalty::GroupLasso(l1) => (l1, 0.0),
            Penalty::L2(l2) => (0.0, l2),
            Penalty::ElasticNet { l1, l2 } => (l1, l2),
        }
    }

    /// `P(θ)`, a scalar: a term of a loss.
    #[track_caller]
    pub fn value<'g>(&self, theta: Var<'g>) -> Var<'g> {
        let _at = theta.graph().at();
        let (l1, l2) = self.weights();
        let squares = || (theta * theta).sum_all() * (0.5 * l2);
        match self {
            Penalty::L1(_) => theta.abs().sum_all() * l1,
            Penalty::L2(_) => squares(),
            Penalty::ElasticNet { .. } => theta.abs().sum_all() * l1 + squares(),
            Penalty::GroupLasso(_) => Rows::of(theta).norms.sum_all() * (l1 * Rows::scale(theta)),
        }
    }

    /// `∂P/∂θ`, 0 where there is a kink.
    #[track_caller]
    pub fn gradient<'g>(&self, theta: Var<'g>) -> Var<'g> {
        let _at = theta.graph().at();
        let (l1, l2) = self.weights();
        match self {
            Penalty::L1(_) => theta.sign() * l1,
            Penalty::L2(_) => theta * l2,
            Penalty::ElasticNet { .. } => theta.sign() * l1 + theta * l2,
            Penalty::GroupLasso(_) => {
                let rows = Rows::of(theta);
                // 0 / 1 where the norm is 0.
                let norms = rows.norms.equal(0.0).select(1.0, rows.norms);
                theta * (l1 * Rows::scale(theta)) / rows.spread(norms)
            }
        }
    }

    /// `argmin_w P(w) + ‖w - θ‖² / 2η` for the rate `η`, a scalar of the type of `θ`.
    #[track_caller]
    pub fn shrink<'g>(&self, theta: Var<'g>, rate: Var<'g>) -> Var<'g> {
        let _at = theta.graph().at();
        let (l1, l2) = self.weights();
        let soft = || theta.sign() * (theta.abs() - rate * l1).maximum(0.0);
        match self {
            Penalty::L1(_) => soft(),
            Penalty::L2(_) => theta / (rate * l2 + 1.0),
            Penalty::ElasticNet { .. } => soft() / (rate * l2 + 1.0),
            Penalty::GroupLasso(_) => {
                let rows = Rows::of(theta);
                let norms = rows.norms.equal(0.0).select(1.0, rows.norms);
                let keep = 1.0 - rate * (l1 * Rows::scale(theta)) / norms;
                theta * rows.spread(keep.maximum(0.0))
            }
        }
    }
}

/// The norms of the rows of a tensor.
struct Rows<'g> {
    norms: Var<'g>,
    rank: usize,
}

impl<'g> Rows<'g> {
    #[track_caller]
    fn of(theta: Var<'g>) -> Rows<'g> {
        let rank = theta.shape().len();
        let axes: Vec<i64> = (1..rank as i64).collect();
        let norms = if axes.is_empty() { theta.abs() } else { theta.vector_norm(2.0, axes) };
        Rows { norms, rank }
    }

    /// `√d`.
    fn scale(theta: Var<'g>) -> f64 {
        (theta.shape().iter().skip(1).product::<usize>() as f64).sqrt()
    }

    /// A number for each row, as a tensor that broadcasts with the whole.
    #[track_caller]
    fn spread(&self, x: Var<'g>) -> Var<'g> {
        (1..self.rank).fold(x, |x, _| x.unsqueeze(-1))
    }
}
