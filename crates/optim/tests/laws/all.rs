//! All optimizers, for laws that hold for each, and for the page `docs/optimizers.md`.

use pleach_ops::prelude::*;
use pleach_optim::{
    About, Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Asgd, Descent, Lamb, Lion, Muon,
    NAdam, Optimizer, RAdam, RmsProp, Rprop, Rule, Sgd,
};

/// An optimizer with the options at which laws are checked.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) about: About,
    /// Options that are not the defaults.
    pub(crate) options: &'static str,
    /// A good rate for the quadratic.
    pub(crate) rate: f64,
    /// Updates at this rate that make its loss a thousand times less.
    pub(crate) updates: usize,
    /// The same options at a rate.
    pub(crate) at: Box<dyn Fn(f64) -> Box<dyn Optimizer>>,
    /// With a group `x` at rate 0.
    pub(crate) stopped: Box<dyn Fn(f64) -> Box<dyn Optimizer>>,
}

fn entry<R: Rule>(
    options: &'static str,
    rate: f64,
    updates: usize,
    make: fn(f64) -> Descent<R>,
) -> Entry {
    Entry {
        name: R::NAME,
        about: R::ABOUT,
        options,
        rate,
        updates,
        at: Box::new(move |rate| Box::new(make(rate))),
        stopped: Box::new(move |rate| Box::new(make(rate).group("x", |o| o.rate(0.0)))),
    }
}

pub(crate) fn all() -> Vec<Entry> {
    vec![
        entry("", 0.15, 13, Sgd::new),
        entry("momentum 0.9", 0.05, 57, |rate| Sgd::new(rate).momentum(0.9)),
        entry("", 0.5, 8, Adagrad::new),
        entry("rho 0.9", 20.0, 40, Adadelta::new),
        entry("", 0.02, 34, RmsProp::new),
        entry("centered, momentum 0.5", 0.02, 10, |rate| {
            RmsProp::new(rate).centered().momentum(0.5)
        }),
        entry("", 0.1, 54, Adam::new),
        entry("AMSGrad", 0.1, 54, |rate| Adam::new(rate).amsgrad()),
        entry("", 0.1, 53, AdamW::new),
        entry("", 0.1, 37, NAdam::new),
        entry("", 0.1, 66, RAdam::new),
        entry("", 0.1, 48, Adamax::new),
        entry("", 0.15, 13, Asgd::new),
        entry("", 0.1, 14, Rprop::new),
        entry("", 0.1, 82, Adafactor::new),
        entry("", 0.02, 131, Lion::new),
        entry("", 0.05, 77, Lamb::new),
        entry("", 0.05, 75, Muon::new),
    ]
}

/// `½ Σ cᵢ xᵢ²` with `c` from 1 to 10, of a matrix that begins at numbers around 1.
pub(crate) fn quadratic<'g>(g: &'g Graph, x: &Param) -> Var<'g> {
    let c = Tensor::new([3, 2], vec![1.0, 10.0, 2.0, 5.0, 7.0, 3.0]).unwrap();
    (g.param(x) * g.param(x) * g.constant(c)).sum_all() * 0.5
}

pub(crate) fn matrix(p: &Params, name: &str) -> Param {
    let start = Tensor::new([3, 2], vec![1.0, -0.5, 0.75, 1.25, -1.0, 0.5]).unwrap();
    p.param(name, [3, 2], start)
}
