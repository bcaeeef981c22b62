//! Activations in pieces: rectifiers, shrinkage, and hard versions of smooth ones. At a kink each
//! has the slope that PyTorch gives it. NaN stays NaN.

use pleach_graph::TypeError;

use crate::{Operand, Var};

/// Klambauer et al. 2017: the numbers for which mean 0 and variance 1 are a fixed point.
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

impl<'g> Var<'g> {
    /// `x` where it is positive, else `slope · x`. Slope `slope` at 0.
    ///
    /// **Source** Maas et al. 2013.
    #[track_caller]
    pub fn leaky_relu(self, slope: f64) -> Var<'g> {
        let _at = self.graph().at();
        self.greater(0.0).select(self, self * slope)
    }

    /// [`leaky_relu`](Var::leaky_relu) with learned slopes: one, or one for each index of axis 1.
    ///
    /// **Source** He et al. 2015.
    #[track_caller]
    pub fn prelu(self, slope: Var<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let (shape, rank) = (slope.shape(), self.shape().rank());
        let channels = if rank > 1 { self.size(1) } else { 1 };
        let slope = match shape.rank() {
            0 => slope,
            1 if shape[0] == 1 => slope.squeeze(0),
            1 if rank > 1 && shape[0] == channels => {
                let mut wide = vec![1; rank - 1];
                wide[0] = channels;
                slope.reshape(wide)
            }
            _ => {
                let why = format!("prelu: {shape} are not one slope or {channels}, one a channel");
                return self.refuse("prelu", &[self, slope], TypeError::Attribute(why));
            }
        };
        self.greater(0.0).select(self, self * slope)
    }

    /// `x` clamped to `[0, 6]`. Slope 0 at both ends.
    #[track_caller]
    pub fn relu6(self) -> Var<'g> {
        self.hardtanh(0.0, 6.0)
    }

    /// `x` clamped to `[low, high]`; the usual ends are -1 and 1. Slope 0 at both.
    #[track_caller]
    pub fn hardtanh(self, low: f64, high: f64) -> Var<'g> {
        let _at = self.graph().at();
        self.clamp(low, high)
    }

    /// `(x + 3) / 6` clamped to `[0, 1]`. Slope 0 at ±3.
    #[track_caller]
    pub fn hardsigmoid(self) -> Var<'g> {
        let _at = self.graph().at();
        self.clamp(-3.0, 3.0) / 6.0 + 0.5
    }

    /// `x · hardsigmoid(x)`. Slope 0 at -3, 1 at 3. **Source** Howard et al. 2019.
    #[track_caller]
    pub fn hardswish(self) -> Var<'g> {
        let _at = self.graph().at();
        let middle = self * (self + 3.0) / 6.0;
        let upper = self.greater_equal(3.0).select(self, middle);
        self.less_equal(-3.0).select(0.0, upper)
    }

    /// `x` where it is positive, else `alpha · (exp(x) - 1)`. Slope `alpha` and no
    /// curvature at 0.
    ///
    /// **Source** Clevert et al. 2016.
    #[track_caller]
    pub fn elu(self, alpha: f64) -> Var<'g> {
        let _at = self.graph().at();
        self.exponential_unit(alpha, 1.0)
    }

    /// `1.0507 · elu(x, 1.67326)`: keeps mean 0 and variance 1. **Source** Klambauer et al. 2017.
    #[track_caller]
    pub fn selu(self) -> Var<'g> {
        let _at = self.graph().at();
        self.elu(SELU_ALPHA) * SELU_SCALE
    }

    /// `x` where it is positive, else `alpha · (exp(x / alpha) - 1)`: slope 1 at 0.
    ///
    /// **Source** Barron 2017.
    #[track_caller]
    pub fn celu(self, alpha: f64) -> Var<'g> {
        let _at = self.graph().at();
        self.exponential_unit(alpha, 1.0 / alpha)
    }

    /// `x` where it is positive, else `alpha · (exp(rate · x) - 1)`.
    #[track_caller]
    fn exponential_unit(self, alpha: f64, rate: f64) -> Var<'g> {
        let negative = self.less(0.0);
        // Where it is not taken the exponential must not overflow: 0 · ∞ is NaN.
        let low = negative.select(self, 0.0) * rate;
        // At 0 it is a line, whose second derivative is 0, as PyTorch's is.
        let line = self * (alpha * rate);
        self.less_equal(0.0).select(negative.select(low.expm1() * alpha, line), self)
    }

    /// `x`, but 0 in `[-width, width]`.
    #[track_caller]
    pub fn hardshrink(self, width: f64) -> Var<'g> {
        let _at = self.graph().at();
        self.greater_equal(-width).and(self.less_equal(width)).select(0.0, self)
    }

    /// `x` brought `width` nearer to 0, but 0 in `[-width, width]`.
    #[track_caller]
    pub fn softshrink(self, width: f64) -> Var<'g> {
        let _at = self.graph().at();
        let low = self.less(-width).select(self + width, 0.0);
        let y = self.greater(width).select(self - width, low);
        self.isnan().select(self, y)
    }

    /// `x` above `level`, else `value`.
    #[track_caller]
    pub fn threshold(self, level: f64, value: f64) -> Var<'g> {
        let _at = self.graph().at();
        self.less_equal(level).select(value.like(self), self)
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    /// Value and slope of `f` at points.
    fn at(f: impl for<'g> Fn(Var<'g>) -> Var<'g>, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let g = Graph::new();
        let v = g.input("x", F64, [x.len()]);
        let x = Tensor::new([x.len()], x.to_vec()).unwrap();
        let value = |v: Var<'_>| v.eval(&[&x]).unwrap().to_f64s();
        (value(f(v)), value(g.grad(f(v), &[v])[0]))
    }

    #[test]
    fn kinks_have_pytorchs_slopes() {
        assert_eq!(at(|x| x.leaky_relu(0.1), &[-10.0, 0.0, 2.0]).1, [0.1, 0.1, 1.0]);
        assert_eq!(at(|x| x.relu6(), &[0.0, 3.0, 6.0]).1, [0.0, 1.0, 0.0]);
        assert_eq!(at(|x| x.hardsigmoid() * 6.0, &[-3.0, 0.0, 3.0]).1, [0.0, 1.0, 0.0]);
        assert_eq!(at(|x| x.hardswish(), &[-3.0, 0.0, 3.0]).1, [0.0, 0.5, 1.0]);
        assert_eq!(at(|x| x.elu(0.5), &[0.0, 1.0]).1, [0.5, 1.0]);
        assert_eq!(at(|x| x.celu(0.5), &[0.0, 1.0]).1, [1.0, 1.0]);
        assert_eq!(at(|x| x.threshold(1.0, 9.0), &[1.0, 2.0]), (vec![9.0, 2.0], vec![0.0, 1.0]));
    }

    #[test]
    fn shrinkage_is_zero_in_the_middle() {
        let x = [-2.0, -0.5, 0.25, 0.5, 2.0];
        let slopes = vec![1.0, 0.0, 0.0, 0.0, 1.0];
        assert_eq!(at(|x| x.hardshrink(0.5), &x), (vec![-2.0, 0.0, 0.0, 0.0, 2.0], slopes.clone()));
        assert_eq!(at(|x| x.softshrink(0.5), &x), (vec![-1.5, 0.0, 0.0, 0.0, 1.5], slopes));
    }

    #[test]
    fn large_inputs_of_exponential_units_have_finite_second_derivatives() {
        let (value, slope) = at(|x| x.elu(1.0), &[1000.0, -1000.0]);
        assert_eq!((value, slope), (vec![1000.0, -1.0], vec![1.0, 0.0]));
        let g = Graph::new();
        let x = g.input("x", F64, [3]);
        let curve = g.hvp(x.elu(2.0), x, x.full_like(1.0));
        let at = Tensor::new([3], vec![1000.0, 0.0, -1000.0]).unwrap();
        assert_eq!(curve.eval(&[&at]).unwrap().to_f64s(), [0.0, 0.0, 0.0]);
    }

    #[test]
    fn slopes_are_one_or_one_a_channel() {
        let g = Graph::new();
        let x = g.input("x", F64, [1, 2, 2]);
        let a = g.input("a", F64, [2]);
        let values = Tensor::new([1, 2, 2], vec![-1.0, 1.0, -1.0, -2.0]).unwrap();
        let slopes = Tensor::new([2], vec![0.5, 3.0]).unwrap();
        let y = x.prelu(a).eval(&[&values, &slopes]).unwrap().to_f64s();
        assert_eq!(y, [-0.5, 1.0, -3.0, -6.0]);
        assert!(x.prelu(g.input("b", F64, [3])).ok().is_err());
        assert!(x.prelu(g.input("c", F64, [1])).ok().is_ok());
    }
}
