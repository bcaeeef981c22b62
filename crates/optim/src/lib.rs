//! Optimizers: update rules, schedules and clipping, all of them nodes of the graph.
//!
//! An [`Optimizer`] gets every trained parameter with its gradient and **appends nodes**: new
//! values for parameters, slots, counters. Nothing loops and nothing runs here, so passes fuse and
//! share updates like any other computation, and a step allocates nothing.
//!
//! | I want to… | item | state per parameter |
//! |---|---|---|
//! | follow the gradient, with momentum | [`Sgd`] | 0 or 1 tensor |
//! | adapt rates | [`Adam`], [`AdamW`] | 2 tensors, 3 with AMSGrad |
//! | change the rate over time | [`Schedule`]: [`Constant`], [`Step`], [`Cosine`] | |
//! | bound the gradient | [`ClipNorm`] | |
//! | freeze a parameter | leave it out of `trained` | |
//! | treat two groups of parameters differently | two optimizers, [`named`](Sgd::named) | |
//!
//! State is slots, beside the parameters in the state of a model, with a name per optimizer:
//!
//! | slot | type | |
//! |---|---|---|
//! | `adam.rate` | f64 | the base rate; set it between runs, nothing is recompiled |
//! | `adam.steps` | i64 | updates made; schedules and bias corrections are functions of it |
//! | `adam.m/hidden.w` | as `hidden.w` | what the rule keeps per parameter |
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
//! Sgd::new(0.25).update(&g, &[Trained { param: x.clone(), value: g.raw_param(&x), grad }]);
//!
//! let roots = g.roots();
//! let new = roots.iter().find(|root| &*root.name == "x").expect("x is assigned").value;
//! assert_eq!(Var::new(&g, new).eval(&[])?.item(), Some(1.5)); // 3 - 0.25 · 2 · 3
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adam;
mod clip;
mod error;
mod rate;
mod schedule;
mod sgd;

pub use adam::{Adam, AdamW};
pub use clip::ClipNorm;
pub use error::OptimError;
pub use rate::Rate;
pub use schedule::{Constant, Cosine, Schedule, Step};
pub use sgd::Sgd;

use std::fmt::Debug;

use pleach_ops::{Graph, Param, Var};

/// A parameter to update: its handle, its value and its gradient, both of the parameter's type
/// (f32 or f64).
#[derive(Clone, Debug)]
pub struct Trained<'g> {
    /// The parameter.
    pub param: Param,
    /// Its value: [`raw_param`](pleach_ops::GraphExt::raw_param), whatever it is bound to.
    pub value: Var<'g>,
    /// The gradient of the loss by it.
    pub grad: Var<'g>,
}

/// An update rule.
pub trait Optimizer: Debug {
    /// Do the options make sense?
    ///
    /// # Errors
    /// [`OptimError`] with the option, what it must be, and what it is.
    fn check(&self) -> Result<(), OptimError>;

    /// Appends the new values of all parameters and slots, as assignments of the graph. Parameters
    /// that are not in `trained` stay as they are.
    ///
    /// Two optimizers of one name in one graph are an error of the graph, as they would share
    /// rate and counter.
    #[track_caller]
    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]);

    /// This rule on gradients that were scaled down together, if their global norm exceeds `max`;
    /// see [`ClipNorm`].
    fn clip_norm(self, max: f64) -> ClipNorm<Self>
    where
        Self: Sized,
    {
        ClipNorm::new(self, max)
    }
}

impl Optimizer for Box<dyn Optimizer> {
    fn check(&self) -> Result<(), OptimError> {
        (**self).check()
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) {
        (**self).update(g, trained);
    }
}
