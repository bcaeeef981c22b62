//! Two optimizers for one model.

use pleach_ops::prelude::*;

use crate::{OptimError, Optimizer, Trained};

/// One optimizer for parameters that [match](Param::matches) a pattern of names or a tag, another for
/// all others:
///
/// ```
/// use pleach_optim::{AdamW, Muon, Optimizer};
/// let optimizer = Muon::new(0.02).except("*.b", AdamW::new(1e-3)).clip_norm(1.0);
/// ```
///
/// Two optimizers of the same kind want two names ([`named`](crate::Descent::named)). Of two loss
/// scales the first is used.
#[derive(Clone, Debug)]
pub struct Except<O, P> {
    inner: O,
    pattern: String,
    other: P,
}

impl<O, P> Except<O, P> {
    /// `other` for what matches, `inner` for the rest.
    pub fn new(inner: O, pattern: &str, other: P) -> Self {
        Except { inner, pattern: pattern.into(), other }
    }
}

impl<O: Optimizer, P: Optimizer> Optimizer for Except<O, P> {
    fn check(&self, params: &[&Param]) -> Result<(), OptimError> {
        let of = |matching: bool| -> Vec<&Param> {
            let is = |p: &&&Param| p.matches(&self.pattern) == matching;
            params.iter().filter(is).copied().collect()
        };
        if of(true).is_empty() {
            return Err(OptimError::group("except", &self.pattern, params));
        }
        self.other.check(&of(true))?;
        self.inner.check(&of(false))
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        let (matching, rest): (Vec<Trained<'g>>, Vec<Trained<'g>>) =
            trained.iter().cloned().partition(|p| p.param.matches(&self.pattern));
        let mut others = self.other.update(g, &matching).into_iter();
        let mut values = self.inner.update(g, &rest).into_iter();
        let value = |p: &Trained<'g>| {
            let new = if p.param.matches(&self.pattern) { &mut others } else { &mut values };
            new.next().unwrap_or(p.value)
        };
        trained.iter().map(value).collect()
    }

    fn loss_scale<'g>(&self, g: &'g Graph, param: &Param) -> Option<Var<'g>> {
        self.inner.loss_scale(g, param).or_else(|| self.other.loss_scale(g, param))
    }
}
