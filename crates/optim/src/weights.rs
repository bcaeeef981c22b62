//! What is done to gradients by rows, and to weights beside their update: bounds, slow copies,
//! averages.

use pleach_ops::prelude::*;

use crate::around::like;
use crate::error::{above_zero, at_least_one, below_one, range};
use crate::{Around, OptimError, Time, Trained};

/// The axes behind the first, or none.
fn behind_first(x: Var<'_>) -> Option<Vec<i64>> {
    let rank = x.shape().len() as i64;
    (rank > 1).then(|| (1..rank).collect())
}

/// Centered gradients: `g ← g - mean(g)` over all axes but the first, for tensors of two axes or
/// more.
///
/// **Source** Yong et al., ECCV 2020, eq. 1.
#[derive(Clone, Debug)]
pub struct Centralize;

impl Around for Centralize {
    const NAME: &'static str = "centralize";

    fn before<'g>(&self, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        let center = |p: &Trained<'g>| match behind_first(p.grad) {
            Some(axes) => p.grad - p.grad.mean_over(Keep(axes)),
            None => p.grad,
        };
        trained.iter().map(center).collect()
    }
}

/// Rows of weights no longer than `max` after the update: a row `w` (what belongs to one index of
/// the first axis) becomes `w · min(1, max/‖w‖)`. Vectors are left alone.
///
/// **Source** Srebro and Shraibman, COLT 2005; Srivastava et al., JMLR 15 (2014), section 5.1.
#[derive(Clone, Debug)]
pub struct MaxNorm {
    pub(crate) max: f64,
}

impl Around for MaxNorm {
    const NAME: &'static str = "max_norm";

    fn check(&self) -> Result<(), OptimError> {
        above_zero(Self::NAME, "max", self.max)
    }

    fn after<'g>(&self, _: &[Trained<'g>], new: Vec<Var<'g>>) -> Vec<Var<'g>> {
        let bound = |w: Var<'g>| match behind_first(w) {
            Some(axes) => {
                let norm = (w * w).sum(Keep(axes)).sqrt();
                // A norm of 0 is far below the bound.
                w * (self.max / norm.maximum(self.max))
            }
            None => w,
        };
        new.into_iter().map(bound).collect()
    }
}

/// The type in which a parameter of this type is updated.
fn wide(ty: &Type) -> Type {
    ty.with_dtype(ty.dtype().compute())
}

/// Fast weights, which the optimizer updates, and slow ones: after every `every`-th update
/// `s ← s + α(θ - s)`, `θ ← s`.
///
/// State: 1 tensor per parameter, `lookahead.slow/NAME` (4 bytes/parameter in f32), and a counter.
///
/// **Source** Zhang et al., NeurIPS 2019, Alg. 1.
#[derive(Clone, Debug)]
pub struct Lookahead {
    pub(crate) every: u64,
    pub(crate) alpha: f64,
}

impl Around for Lookahead {
    const NAME: &'static str = "lookahead";

    fn check(&self) -> Result<(), OptimError> {
        at_least_one(Self::NAME, "every", self.every)?;
        let inside = self.alpha > 0.0 && self.alpha <= 1.0;
        range(Self::NAME, "alpha", "in (0, 1]", self.alpha, inside)
    }

    fn after<'g>(&self, trained: &[Trained<'g>], new: Vec<Var<'g>>) -> Vec<Var<'g>> {
        let Some(first) = trained.first() else { return new };
        let g = first.value.graph();
        let time = Time::new(g, Self::NAME, &first.param);
        let meet = (time.t + 1.0).remainder(self.every as f64).equal(0.0);
        let follow = |(p, fast): (&Trained<'g>, Var<'g>)| {
            let slot = p.param.slot("lookahead.slow", wide(p.param.ty()), Init::zeros());
            // Slow weights begin where the fast ones do.
            let slow = time.t.equal(0.0).select(p.value.wide(), g.raw_param(&slot));
            let met = slow + (fast.wide() - slow) * self.alpha;
            g.assign_param(&slot, meet.select(met, slow));
            meet.select(met.cast(fast.dtype()), fast)
        };
        trained.iter().zip(new).map(follow).collect()
    }
}

/// How weights are averaged, in slots `average/NAME`. The updates do not see the averages; a graph
/// for evaluation takes them by [`Average::bind`].
///
/// State: 1 tensor per parameter (4 bytes/parameter in f32), and a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Average {
    /// `a ← da + (1-d)θ`, at first `a ← θ`, with the decay `d` in `[0, 1)` (Polyak's average, with
    /// exponential weights).
    Exponential(f64),
    /// The mean of the weights after the updates `start`, `start + every`, … (counted from 1), as in
    /// stochastic weight averaging.
    ///
    /// **Source** Izmailov et al., UAI 2018, Alg. 1.
    Equal {
        /// The first update whose weights are averaged, at least 1.
        start: u64,
        /// From one to the next, at least 1.
        every: u64,
    },
}

impl Average {
    /// The slot that holds the average of a parameter: `average/NAME`.
    pub fn slot(param: &Param) -> Param {
        param.slot("average", wide(param.ty()), Init::zeros())
    }

    /// From here on the graph uses averages for the parameters: to evaluate a model. Before the
    /// first update (or that of `start`) they are zeros.
    pub fn bind(g: &Graph, params: &[Param]) {
        for param in params {
            g.bind(param, |_| g.raw_param(&Average::slot(param)).cast(param.ty().dtype()));
        }
    }

    /// What part of the way to the new weights an average goes.
    #[track_caller]
    fn weight<'g>(&self, time: &Time<'g>) -> Var<'g> {
        match *self {
            Average::Exponential(decay) => {
                time.t.equal(0.0).select(1.0, time.t.full_like(1.0 - decay))
            }
            Average::Equal { start, every } => {
                let since = time.t + 1.0 - start as f64;
                let counts = since.greater_equal(0.0).and(since.remainder(every as f64).equal(0.0));
                counts.select(1.0 / (since / every as f64 + 1.0).maximum(1.0), 0.0)
            }
        }
    }
}

impl Around for Average {
    const NAME: &'static str = "average";

    fn check(&self) -> Result<(), OptimError> {
        match *self {
            Average::Exponential(decay) => below_one(Self::NAME, "decay", decay),
            Average::Equal { start, every } => {
                at_least_one(Self::NAME, "start", start)?;
                at_least_one(Self::NAME, "every", every)
            }
        }
    }

    fn after<'g>(&self, trained: &[Trained<'g>], new: Vec<Var<'g>>) -> Vec<Var<'g>> {
        let Some(first) = trained.first() else { return new };
        let g = first.value.graph();
        let weight = self.weight(&Time::new(g, Self::NAME, &first.param));
        for (p, &new) in trained.iter().zip(&new) {
            let slot = Average::slot(&p.param);
            let old = g.raw_param(&slot);
            let new = new.wide();
            let moved = old + (new - old) * like(weight, p);
            g.assign_param(&slot, weight.equal(1.0).select(new, moved));
        }
        new
    }
}
