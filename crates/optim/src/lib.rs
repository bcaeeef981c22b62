//! Optimizers: update rules, schedules, penalties and clipping, all of them nodes of the graph.
//!
//! An [`Optimizer`] gets every trained parameter with its gradient and **appends nodes**: new
//! values for parameters, slots, counters. Nothing loops and nothing runs here, so passes fuse and
//! share updates like any other computation, and a step allocates nothing.
//!
//! | I want to… | item | state per parameter |
//! |---|---|---|
//! | follow the gradient, with momentum | [`Sgd`], [`Asgd`] | 0 or 1 tensor |
//! | adapt rates | [`Adam`], [`AdamW`], [`NAdam`], [`RAdam`], [`Adamax`] | 2 tensors, 3 with AMSGrad |
//! | | [`Adagrad`], [`Adadelta`], [`RmsProp`], [`Rprop`] | 1 to 3 tensors |
//! | large batches, little state, matrices | [`Lamb`], [`Adafactor`], [`Lion`], [`Muon`] | 2, nearly 0, 1, 1 |
//! | use curvature, on one vector and a closure | [`Lbfgs`] | `2 · history + 2` tensors of f64 |
//! | change the rate over time | [`Schedule`] in a [`Rate`] | |
//! | decay and penalties | [`Descent::weight_decay`], [`Penalty`] | |
//! | bound gradients or weights | [`Optimizer::clip_norm`], [`clip_each`](Optimizer::clip_each), [`clip_value`](Optimizer::clip_value), [`centralize`](Optimizer::centralize), [`max_norm`](Optimizer::max_norm) | |
//! | average weights, follow slowly | [`Optimizer::average`], [`lookahead`](Optimizer::lookahead) | 1 tensor |
//! | scale the loss | [`Optimizer::scale_loss`] | |
//! | freeze a parameter | leave it out of `trained` | |
//! | treat parameters differently, by name or by tag | [`Descent::group`], [`Optimizer::except`] | |
//! | my own | [`Rule`], [`Around`] | |
//!
//! State is slots, beside the parameters in the state of a model, with a name per optimizer:
//!
//! | slot | type | |
//! |---|---|---|
//! | `adam.rate` | f64 | the base rate; set it between runs, nothing is recompiled |
//! | `adam.rate_now` | f64 | the rate that the last update used |
//! | `adam.steps` | i64 | updates made; schedules and bias corrections are functions of it |
//! | `adam.m/hidden.w` | as `hidden.w` | what the rule keeps per parameter |
//! | `adam[*.b].rate` | f64 | the base rate of a group, if it has its own |
//!
//! Rates, schedules and corrections are computed in f64 scalars whatever the parameters are.
//!
//! ```
//! use pleach_ops::prelude::*;
//! use pleach_optim::{Optimizer, Sgd, Trained};
//! let p = Params::seeded(1).dtype(F64);
//! let x = p.param("x", [], Init::full(3.0));
//!
//! let g = Graph::train();
//! let loss = g.param(&x) * g.param(&x);
//! let grad = g.grad(loss, &[g.param(&x)])[0];
//! let trained = Trained { param: x.clone(), value: g.raw_param(&x), grad };
//! let new = Sgd::new(0.25).update(&g, &[trained])[0];
//! assert_eq!(new.eval(&[])?.item(), Some(1.5)); // 3 - 0.25 · 2 · 3
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod around;
mod asgd;
mod clip;
mod descent;
mod error;
mod except;
mod lamb;
mod lbfgs;
mod lion;
mod loss_scale;
mod muon;
mod nadam;
mod optimizer;
mod options;
mod penalty;
mod radam;
mod rate;
mod rmsprop;
mod rprop;
mod rule;
mod schedule;
mod sgd;
mod time;
mod weights;

pub use adadelta::{Adadelta, AdadeltaRule};
pub use adafactor::{Adafactor, AdafactorRule};
pub use adagrad::{Adagrad, AdagradRule};
pub use adam::{Adam, AdamRule, AdamW};
pub use adamax::{Adamax, AdamaxRule};
pub use around::{Around, Wrapped};
pub use asgd::{Asgd, AsgdRule};
pub use clip::{ClipEach, ClipNorm, ClipValue};
pub use descent::Descent;
pub use error::OptimError;
pub use except::Except;
pub use lamb::{Lamb, LambRule};
pub use lbfgs::{Ended, Lbfgs, LbfgsError, LbfgsMemory, LbfgsReport, Move, Pair};
pub use lion::{Lion, LionRule};
pub use loss_scale::LossScale;
pub use muon::{Muon, MuonRule};
pub use nadam::{NAdam, NAdamRule};
pub use optimizer::{Optimizer, Trained};
pub use options::{HasBetas, HasEps, HasMomentum};
pub use penalty::Penalty;
pub use radam::{RAdam, RAdamRule};
pub use rate::Rate;
pub use rmsprop::{RmsProp, RmsPropRule};
pub use rprop::{Rprop, RpropRule};
pub use rule::{About, Rule, Update};
pub use schedule::{
    Chain, Constant, Cosine, CosineRestarts, CosineWave, Cyclic, CyclicShape, Exponential, Hold,
    InverseSqrt, Linear, MultiStep, OneCycle, Plateau, Polynomial, Schedule, Sequence, Step,
    Warmup,
};
pub use sgd::{Sgd, SgdRule};
pub use time::Time;
pub use weights::{Average, Centralize, Lookahead, MaxNorm};
