//! Optimizers: update rules, schedules and clipping, all of them nodes of the graph.
//!
//! An [`Optimizer`] gets every trained parameter with its gradient and **appends nodes**: new
//! values for parameters, slots, counters. Nothing loops and nothing runs here, so passes fuse and
//! share updates like any other computation, and a step allocates nothing.
//!
//! | I want to… | item | state per parameter |
//! |---|---|---|
//! | follow the gradient, with momentum | [`Sgd`] | 0 or 1 tensor |
//! | adapt rates | [`Adam`], [`AdamW`] | 2 tensors |
//! | change the rate over time | [`Schedule`]: [`Constant`], [`Step`], [`Cosine`] | |
//! | bound the gradient | [`ClipNorm`] | |
//!
//! Every optimizer keeps its base rate in the slot `NAME.rate` (an f64 scalar) and the number of
//! updates made in `NAME.steps` (an i64 scalar): both can be read and set between runs.

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

/// A parameter to update: its handle, its value and its gradient.
#[derive(Clone, Debug)]
pub struct Trained<'g> {
    /// The parameter.
    pub param: Param,
    /// Its value, as the graph reads it.
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

    /// Appends the new values of all parameters and slots, as assignments of the graph.
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
