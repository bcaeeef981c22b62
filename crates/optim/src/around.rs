//! What is put around an optimizer: other gradients before it, other values after it.

use std::fmt::Debug;

use pleach_ops::prelude::*;

use crate::{OptimError, Optimizer, Trained};

/// A change of gradients before an optimizer, or of new values after it.
pub trait Around: Debug {
    /// Where its nodes come from, for errors and profiles.
    const NAME: &'static str;

    /// Do the options make sense?
    ///
    /// # Errors
    /// [`OptimError`] with the option, what it must be, and what it is.
    fn check(&self) -> Result<(), OptimError> {
        Ok(())
    }

    /// The gradients that the optimizer sees, in the order of `trained`.
    #[track_caller]
    fn before<'g>(&self, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        trained.iter().map(|p| p.grad).collect()
    }

    /// The values that the parameters get, of those that the optimizer answered.
    #[track_caller]
    fn after<'g>(&self, _trained: &[Trained<'g>], new: Vec<Var<'g>>) -> Vec<Var<'g>> {
        new
    }
}

/// An optimizer with something around it, made by methods of [`Optimizer`].
#[derive(Clone, Debug)]
pub struct Wrapped<O, A> {
    pub(crate) inner: O,
    pub(crate) around: A,
}

impl<O: Optimizer, A: Around> Optimizer for Wrapped<O, A> {
    fn check(&self, params: &[&Param]) -> Result<(), OptimError> {
        self.around.check()?;
        self.inner.check(params)
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        if trained.is_empty() {
            return Vec::new();
        }
        let changed = {
            let _at = g.at_layer(A::NAME);
            with_grads(trained, self.around.before(trained))
        };
        let new = self.inner.update(g, &changed);
        let _at = g.at_layer(A::NAME);
        self.around.after(trained, new)
    }

    fn loss_scale<'g>(&self, g: &'g Graph, param: &Param) -> Option<Var<'g>> {
        self.inner.loss_scale(g, param)
    }
}

/// Other gradients for the same parameters.
pub(crate) fn with_grads<'g>(trained: &[Trained<'g>], grads: Vec<Var<'g>>) -> Vec<Trained<'g>> {
    trained.iter().zip(grads).map(|(p, grad)| Trained { grad, ..p.clone() }).collect()
}

/// An f64 scalar in the type in which a parameter is updated: computed in f64, rounded once.
#[track_caller]
pub(crate) fn like<'g>(scalar: Var<'g>, p: &Trained<'g>) -> Var<'g> {
    scalar.cast(p.value.dtype().compute())
}
