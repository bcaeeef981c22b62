//! Softmax and its relatives.

use pleach_tensor::DType;

use crate::Var;
use crate::reduce::{IntoAxes, Keep};

impl<'g> Var<'g> {
    /// The maximum over axes, kept with length 1, as a constant to differentiation: what softmax
    /// and its relatives subtract changes their value by rounding only. Infinite maxima become 0,
    /// or `∞ - ∞` would make NaN of what is not.
    #[track_caller]
    pub(super) fn peak(self, axes: &[usize]) -> Var<'g> {
        let m = self.max(Keep(axes)).stop_gradient();
        m.abs().less(f64::INFINITY).select(m, 0.0)
    }

    /// `y_i = exp(x_i) / Σ exp(x_j)` along an axis (`-1` is the last). Never overflows. A row of
    /// `-∞` gives NaN.
    #[track_caller]
    pub fn softmax(self, axis: i64) -> Var<'g> {
        let _at = self.graph().at();
        match self.axis(axis) {
            Ok(axis) => self.computed(|x| {
                let e = (x - x.peak(&[axis])).exp();
                e / e.sum(Keep(axis as i64))
            }),
            Err(reason) => self.refuse("softmax", &[self], reason),
        }
    }

    /// [`Var::softmax`] of `-x`.
    #[track_caller]
    pub fn softmin(self, axis: i64) -> Var<'g> {
        let _at = self.graph().at();
        (-self).softmax(axis)
    }

    /// `ln softmax(x)` along an axis, without loss of digits for small probabilities.
    #[track_caller]
    pub fn log_softmax(self, axis: i64) -> Var<'g> {
        let _at = self.graph().at();
        match self.axis(axis) {
            Ok(axis) => self.computed(|x| {
                let x = x - x.peak(&[axis]);
                x - x.exp().sum(Keep(axis as i64)).ln()
            }),
            Err(reason) => self.refuse("log_softmax", &[self], reason),
        }
    }

    /// `ln Σ exp(x_j)` over axes, which are removed. Never overflows; `-∞` for a row of `-∞`, `∞`
    /// for one with an `∞`. Integers are counted as `f32`.
    #[track_caller]
    pub fn logsumexp(self, axes: impl IntoAxes) -> Var<'g> {
        let _at = self.graph().at();
        let x = if self.dtype().is_float() { self } else { self.cast(DType::F32) };
        x.reduced("logsumexp", axes, |x, axes| {
            x.computed(|x| {
                let peak = x.peak(axes);
                let sum = (x - peak).exp().sum(axes).ln();
                sum + peak.reshape(sum.shape())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn close(y: &Tensor, want: &[f64]) {
        for (y, want) in y.to_f64s().iter().zip(want) {
            assert!((y - want).abs() <= 1e-12 * want.abs().max(1.0) || y == want, "{y} {want}");
        }
    }

    #[test]
    fn large_inputs_do_not_overflow() {
        let g = Graph::new();
        let x = g.input("x", F64, [3]);
        let at = Tensor::new([3], vec![1000.0, 1000.0, -1000.0]).unwrap();
        let ln2 = 2f64.ln();
        close(&x.softmax(0).eval(&[&at]).unwrap(), &[0.5, 0.5, 0.0]);
        close(&x.log_softmax(-1).eval(&[&at]).unwrap(), &[-ln2, -ln2, -2000.0 - ln2]);
        close(&x.logsumexp(0).eval(&[&at]).unwrap(), &[1000.0 + ln2]);
    }

    #[test]
    fn a_row_of_minus_infinity_has_logsumexp_minus_infinity() {
        let g = Graph::new();
        let x = g.input("x", F64, [2]);
        let at = Tensor::full(&Type::new(F64, [2]).unwrap(), f64::NEG_INFINITY);
        assert_eq!(x.logsumexp(0).eval(&[&at]).unwrap().item(), Some(f64::NEG_INFINITY));
        assert!(x.softmax(0).eval(&[&at]).unwrap().get(0).unwrap().is_nan());
    }

    #[test]
    fn the_gradient_of_logsumexp_is_softmax() {
        let g = Graph::new();
        let x = g.input("x", F64, [2, 3]);
        let at = Tensor::new([2, 3], vec![0.1, 2.0, -3.0, 5.0, 5.0, 4.0]).unwrap();
        let dx = g.grad(x.logsumexp(1), &[x])[0].eval(&[&at]).unwrap();
        close(&dx, &x.softmax(1).eval(&[&at]).unwrap().to_f64s());
    }
}
