//! Losses of numbers: squares, absolute values and what lies between.

use super::{Reduction, alike, wrong};
use crate::Var;

options! {
    /// `(x - t)²`. Shapes must be equal.
    ///
    /// With weights, the mean is `Σ w·(x - t)² / Σ w`.
    Mse<'g>
    optional {
        /// Factor of every element, of the shape of `x`.
        weight: Var<'g>,
    }
    with {
        /// What becomes of the elements' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

options! {
    /// `|x - t|`; the gradient is 0 where they are equal. Shapes must be equal.
    ///
    /// With weights, the mean is `Σ w·|x - t| / Σ w`.
    L1<'g>
    optional {
        /// Factor of every element, of the shape of `x`.
        weight: Var<'g>,
    }
    with {
        /// What becomes of the elements' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

options! {
    /// With `d = x - t`: `d²/2` where `|d| < delta`, else `delta · (|d| - delta/2)`. Shapes must be
    /// equal.
    ///
    /// With weights, the mean divides by their sum. **Source** Huber 1964, eq. 1.3.
    Huber<'g>
    optional {
        /// Factor of every element, of the shape of `x`.
        weight: Var<'g>,
    }
    with {
        /// Where the square ends: positive and finite.
        delta: f64 = 1.0,
        /// What becomes of the elements' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

options! {
    /// With `d = x - t`: `d²/(2 beta)` where `|d| < beta`, else `|d| - beta/2`. Shapes must be
    /// equal. It is [`Huber`] divided by `beta`, and [`L1`] for `beta` 0.
    ///
    /// **Source** Girshick, ICCV 2015, eq. 3.
    SmoothL1
    optional {}
    with {
        /// Where the square ends: not negative, and finite.
        beta: f64 = 1.0,
        /// What becomes of the elements' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

impl<'g> Mse<'g> {
    /// The loss of `x` against `target`.
    #[track_caller]
    pub fn call(&self, x: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        if let Err(refused) = operands("mse", x, target, self.weight) {
            return refused;
        }
        let d = x - target;
        self.reduction.weighted(d * d, self.weight)
    }
}

impl<'g> L1<'g> {
    /// The loss of `x` against `target`.
    #[track_caller]
    pub fn call(&self, x: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        if let Err(refused) = operands("l1", x, target, self.weight) {
            return refused;
        }
        self.reduction.weighted((x - target).abs(), self.weight)
    }
}

impl<'g> Huber<'g> {
    /// The loss of `x` against `target`.
    #[track_caller]
    pub fn call(&self, x: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        if let Err(refused) = operands("huber", x, target, self.weight) {
            return refused;
        }
        let delta = self.delta;
        if !(delta > 0.0 && delta < f64::INFINITY) {
            let why = format!("delta must be positive and finite, got {delta}");
            return wrong("huber", &[x, target], why);
        }
        let d = x - target;
        let size = d.abs();
        let losses = size.less(delta).select(d * d * 0.5, (size - 0.5 * delta) * delta);
        self.reduction.weighted(losses, self.weight)
    }
}

impl SmoothL1 {
    /// The loss of `x` against `target`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        if let Err(refused) = operands("smooth_l1", x, target, None) {
            return refused;
        }
        let beta = self.beta;
        if !(0.0..f64::INFINITY).contains(&beta) {
            let why = format!("beta must be finite and not negative, got {beta}");
            return wrong("smooth_l1", &[x, target], why);
        }
        let d = x - target;
        let size = d.abs();
        if beta == 0.0 {
            return self.reduction.of(size);
        }
        self.reduction.of(size.less(beta).select(d * d * 0.5 / beta, size - 0.5 * beta))
    }
}

#[track_caller]
fn operands<'g>(
    op: &str,
    x: Var<'g>,
    target: Var<'g>,
    weight: Option<Var<'g>>,
) -> Result<(), Var<'g>> {
    match weight {
        Some(weight) => alike(op, x, &[target, weight]),
        None => alike(op, x, &[target]),
    }
}

impl<'g> Var<'g> {
    /// Mean of `(x - target)²`, see [`Mse`].
    #[track_caller]
    pub fn mse(self, target: Var<'g>) -> Var<'g> {
        Mse::default().call(self, target)
    }

    /// Mean of `|x - target|`, see [`L1`].
    #[track_caller]
    pub fn l1(self, target: Var<'g>) -> Var<'g> {
        L1::default().call(self, target)
    }

    /// The mean of Huber's loss with `delta` 1, see [`Huber`].
    #[track_caller]
    pub fn huber(self, target: Var<'g>) -> Var<'g> {
        Huber::default().call(self, target)
    }

    /// The mean of the smooth absolute difference with `beta` 1, see [`SmoothL1`].
    #[track_caller]
    pub fn smooth_l1(self, target: Var<'g>) -> Var<'g> {
        SmoothL1::default().call(self, target)
    }
}

#[cfg(test)]
mod tests {
    use crate::loss::*;
    use crate::prelude::*;

    /// Values and slopes of `loss` at differences -3, -1, 0, 0.5 and 3.
    fn each(loss: impl for<'g> Fn(Var<'g>, Var<'g>) -> Var<'g>) -> (Vec<f64>, Vec<f64>) {
        let g = Graph::new();
        let (x, t) = (g.input("x", F64, [5]), g.full(F64, [5], 1.0));
        let at = Tensor::new([5], vec![-2.0, 0.0, 1.0, 1.5, 4.0]).unwrap();
        let y = loss(x, t);
        let dx = g.grad(y, &[x])[0];
        (y.eval(&[&at]).unwrap().to_f64s(), dx.eval(&[&at]).unwrap().to_f64s())
    }

    #[test]
    fn a_square_in_the_middle_and_straight_outside() {
        let none = Reduction::None;
        let l1 = each(|x, t| L1::default().reduction(none).call(x, t));
        assert_eq!(l1, (vec![3.0, 1.0, 0.0, 0.5, 3.0], vec![-1.0, -1.0, 0.0, 1.0, 1.0]));
        let huber = each(|x, t| Huber::default().delta(2.0).reduction(none).call(x, t));
        assert_eq!(huber, (vec![4.0, 0.5, 0.0, 0.125, 4.0], vec![-2.0, -1.0, 0.0, 0.5, 2.0]));
        let smooth = each(|x, t| SmoothL1::default().beta(2.0).reduction(none).call(x, t));
        assert_eq!(smooth, (vec![2.0, 0.25, 0.0, 0.0625, 2.0], vec![-1.0, -0.5, 0.0, 0.25, 1.0]));
        let zero = each(|x, t| SmoothL1::default().beta(0.0).reduction(none).call(x, t));
        assert_eq!(zero, l1);
        // At the bound itself both branches have one value and one slope.
        let bound = each(|x, t| Huber::default().delta(3.0).reduction(none).call(x, t));
        assert_eq!((bound.0[0], bound.1[0]), (4.5, -3.0));
    }

    #[test]
    fn weighted_means_divide_by_the_weights() {
        let g = Graph::new();
        let x = g.input("x", F64, [2]);
        let (t, w) = (g.full(F64, [2], 0.0), g.constant(Tensor::new([2], vec![3.0, 1.0]).unwrap()));
        let at = Tensor::new([2], vec![1.0, 2.0]).unwrap();
        let value = |y: Var<'_>| y.eval(&[&at]).unwrap().item();
        assert_eq!(value(Mse::default().weight(w).call(x, t)), Some(7.0 / 4.0));
        assert_eq!(value(L1::default().weight(w).call(x, t)), Some(5.0 / 4.0));
        let sum = Huber::default().weight(w).reduction(Reduction::Sum);
        assert_eq!(value(sum.call(x, t)), Some(3.0));
    }

    #[test]
    fn wrong_options_and_shapes_are_refused() {
        let g = Graph::new();
        let (x, t) = (g.input("x", F32, [2]), g.input("t", F32, [1]));
        assert!(x.l1(t).ok().is_err());
        assert!(x.huber(t).ok().is_err());
        assert!(x.smooth_l1(t).ok().is_err());
        assert!(Mse::default().weight(t).call(x, x).ok().is_err());
        assert!(Huber::default().delta(0.0).call(x, x).ok().is_err());
        assert!(Huber::default().delta(f64::INFINITY).call(x, x).ok().is_err());
        assert!(SmoothL1::default().beta(-1.0).call(x, x).ok().is_err());
        assert!(SmoothL1::default().beta(f64::NAN).call(x, x).ok().is_err());
    }
}
