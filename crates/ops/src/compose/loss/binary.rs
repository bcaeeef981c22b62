//! Losses of yes or no.

use super::{Reduction, alike};
use crate::Var;

options! {
    /// `-w·(t·ln x + (1 - t)·ln(1 - x))` for probabilities `x` and `t`, of equal shapes.
    ///
    /// **Numerics** logarithms are at least -100, so the loss is finite on `[0, 1]`; NaN outside.
    /// **Gradient** `dx = (x - t) / max(x·(1 - x), 1e-12)`: finite at 0 and 1 too. A second
    /// derivative there is that of this formula. Logits keep more digits:
    /// [`BinaryCrossEntropyWithLogits`].
    BinaryCrossEntropy<'g>
    optional {
        /// Factor of every element; broadcasts to the shape of `x`.
        weight: Var<'g>,
    }
    with {
        /// What becomes of the elements' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

options! {
    /// `-w·(p·t·ln σ(x) + (1 - t)·ln σ(-x))` for logits `x` and probabilities `t`, of equal
    /// shapes.
    ///
    /// **Numerics** computed as `p·t·softplus(-x) + (1 - t)·softplus(x)`: nothing overflows, and
    /// for `t` in `[0, 1]` nothing cancels.
    BinaryCrossEntropyWithLogits<'g>
    optional {
        /// Factor of every element; broadcasts to the shape of `x`.
        weight: Var<'g>,
        /// Factor `p` of the positive part; broadcasts to the shape of `x`.
        pos_weight: Var<'g>,
    }
    with {
        /// What becomes of the elements' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

options! {
    /// `ln(1 + exp(-t·x))` for `t` of -1 or 1. Shapes must be equal. Never overflows.
    SoftMargin
    optional {}
    with {
        /// What becomes of the elements' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

options! {
    /// The mean over the last axis of [`BinaryCrossEntropyWithLogits`]: several labels, each yes
    /// or no. `x` and `t` are `[C]` or `[B, C]`.
    MultiLabelSoftMargin<'g>
    optional {
        /// Factor of every class, `[C]`; broadcasts to the shape of `x`.
        weight: Var<'g>,
    }
    with {
        /// What becomes of the rows' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

/// Where the gradient of [`BinaryCrossEntropy`] is bounded: `x·(1 - x)` no larger than this.
const EPSILON: f64 = 1e-12;

impl<'g> BinaryCrossEntropy<'g> {
    /// The loss of probabilities against targets.
    #[track_caller]
    pub fn call(&self, x: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        if let Err(refused) = alike("binary_cross_entropy", x, &[target]) {
            return refused;
        }
        let t = target.as_float_of(x);
        let end = (x * (1.0 - x)).less_equal(EPSILON);
        // At an end the logarithms are constants, and the slope is that of a square, worth 0.
        let inner = end.select(0.5, x);
        let fixed = x.stop_gradient();
        let ln = |fixed: Var<'g>| fixed.maximum(-100.0);
        let yes = end.select(ln(fixed.ln()), inner.ln());
        let no = end.select(ln((-fixed).ln_1p()), (-inner).ln_1p());
        let half = (x * x - fixed * fixed) * 0.5 - t.stop_gradient() * (x - fixed);
        let slope = end.select(half / EPSILON, 0.0);
        let losses = slope - (t * yes + (1.0 - t) * no);
        finish("binary_cross_entropy", losses, self.weight, self.reduction)
    }
}

impl<'g> BinaryCrossEntropyWithLogits<'g> {
    /// The loss of logits against targets.
    #[track_caller]
    pub fn call(&self, x: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        let op = "binary_cross_entropy_with_logits";
        match losses(op, x, target, self.pos_weight) {
            Ok(losses) => finish(op, losses, self.weight, self.reduction),
            Err(refused) => refused,
        }
    }
}

impl SoftMargin {
    /// The loss of scores against targets of -1 or 1.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        match alike("soft_margin", x, &[target]) {
            Ok(()) => self.reduction.of((-target.as_float_of(x) * x).softplus()),
            Err(refused) => refused,
        }
    }
}

impl<'g> MultiLabelSoftMargin<'g> {
    /// The loss of logits against targets of 0 or 1.
    #[track_caller]
    pub fn call(&self, x: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        let op = "multilabel_soft_margin";
        match losses(op, x, target, None) {
            Ok(losses) => {
                let each = finish(op, losses, self.weight, Reduction::None);
                self.reduction.of(each.mean_over(-1))
            }
            Err(refused) => refused,
        }
    }
}

/// The losses of logits, element by element.
#[track_caller]
fn losses<'g>(
    op: &str,
    x: Var<'g>,
    target: Var<'g>,
    pos_weight: Option<Var<'g>>,
) -> Result<Var<'g>, Var<'g>> {
    alike(op, x, &[target])?;
    let t = target.as_float_of(x);
    let mut yes = (-x).softplus() * t;
    if let Some(p) = pos_weight {
        yes = yes * like(op, p, x)?;
    }
    Ok(yes + x.softplus() * (1.0 - t))
}

/// A weight in the shape of what it weighs, which it must not enlarge.
#[track_caller]
fn like<'g>(op: &str, weight: Var<'g>, x: Var<'g>) -> Result<Var<'g>, Var<'g>> {
    let [weight, wide] = weight.as_float_of(x).broadcast_with(op, x)?;
    alike(op, x, &[wide])?;
    Ok(weight)
}

#[track_caller]
fn finish<'g>(op: &str, losses: Var<'g>, weight: Option<Var<'g>>, reduction: Reduction) -> Var<'g> {
    match weight.map(|w| like(op, w, losses)) {
        Some(Ok(weight)) => reduction.of(losses * weight),
        Some(Err(refused)) => refused,
        None => reduction.of(losses),
    }
}

impl<'g> Var<'g> {
    /// Mean of `-(t·ln x + (1 - t)·ln(1 - x))` for probabilities, see [`BinaryCrossEntropy`].
    #[track_caller]
    pub fn binary_cross_entropy(self, target: Var<'g>) -> Var<'g> {
        BinaryCrossEntropy::default().call(self, target)
    }

    /// Mean of `-(t·ln σ(x) + (1 - t)·ln σ(-x))` for logits, see
    /// [`BinaryCrossEntropyWithLogits`].
    #[track_caller]
    pub fn binary_cross_entropy_with_logits(self, target: Var<'g>) -> Var<'g> {
        BinaryCrossEntropyWithLogits::default().call(self, target)
    }

    /// Mean of `ln(1 + exp(-t·x))`, see [`SoftMargin`].
    #[track_caller]
    pub fn soft_margin(self, target: Var<'g>) -> Var<'g> {
        SoftMargin::default().call(self, target)
    }

    /// The mean loss of several labels, each yes or no, see [`MultiLabelSoftMargin`].
    #[track_caller]
    pub fn multilabel_soft_margin(self, target: Var<'g>) -> Var<'g> {
        MultiLabelSoftMargin::default().call(self, target)
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn probabilities_of_zero_and_one_have_finite_losses_and_slopes() {
        let g = Graph::new();
        let (x, t) = (g.input("x", F64, [5]), g.input("t", F64, [5]));
        let at = [
            Tensor::new([5], vec![0.0, 0.0, 1.0, 1.0, 0.5]).unwrap(),
            Tensor::new([5], vec![0.0, 1.0, 0.0, 1.0, 1.0]).unwrap(),
        ];
        let at = [&at[0], &at[1]];
        let y = x.binary_cross_entropy(t) * 5.0;
        assert_eq!(y.eval(&at).unwrap().item(), Some(200.0 + 2f64.ln()));
        let d = g.grad(y, &[x, t]);
        assert_eq!(d[0].eval(&at).unwrap().to_f64s(), [0.0, -1e12, 1e12, 0.0, -2.0]);
        assert_eq!(d[1].eval(&at).unwrap().to_f64s(), [100.0, 100.0, -100.0, -100.0, 0.0]);
        let h = g.hvp(y, x, x.full_like(1.0)).eval(&at).unwrap().to_f64s();
        assert_eq!(h, [1e12, 1e12, 1e12, 1e12, 4.0]);
    }

    #[test]
    fn confident_logits_keep_their_digits_on_either_side() {
        let g = Graph::new();
        let (x, t) = (g.input("x", F32, []), g.input("t", F32, []));
        let y = x.binary_cross_entropy_with_logits(t);
        let dx = g.grad(y, &[x])[0];
        for (logit, target) in [(40.0f32, 1.0f32), (-40.0, 0.0)] {
            let at = [&Tensor::scalar(logit), &Tensor::scalar(target)];
            let small = f64::from((-40f32).exp());
            assert!((y.eval(&at).unwrap().item().unwrap() / small - 1.0).abs() < 1e-6);
            assert!((dx.eval(&at).unwrap().item().unwrap().abs() / small - 1.0).abs() < 1e-6);
        }
        let wrong = [&Tensor::scalar(-1000.0f32), &Tensor::scalar(1.0f32)];
        assert_eq!(y.eval(&wrong).unwrap().item(), Some(1000.0));
    }

    #[test]
    fn weights_broadcast_to_the_losses_and_never_enlarge_them() {
        use crate::loss::*;
        let g = Graph::new();
        let (x, t) = (g.input("x", F32, [2, 3]), g.input("t", BOOL, [2, 3]));
        let wide = g.full(F32, [4, 2, 3], 1.0);
        let column = g.full(F32, [2, 1], 2.0);
        let bce = BinaryCrossEntropyWithLogits::default().reduction(Reduction::None);
        assert_eq!(bce.weight(column).pos_weight(column).call(x, t).shape(), [2, 3].into());
        assert!(bce.weight(wide).call(x, t).ok().is_err());
        assert!(bce.pos_weight(wide).call(x, t).ok().is_err());
        assert!(BinaryCrossEntropy::default().weight(wide).call(x, t).ok().is_err());
        assert!(x.soft_margin(column).ok().is_err());
        assert_eq!(x.multilabel_soft_margin(t).shape(), [].into());
    }
}
