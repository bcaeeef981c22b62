//! What an optimizer is, and what can be put around one.

use std::fmt::Debug;

use pleach_ops::prelude::*;

use crate::{
    Average, Centralize, ClipEach, ClipNorm, ClipValue, Except, Lookahead, LossScale, MaxNorm,
    OptimError, Wrapped,
};

/// A parameter to update: its handle, its value and its gradient, both of the parameter's type
/// (a float).
#[derive(Clone, Debug)]
pub struct Trained<'g> {
    /// The parameter.
    pub param: Param,
    /// Its value: [`raw_param`](pleach_ops::GraphExt::raw_param), whatever it is bound to.
    pub value: Var<'g>,
    /// The gradient of the loss by it.
    pub grad: Var<'g>,
}

/// An update rule for many parameters: [`Descent`](crate::Descent) of a [`Rule`](crate::Rule), or
/// something around another optimizer.
pub trait Optimizer: Debug {
    /// Do the options make sense, for these parameters?
    ///
    /// # Errors
    /// [`OptimError`] with the option, what it must be, and what it is.
    fn check(&self, params: &[&Param]) -> Result<(), OptimError>;

    /// Appends the new values of all parameters, in their order, and answers them. Slots are
    /// assigned here; parameters are assigned by whoever asks, see [`apply`](Optimizer::apply).
    ///
    /// Two optimizers of one name in one graph are an error of the graph, as they would share
    /// rate and counter.
    #[track_caller]
    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) -> Vec<Var<'g>>;

    /// What the loss is multiplied by before it is differentiated, an f64 scalar;
    /// [`update`](Optimizer::update) undoes it. 1 if nothing is said.
    #[track_caller]
    fn loss_scale<'g>(&self, _g: &'g Graph, _param: &Param) -> Option<Var<'g>> {
        None
    }

    /// [`update`](Optimizer::update), whose values become those of the parameters. Parameters that
    /// are not in `trained` stay as they are.
    #[track_caller]
    fn apply<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) {
        let values = self.update(g, trained);
        trained.iter().zip(values).for_each(|(p, new)| g.assign_param(&p.param, new));
    }

    /// Gradients scaled down together, if their norm exceeds `max`; see [`ClipNorm`].
    fn clip_norm(self, max: f64) -> Wrapped<Self, ClipNorm>
    where
        Self: Sized,
    {
        Wrapped { inner: self, around: ClipNorm { max, order: 2.0 } }
    }

    /// Each gradient scaled down, if its norm exceeds `max`; see [`ClipEach`].
    fn clip_each(self, max: f64) -> Wrapped<Self, ClipEach>
    where
        Self: Sized,
    {
        Wrapped { inner: self, around: ClipEach { max } }
    }

    /// Elements of gradients in `[-max, max]`; see [`ClipValue`].
    fn clip_value(self, max: f64) -> Wrapped<Self, ClipValue>
    where
        Self: Sized,
    {
        Wrapped { inner: self, around: ClipValue { max } }
    }

    /// Gradients of matrices without their mean; see [`Centralize`].
    fn centralize(self) -> Wrapped<Self, Centralize>
    where
        Self: Sized,
    {
        Wrapped { inner: self, around: Centralize }
    }

    /// Rows of weights no longer than `max`; see [`MaxNorm`].
    fn max_norm(self, max: f64) -> Wrapped<Self, MaxNorm>
    where
        Self: Sized,
    {
        Wrapped { inner: self, around: MaxNorm { max } }
    }

    /// Slow weights that follow fast ones; see [`Lookahead`].
    fn lookahead(self, every: u64, alpha: f64) -> Wrapped<Self, Lookahead>
    where
        Self: Sized,
    {
        Wrapped { inner: self, around: Lookahead { every, alpha } }
    }

    /// Averages of the weights beside them; see [`Average`].
    fn average(self, average: Average) -> Wrapped<Self, Average>
    where
        Self: Sized,
    {
        Wrapped { inner: self, around: average }
    }

    /// A loss that is multiplied before it is differentiated; see [`LossScale`].
    fn scale_loss(self, scale: f64) -> LossScale<Self>
    where
        Self: Sized,
    {
        LossScale::new(self, scale)
    }

    /// Another optimizer for parameters that match by name (`*.b`) or by tag (`#head`); see
    /// [`Except`].
    fn except<O: Optimizer>(self, pattern: &str, other: O) -> Except<Self, O>
    where
        Self: Sized,
    {
        Except::new(self, pattern, other)
    }
}

impl Optimizer for Box<dyn Optimizer> {
    fn check(&self, params: &[&Param]) -> Result<(), OptimError> {
        (**self).check(params)
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        (**self).update(g, trained)
    }

    fn loss_scale<'g>(&self, g: &'g Graph, param: &Param) -> Option<Var<'g>> {
        (**self).loss_scale(g, param)
    }
}
