//! Means and variances.

use pleach_tensor::DType;

use crate::Var;
use crate::reduce::IntoAxes;

impl<'g> Var<'g> {
    /// The mean of all elements. Booleans and integers are counted as `f32`: the mean of
    /// `a.equal(b)` is the fraction that is equal. NaN if there are no elements.
    #[track_caller]
    pub fn mean(self) -> Var<'g> {
        self.mean_over(crate::reduce::All)
    }

    /// The mean over axes (`-1` is the last), which are removed.
    #[track_caller]
    pub fn mean_over(self, axes: impl IntoAxes) -> Var<'g> {
        let _at = self.graph().at();
        let x = if self.dtype().is_float() { self } else { self.cast(DType::F32) };
        match axes.axes(x) {
            Ok(axes) => {
                let n: usize = axes.iter().map(|&a| x.shape()[a]).product();
                x.sum(axes.iter().map(|&a| a as i64).collect::<Vec<_>>()) / n
            }
            Err(reason) => self.refuse("mean", &[self], reason),
        }
    }

    /// The variance over axes, which are removed: `Σ (x - mean)² / (n - correction)`. With
    /// `correction` 1 it is the unbiased estimate, with 0 that of a whole population. Two passes:
    /// no digits are lost when the mean is large.
    #[track_caller]
    pub fn var(self, axes: impl IntoAxes, correction: f64) -> Var<'g> {
        let _at = self.graph().at();
        match axes.axes(self) {
            Ok(axes) => {
                let n: usize = axes.iter().map(|&a| self.shape()[a]).product();
                let list = || axes.iter().map(|&a| a as i64).collect::<Vec<_>>();
                let centered = self - self.mean_over(list()).unreduce(&axes, self);
                (centered * centered).sum(list()) / (n as f64 - correction).max(0.0)
            }
            Err(reason) => self.refuse("var", &[self], reason),
        }
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
    }

    #[test]
    fn the_mean_of_a_comparison_is_a_fraction() {
        let g = Graph::new();
        let x = g.input("x", I64, [4]);
        let at = Tensor::new([4], vec![1i64, 2, 1, 1]).unwrap();
        assert_eq!(x.equal(1).mean().eval(&[&at]).unwrap(), Tensor::scalar(0.75f32));
    }
}
