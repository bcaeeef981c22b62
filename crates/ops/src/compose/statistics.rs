//! Means, variances, counts and logical reductions.

use pleach_tensor::DType;

use crate::Var;
use crate::reduce::{All, IntoAxes, Keep};

impl<'g> Var<'g> {
    /// The mean of all elements. Booleans and integers are counted as `f32`: the mean of
    /// `a.equal(b)` is the fraction that is equal. NaN if there are no elements.
    #[track_caller]
    pub fn mean(self) -> Var<'g> {
        self.mean_over(All)
    }

    /// The mean over axes (`-1` is the last), which are removed.
    #[track_caller]
    pub fn mean_over(self, axes: impl IntoAxes) -> Var<'g> {
        let _at = self.graph().at();
        let x = if self.dtype().is_float() { self } else { self.cast(DType::F32) };
        x.reduced("mean", axes, |x, axes| {
            let n: usize = axes.iter().map(|&a| x.shape()[a]).product();
            x.computed(|x| x.sum(axes) / n)
        })
    }

    /// `f` of the value in the type that sums are computed in, see [`DType::compute`]; rounded once to
    /// the value's type.
    #[track_caller]
    pub fn computed(self, f: impl FnOnce(Var<'g>) -> Var<'g>) -> Var<'g> {
        f(self.wide()).back_to(self.dtype())
    }

    /// The value in the type that sums are computed in: itself, but for floats of 16 bits.
    #[track_caller]
    pub fn wide(self) -> Var<'g> {
        if self.dtype().is_half() { self.cast(self.dtype().compute()) } else { self }
    }

    /// What was computed, in the type of 16 bits that it has come from, if it has.
    #[track_caller]
    pub(crate) fn back_to(self, dtype: DType) -> Var<'g> {
        if dtype.is_half() { self.cast(dtype) } else { self }
    }

    /// The sum over axes with NaN counted as 0; its gradient there is 0.
    #[track_caller]
    pub fn nansum(self, axes: impl IntoAxes) -> Var<'g> {
        let _at = self.graph().at();
        let x = if self.dtype().is_float() { self.equal(self).select(self, 0.0) } else { self };
        x.reduced("nansum", axes, |x, axes| x.sum(axes))
    }

    /// The variance over axes, which are removed: `Σ (x - mean)² / max(0, n - correction)`. With
    /// `correction` 1 it is the unbiased estimate, with 0 that of a whole population. Two passes:
    /// no digits are lost when the mean is large.
    #[track_caller]
    pub fn var(self, axes: impl IntoAxes, correction: f64) -> Var<'g> {
        let _at = self.graph().at();
        self.reduced("var", axes, |x, axes| {
            let n: usize = axes.iter().map(|&a| x.shape()[a]).product();
            x.computed(|x| {
                let centered = x - x.mean_over(Keep(axes));
                centered.square().sum(axes) / (n as f64 - correction).max(0.0)
            })
        })
    }

    /// The standard deviation over axes: the root of [`Var::var`]. Its gradient where it is 0 is 0.
    #[track_caller]
    pub fn std(self, axes: impl IntoAxes, correction: f64) -> Var<'g> {
        let _at = self.graph().at();
        self.reduced("std", axes, |x, axes| x.var(axes, correction).sqrt_from_zero())
    }

    /// The variance and the mean over axes.
    #[track_caller]
    pub fn var_mean(self, axes: impl IntoAxes + Clone, correction: f64) -> (Var<'g>, Var<'g>) {
        let _at = self.graph().at();
        (self.var(axes.clone(), correction), self.mean_over(axes))
    }

    /// The standard deviation and the mean over axes.
    #[track_caller]
    pub fn std_mean(self, axes: impl IntoAxes + Clone, correction: f64) -> (Var<'g>, Var<'g>) {
        let _at = self.graph().at();
        (self.std(axes.clone(), correction), self.mean_over(axes))
    }

    /// `√x` with the gradient 0 at 0, at every order.
    #[track_caller]
    pub(crate) fn sqrt_from_zero(self) -> Var<'g> {
        let zero = self.equal(0.0);
        zero.select(0.0, zero.select(1.0, self).sqrt())
    }

    /// What is not 0, as 0 or 1 of type `dtype`. NaN is not 0.
    #[track_caller]
    fn truth(self, dtype: DType) -> Var<'g> {
        let truth = if self.dtype() == DType::Bool { self } else { self.not_equal(0) };
        truth.cast(dtype)
    }

    /// Is any element over these axes true, or not 0? Of nothing: false.
    #[track_caller]
    pub fn any(self, axes: impl IntoAxes) -> Var<'g> {
        let _at = self.graph().at();
        let any = |x: Var<'g>, axes: &[usize]| x.truth(DType::U8).max(axes).cast(DType::Bool);
        self.reduced("any", axes, any)
    }

    /// Are all elements over these axes true, or not 0? Of nothing: true.
    #[track_caller]
    pub fn all(self, axes: impl IntoAxes) -> Var<'g> {
        let _at = self.graph().at();
        let all = |x: Var<'g>, axes: &[usize]| x.truth(DType::U8).min(axes).cast(DType::Bool);
        self.reduced("all", axes, all)
    }

    /// How many elements over these axes are not 0 (or true), as i64.
    #[track_caller]
    pub fn count_nonzero(self, axes: impl IntoAxes) -> Var<'g> {
        let _at = self.graph().at();
        self.reduced("count_nonzero", axes, |x, axes| x.truth(DType::I64).sum(axes))
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn a_large_mean_costs_no_digits() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 2]);
        let at = Tensor::new([2, 2], vec![4096.0f32, 4097.0, 4098.0, 4099.0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(x.mean()), [4097.5]);
        assert_eq!(value(x.mean_over(0)), [4097.0, 4098.0]);
        assert_eq!(value(x.var(All, 0.0)), [1.25]);
        assert_eq!(value(x.var(1, 1.0)), [0.5, 0.5]);
        assert_eq!(x.var(Keep(1), 1.0).shape(), [2, 1].into());
        assert_eq!(value(x.std(All, -1.0)), [1.0]);
    }

    #[test]
    fn the_mean_of_a_comparison_is_a_fraction() {
        let g = Graph::new();
        let x = g.input("x", I64, [4]);
        let at = Tensor::new([4], vec![1i64, 2, 1, 1]).unwrap();
        assert_eq!(x.equal(1).mean().eval(&[&at]).unwrap(), Tensor::scalar(0.75f32));
    }

    #[test]
    fn equal_elements_have_no_deviation_and_no_slope() {
        let g = Graph::new();
        let x = g.input("x", F64, [3]);
        let at = Tensor::new([3], vec![2.0; 3]).unwrap();
        let (y, v) = (x.std(0, 1.0), g.full(F64, [3], 1.0));
        for y in [y, g.grad(y, &[x])[0], g.hvp(y, x, v)] {
            assert!(y.eval(&[&at]).unwrap().to_f64s().iter().all(|&v| v == 0.0));
        }
    }

    #[test]
    fn truth_is_counted() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 3]);
        let at = Tensor::new([2, 3], vec![0.0, 0.0, -0.0, f32::NAN, 0.0, 2.0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(x.any(1).cast(F32)), [0.0, 1.0]);
        assert_eq!(value(x.all(0).cast(F32)), [0.0, 0.0, 0.0]);
        assert_eq!(value(x.count_nonzero(Keep(1)).cast(F32)), [0.0, 2.0]);
        assert_eq!(value(x.nansum(All)), [2.0]);
        let e = g.full(BOOL, [0], 0.0);
        assert_eq!(
            value(e.any(0).cast(F32).unsqueeze(0).concat(&[e.all(0).cast(F32).unsqueeze(0)], 0)),
            [0.0, 1.0]
        );
    }
}
