//! Values with their positions: extremes, sorted lines, order statistics.

use pleach_graph::TypeError;

use crate::Var;
use crate::reduce::{IntoAxes, Keep};

impl<'g> Var<'g> {
    /// Values at positions along an axis that `places` gives with length 1, and the positions.
    #[track_caller]
    fn chosen(
        self,
        op: &str,
        axes: impl IntoAxes,
        places: impl FnOnce(Var<'g>, i64) -> Var<'g>,
    ) -> (Var<'g>, Var<'g>) {
        let mut found = None;
        let values = self.reduced(op, axes, |x, axes| {
            let (line, axis) = x.as_one_axis(axes);
            let at = places(line, axis as i64);
            found = Some(at);
            line.gather(axis as i64, at).reshape(x.shape().without(axes))
        });
        let positions = found.map_or(values, |at| at.reshape(values.shape()));
        (values, positions)
    }

    /// The maximum over an axis and its position (i64), the first of equal ones: the gradient goes
    /// there. NaN counts as the largest. Over several axes, the position among their elements in
    /// row-major order. [`Var::max`] shares the gradient among equal maxima instead.
    #[track_caller]
    pub fn max_with_index(self, axes: impl IntoAxes) -> (Var<'g>, Var<'g>) {
        let _at = self.graph().at();
        self.chosen("max_with_index", axes, |x, axis| x.argmax(Keep(axis)))
    }

    /// The minimum over an axis and its position; as [`Var::max_with_index`], but NaN counts as the
    /// smallest.
    #[track_caller]
    pub fn min_with_index(self, axes: impl IntoAxes) -> (Var<'g>, Var<'g>) {
        let _at = self.graph().at();
        self.chosen("min_with_index", axes, |x, axis| x.argmin(Keep(axis)))
    }

    /// An axis sorted, and the positions (i64) that its elements had. Stable; NaN counts as the
    /// largest. The gradient goes back to these positions.
    #[track_caller]
    pub fn sort(self, axis: i64, descending: bool) -> (Var<'g>, Var<'g>) {
        let _at = self.graph().at();
        let places = self.argsort(axis, descending);
        (self.gather(axis, places), places)
    }

    /// The `k` largest (or smallest) elements along an axis, in order, and their positions.
    #[track_caller]
    pub fn topk(self, k: usize, axis: i64, largest: bool) -> (Var<'g>, Var<'g>) {
        let _at = self.graph().at();
        if let Err(reason) = self.within("k", k, axis) {
            let refused = self.refuse("topk", &[self], reason);
            return (refused, refused);
        }
        let places = self.argsort(axis, largest).slice(axis, 0..k);
        (self.gather(axis, places), places)
    }

    /// The `k`-th smallest element over an axis, counted from 1, and its position.
    #[track_caller]
    pub fn kthvalue(self, k: usize, axes: impl IntoAxes) -> (Var<'g>, Var<'g>) {
        let _at = self.graph().at();
        self.chosen("kthvalue", axes, |x, axis| match (k, x.within("k", k, axis)) {
            (0, _) => x.refuse("kthvalue", &[x], TypeError::Attribute("k counts from 1".into())),
            (_, Err(reason)) => x.refuse("kthvalue", &[x], reason),
            _ => x.argsort(axis, false).slice(axis, k - 1..k),
        })
    }

    /// The median over an axis, of two middle elements the lower, and its position. NaN if there is
    /// one.
    #[track_caller]
    pub fn median(self, axes: impl IntoAxes) -> (Var<'g>, Var<'g>) {
        let _at = self.graph().at();
        self.chosen("median", axes, |x, axis| {
            let n = x.size(axis);
            if n == 0 {
                let why = TypeError::Attribute("an empty axis has no median".into());
                return x.refuse("median", &[x], why);
            }
            let middle = (n - 1) / 2;
            let middle = x.argsort(axis, false).slice(axis, middle..middle + 1);
            if !x.dtype().is_float() {
                return middle;
            }
            // NaN counts as the largest: it is there if the largest is NaN.
            let (largest, at) = x.max_with_index(Keep(axis));
            largest.equal(largest).select(middle, at)
        })
    }

    fn within(self, what: &str, k: usize, axis: i64) -> Result<(), TypeError> {
        let n = self.shape()[self.axis(axis)?];
        let why = || TypeError::Attribute(format!("{what} is {k}, the axis has length {n}"));
        if k <= n { Ok(()) } else { Err(why()) }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn the_gradient_goes_to_the_first_of_equal_ones() {
        let g = Graph::new();
        let x = g.input("x", F64, [2, 3]);
        let at = Tensor::new([2, 3], vec![1.0, 5.0, 5.0, 0.0, 5.0, 0.0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        let (y, i) = x.max_with_index(1);
        assert_eq!((value(y), value(i.cast(F64))), (vec![5.0, 5.0], vec![1.0, 1.0]));
        assert_eq!(value(g.grad(y, &[x])[0]), [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        let (y, i) = x.min_with_index(Keep(All));
        assert_eq!(
            (y.shape(), value(y), value(i.cast(F64))),
            ([1, 1].into(), vec![0.0], vec![3.0])
        );
    }

    #[test]
    fn order_statistics() {
        let g = Graph::new();
        let x = g.input("x", F64, [4]);
        let at = Tensor::new([4], vec![3.0, 1.0, 4.0, 2.0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(x.sort(0, true).0), [4.0, 3.0, 2.0, 1.0]);
        assert_eq!(value(x.topk(2, 0, true).0), [4.0, 3.0]);
        assert_eq!(value(x.topk(2, 0, false).0), [1.0, 2.0]);
        assert_eq!(value(x.kthvalue(3, 0).0), [3.0]);
        assert_eq!(value(x.median(All).0), [2.0]);
        assert_eq!(value(g.grad(x.median(0).0, &[x])[0]), [0.0, 0.0, 0.0, 1.0]);
        let nan = Tensor::new([4], vec![3.0, f64::NAN, 4.0, 2.0]).unwrap();
        assert!(x.median(0).0.eval(&[&nan]).unwrap().item().unwrap().is_nan());
        assert!(x.topk(5, 0, true).0.ok().is_err());
        assert!(x.kthvalue(0, 0).0.ok().is_err());
    }
}
