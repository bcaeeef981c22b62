//! Gradients of several runs, added up in slots before an update.

use pleach_ops::prelude::*;
use pleach_optim::Trained;

/// Runs since the last update.
pub(crate) const RUNS: &str = "accumulate.runs";

fn runs(param: &Param) -> Param {
    param.shared_slot(RUNS, Type::scalar(I64), Init::zeros())
}

/// The sum so far. Empty, it is -0: what -0 is added to keeps its bits.
fn sum(param: &Param) -> Param {
    param.slot("accumulate", param.ty().clone(), Init::full(-0.0))
}

/// A run that adds its gradients to the sums.
#[track_caller]
pub(crate) fn add(g: &Graph, trained: &[Trained<'_>]) {
    let _at = g.at_layer("accumulate");
    for p in trained {
        let sum = sum(&p.param);
        g.assign_param(&sum, g.raw_param(&sum) + p.grad);
    }
    if let Some(first) = trained.first() {
        let runs = runs(&first.param);
        g.assign_param(&runs, g.raw_param(&runs) + 1);
    }
}

/// The mean gradients of `k` runs, of which this is the last; the sums become empty.
#[track_caller]
pub(crate) fn mean<'g>(g: &'g Graph, trained: Vec<Trained<'g>>, k: u64) -> Vec<Trained<'g>> {
    let _at = g.at_layer("accumulate");
    if let Some(first) = trained.first() {
        let runs = runs(&first.param);
        g.assign_param(&runs, g.raw_param(&runs).full_like(0.0));
    }
    let mean = |p: Trained<'g>| {
        let sum = sum(&p.param);
        let all = g.raw_param(&sum) + p.grad;
        g.assign_param(&sum, p.grad.full_like(-0.0));
        Trained { grad: all / k as f64, ..p }
    };
    trained.into_iter().map(mean).collect()
}
