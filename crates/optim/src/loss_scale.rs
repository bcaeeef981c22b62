//! A loss that is multiplied before it is differentiated.

use pleach_ops::prelude::*;

use crate::around::{like, with_grads};
use crate::error::{above_zero, at_least_one, range};
use crate::{OptimError, Optimizer, Trained};

/// Gradients of `s` times the loss, divided by `s`: so that small ones are not lost in an element
/// type with few exponents. An update with a gradient that is not finite does not happen: all
/// parameters and slots stay as they are, and `s` falls by `backoff`. After `every` updates without
/// one `s` grows by `growth`.
///
/// State: `loss_scale.scale` and `loss_scale.good` (f64, 16 bytes in all); the scale can be read and
/// set between runs.
///
/// **Source** Micikevicius et al., ICLR 2018, section 3.2; the defaults are those of PyTorch's
/// `GradScaler`.
#[derive(Clone, Debug)]
pub struct LossScale<O> {
    inner: O,
    scale: f64,
    growth: f64,
    backoff: f64,
    every: u64,
}

impl<O> LossScale<O> {
    /// `inner`, with a loss that is first multiplied by `scale`, which must be above 0. It grows by 2
    /// after 2000 updates and falls by half.
    pub fn new(inner: O, scale: f64) -> Self {
        LossScale { inner, scale, growth: 2.0, backoff: 0.5, every: 2000 }
    }

    /// Factors of growth (at least 1) and of falling (in `(0, 1]`), and after how many good updates
    /// it grows. With factors of 1 the scale stays.
    #[must_use]
    pub fn adapting(self, growth: f64, backoff: f64, every: u64) -> Self {
        LossScale { growth, backoff, every, ..self }
    }

    fn slot(&self, name: &str, init: f64, param: &Param) -> Param {
        let ty = Type::scalar(F64);
        param.shared_slot(&format!("loss_scale.{name}"), ty, Init::full(init))
    }
}

impl<O: Optimizer> Optimizer for LossScale<O> {
    fn check(&self, params: &[&Param]) -> Result<(), OptimError> {
        let name = "loss_scale";
        above_zero(name, "scale", self.scale)?;
        let grows = self.growth >= 1.0 && self.growth.is_finite();
        range(name, "growth", "at least 1", self.growth, grows)?;
        let falls = self.backoff > 0.0 && self.backoff <= 1.0;
        range(name, "backoff", "in (0, 1]", self.backoff, falls)?;
        at_least_one(name, "every", self.every)?;
        self.inner.check(params)
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        let Some(first) = trained.first() else { return Vec::new() };
        let scale_slot = self.slot("scale", self.scale, &first.param);
        let good_slot = self.slot("good", 0.0, &first.param);
        let (scale, good) = (g.raw_param(&scale_slot), g.raw_param(&good_slot));
        let (divided, finite) = {
            let _at = g.at_layer("loss_scale");
            // `0 · x` is 0 for what is finite, NaN for the rest.
            let zero = |p: &Trained<'g>| (p.grad * 0.0).sum_all().cast(F64);
            let zeros = trained.iter().map(zero).reduce(|a, b| a + b);
            let finite = zeros.unwrap_or_else(|| scale.full_like(0.0)).equal(0.0);
            let grads = trained.iter().map(|p| p.grad.wide() * like(1.0 / scale, p)).collect();
            (with_grads(trained, grads), finite)
        };
        let before = g.roots().len();
        let new = self.inner.update(g, &divided);
        let _at = g.at_layer("loss_scale");
        for root in g.roots().split_off(before) {
            if let Some(target) = root.target {
                let (old, new) = (Var::new(g, target), Var::new(g, root.value));
                g.assign(&root.name, target, finite.select(new, old).id());
            }
        }
        let good_now = finite.select(good + 1.0, 0.0);
        let grows = good_now.greater_equal(self.every as f64);
        let factor = finite.select(grows.select(good.full_like(self.growth), 1.0), self.backoff);
        g.assign_param(&scale_slot, scale * factor);
        g.assign_param(&good_slot, grows.select(0.0, good_now));
        trained.iter().zip(new).map(|(p, new)| finite.select(new, p.value)).collect()
    }

    fn loss_scale<'g>(&self, g: &'g Graph, param: &Param) -> Option<Var<'g>> {
        Some(g.raw_param(&self.slot("scale", self.scale, param)))
    }
}
