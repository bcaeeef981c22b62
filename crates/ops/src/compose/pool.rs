//! Pooling over sliding windows of the last axes.

use pleach_graph::TypeError;
use pleach_tensor::{Tensor, Type};

use crate::compose::spatial::reach;
use crate::{GraphExt, PerAxis, Span, Var, Window};

/// The windows of a pooling. They lie along as many of the last axes as sizes are given.
///
/// ```
/// use pleach_ops::{PoolOptions, prelude::*};
/// let g = Graph::new();
/// let x = g.input("x", F32, [8, 3, 28, 28]);
/// let y = x.max_pool(&PoolOptions::new([2, 2]));
/// assert_eq!(y.shape(), [8, 3, 14, 14].into());
/// let z = x.avg_pool(&PoolOptions::new([3, 3]).stride(2).padding(1).count_include_pad(false));
/// assert_eq!(z.shape(), [8, 3, 14, 14].into());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolOptions {
    /// Length of a window along each axis.
    pub size: Vec<usize>,
    /// Distance of two windows. Their length if nothing is said.
    pub stride: Option<PerAxis>,
    /// Places around the value: they are no elements to a maximum, and zeros to a mean. At most half
    /// of a window. 0 if nothing is said.
    pub padding: PerAxis,
    /// Distance of two elements of a window, for maxima. 1 if nothing is said.
    pub dilation: PerAxis,
    /// Is there a last window that does not fit, cut off at the end? Not if nothing is said.
    pub ceil_mode: bool,
    /// Do zeros of the padding count in a mean? They do if nothing is said.
    pub count_include_pad: bool,
    /// What a mean divides by, whatever the number of elements.
    pub divisor_override: Option<usize>,
}

impl PoolOptions {
    /// Windows of these lengths side by side.
    pub fn new(size: impl Into<Vec<usize>>) -> PoolOptions {
        PoolOptions {
            size: size.into(),
            stride: None,
            padding: 0.into(),
            dilation: 1.into(),
            ceil_mode: false,
            count_include_pad: true,
            divisor_override: None,
        }
    }

    /// Distance of two windows.
    #[must_use]
    pub fn stride(self, stride: impl Into<PerAxis>) -> PoolOptions {
        PoolOptions { stride: Some(stride.into()), ..self }
    }

    /// Places around the value.
    #[must_use]
    pub fn padding(self, padding: impl Into<PerAxis>) -> PoolOptions {
        PoolOptions { padding: padding.into(), ..self }
    }

    /// Distance of two elements of a window.
    #[must_use]
    pub fn dilation(self, dilation: impl Into<PerAxis>) -> PoolOptions {
        PoolOptions { dilation: dilation.into(), ..self }
    }

    /// A last window that does not fit, cut off at the end.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> PoolOptions {
        PoolOptions { ceil_mode, ..self }
    }

    /// Do zeros of the padding count in a mean?
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> PoolOptions {
        PoolOptions { count_include_pad, ..self }
    }

    /// What a mean divides by.
    #[must_use]
    pub fn divisor_override(self, divisor: usize) -> PoolOptions {
        PoolOptions { divisor_override: Some(divisor), ..self }
    }

    /// The windows along the last axes of a value.
    fn along(&self, x: Var<'_>) -> Result<Vec<Along>, TypeError> {
        let (shape, n) = (x.shape(), self.size.len());
        if n == 0 || n > shape.rank() {
            let why = format!("pooling over {n} axes of {}", shape.rank());
            return Err(TypeError::Attribute(why));
        }
        let stride = match &self.stride {
            Some(stride) => stride.numbers("stride", n)?,
            None => self.size.clone(),
        };
        let padding = self.padding.numbers("padding", n)?;
        let dilation = self.dilation.numbers("dilation", n)?;
        let lengths = &shape[shape.rank() - n..];
        (0..n)
            .map(|i| {
                let window = Window {
                    axis: shape.rank() - n + i,
                    size: self.size[i],
                    stride: stride[i],
                    dilation: dilation[i],
                };
                Along::new(window, padding[i], lengths[i], self.ceil_mode)
            })
            .collect()
    }
}

/// The windows along one axis.
#[derive(Clone, Copy)]
struct Along {
    window: Window,
    padding: usize,
    /// Length of the axis.
    len: usize,
    /// Number of windows.
    count: usize,
    /// From the first window to the end of the last, padding included.
    end: usize,
}

impl Along {
    fn new(window: Window, padding: usize, len: usize, ceil: bool) -> Result<Along, TypeError> {
        let refused = |why: String| Err(TypeError::Attribute(why));
        let reach = reach(window.size, window.dilation)?;
        if window.stride == 0 || window.dilation == 0 {
            return refused("stride and dilation of a window must be at least 1".into());
        }
        if padding > reach.saturating_add(1) / 2 {
            return refused(format!("padding {padding} is more than half of a window"));
        }
        let padded = padding.checked_mul(2).and_then(|both| both.checked_add(len));
        let rest = padded.and_then(|n| n.checked_add(if ceil { window.stride - 1 } else { 0 }));
        let rest = rest.and_then(|n| n.checked_sub(reach)?.checked_sub(1));
        let Some(mut count) = rest.map(|rest| rest / window.stride + 1) else {
            return refused(format!(
                "a window of {} elements, {} apart, does not fit an axis of length {len}",
                window.size, window.dilation
            ));
        };
        // A window that is cut off begins inside of the value or its padding on the left.
        if ceil && (count - 1) * window.stride >= len + padding {
            count -= 1;
        }
        match window.length(count) {
            Some(end) => Ok(Along { window, padding, len, count, end }),
            None => refused("windows reach farther than can be counted".into()),
        }
    }

    fn span(&self) -> Span {
        let Window { size, stride, dilation, .. } = self.window;
        Span::Sliding { size, stride, dilation, padding: self.padding, count: self.count }
    }

    /// How many elements a mean over each window counts.
    fn counted(&self, include_pad: bool) -> Vec<usize> {
        let (low, high) = if include_pad {
            (0, self.len + 2 * self.padding)
        } else {
            (self.padding, self.len + self.padding)
        };
        let window = |o: usize| {
            let from = o * self.window.stride;
            (from + self.window.size).min(high).saturating_sub(from.max(low))
        };
        (0..self.count).map(window).collect()
    }
}

impl<'g> Var<'g> {
    /// The maximum of every window of the last axes. Its gradient goes to the first of equal maxima.
    /// NaN if there is one. Places of the padding are never chosen.
    #[track_caller]
    pub fn max_pool(self, options: &PoolOptions) -> Var<'g> {
        self.max_pool_with_indices(options).0
    }

    /// As [`Var::max_pool`], with the place of every maximum: its index, row-major over the axes that
    /// are pooled (i64).
    #[track_caller]
    pub fn max_pool_with_indices(self, options: &PoolOptions) -> (Var<'g>, Var<'g>) {
        if self.ty().is_none() {
            let poisoned = self.untyped("max_pool", &[self]);
            return (poisoned, poisoned);
        }
        match options.along(self) {
            Ok(along) => {
                let _at = self.graph().at();
                let spans: Vec<Span> = along.iter().map(Along::span).collect();
                self.gather_pool(self.argmax_pool(&spans), spans.len())
            }
            Err(reason) => {
                let poisoned = self.refuse("max_pool", &[self], reason);
                (poisoned, poisoned)
            }
        }
    }

    /// The elements at places of the last `n` axes, and the places.
    #[track_caller]
    pub(crate) fn gather_pool(self, places: Var<'g>, n: usize) -> (Var<'g>, Var<'g>) {
        if places.ty().is_none() {
            return (places, places);
        }
        let flat = |v: Var<'g>| {
            let shape = v.shape();
            let (lead, last) = shape.split_at(shape.rank() - n);
            v.reshape([lead, &[last.iter().product()]].concat())
        };
        (flat(self).gather(-1, flat(places)).reshape(places.shape()), places)
    }

    /// The mean of every window of the last axes: its sum, divided by the number of its elements, or
    /// by `divisor_override`.
    #[track_caller]
    pub fn avg_pool(self, options: &PoolOptions) -> Var<'g> {
        if self.ty().is_none() {
            return self.untyped("avg_pool", &[self]);
        }
        let along = match self.require_mean().and_then(|()| options.along(self)) {
            Ok(along) if along.iter().all(|a| a.window.dilation == 1) => along,
            Ok(_) => {
                let why = TypeError::Attribute("a mean has no dilation".into());
                return self.refuse("avg_pool", &[self], why);
            }
            Err(reason) => return self.refuse("avg_pool", &[self], reason),
        };
        if options.divisor_override == Some(0) {
            let why = TypeError::Attribute("the divisor must not be 0".into());
            return self.refuse("avg_pool", &[self], why);
        }
        let _at = self.graph().at();
        let sums = self.sum_pool(&along);
        match options.divisor_override {
            Some(divisor) => sums / divisor,
            None => {
                let counted = along.iter().map(|a| a.counted(options.count_include_pad));
                sums.divided(&counted.collect::<Vec<_>>())
            }
        }
    }

    /// The sum of every window.
    #[track_caller]
    fn sum_pool(self, along: &[Along]) -> Var<'g> {
        let sides = |a: &Along| (a.padding, a.end.saturating_sub(a.len + a.padding));
        let windows: Vec<Window> = along.iter().map(|a| a.window).collect();
        let x = self.pad_last(&along.iter().map(sides).collect::<Vec<_>>()).windows(&windows);
        // The places in a window in front: whole rows of windows are added to one another.
        let (rank, n) = (self.shape().rank() as i64, along.len() as i64);
        let order: Vec<i64> = (rank..rank + n).chain(0..rank).collect();
        x.permute(&order).sum((0..n).collect::<Vec<_>>())
    }

    /// Divided by the number of elements of every window: the product of those along each of the last
    /// axes.
    #[track_caller]
    pub(crate) fn divided(self, counted: &[Vec<usize>]) -> Var<'g> {
        let first: Vec<usize> = counted.iter().map(|c| c.first().copied().unwrap_or(1)).collect();
        if counted.iter().zip(&first).all(|(c, first)| c.iter().all(|n| n == first)) {
            return self / first.iter().map(|&n| n as f64).product::<f64>();
        }
        let mut all = vec![1.0];
        for counts in counted {
            let next = |n: f64| counts.iter().map(move |&m| n * m as f64);
            all = all.into_iter().flat_map(next).collect();
        }
        let shape: Vec<usize> = counted.iter().map(Vec::len).collect();
        match Type::new(self.dtype(), shape) {
            Ok(ty) => self / self.graph().constant(Tensor::build(&ty, |i| all[i])),
            Err(error) => self.refuse("avg_pool", &[self], TypeError::TooLarge(error)),
        }
    }

    /// Is it a float? A mean of integers is none.
    pub(crate) fn require_mean(self) -> Result<(), TypeError> {
        let got = self.dtype();
        let float = TypeError::DType { operand: 0, expected: "a float", got };
        if got.is_float() { Ok(()) } else { Err(float) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn line(values: &[f64]) -> Tensor {
        Tensor::new([values.len()], values.to_vec()).unwrap()
    }

    #[test]
    fn maxima_their_places_and_the_gradient_of_the_first() {
        let g = Graph::new();
        let x = g.input("x", F64, [5]);
        let at = line(&[-1.0, -3.0, -3.0, -2.0, -7.0]);
        let options = PoolOptions::new([2]).padding(1).ceil_mode(true);
        let (y, places) = x.max_pool_with_indices(&options);
        assert_eq!(y.eval(&[&at]).unwrap().to_f64s(), [-1.0, -3.0, -2.0]);
        assert_eq!(places.eval(&[&at]).unwrap().to_i64s(), [0, 1, 3]);
        let dx = g.grad(x.max_pool(&PoolOptions::new([2]).stride(1)), &[x])[0];
        assert_eq!(dx.eval(&[&at]).unwrap().to_f64s(), [1.0, 1.0, 0.0, 2.0, 0.0]);
        let nothing = line(&[f64::NEG_INFINITY; 5]);
        assert_eq!(places.eval(&[&nothing]).unwrap().to_i64s(), [0, 1, 3]);
    }

    #[test]
    fn means_count_their_elements() {
        let g = Graph::new();
        let x = g.input("x", F64, [5]);
        let at = line(&[1.0, 2.0, 3.0, 4.0, 6.0]);
        let value = |options: PoolOptions| x.avg_pool(&options).eval(&[&at]).unwrap().to_f64s();
        let ceil = PoolOptions::new([2]).padding(1).ceil_mode(true);
        assert_eq!(value(ceil.clone()), [0.5, 2.5, 5.0]);
        assert_eq!(value(ceil.clone().count_include_pad(false)), [1.0, 2.5, 5.0]);
        assert_eq!(value(ceil.divisor_override(4)), [0.25, 1.25, 2.5]);
        assert_eq!(value(PoolOptions::new([3]).stride(3).ceil_mode(true)), [2.0, 5.0]);
        assert_eq!(value(PoolOptions::new([2]).stride(3)), [1.5, 5.0]);
    }

    #[test]
    fn wrong_windows_are_refused() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 5]);
        let good = PoolOptions::new([3]);
        assert!(x.max_pool(&good).ok().is_ok());
        for wrong in [
            good.clone().padding(2),
            good.clone().stride(0),
            good.clone().dilation(0),
            good.clone().dilation(3),
            good.clone().stride([1, 1]),
            good.clone().dilation(usize::MAX),
            PoolOptions::new([]),
            PoolOptions::new([0]),
            PoolOptions::new([6]),
            PoolOptions::new([1, 1, 1]),
        ] {
            assert!(x.max_pool(&wrong).ok().is_err(), "{wrong:?}");
            assert!(x.avg_pool(&wrong).ok().is_err(), "{wrong:?}");
        }
        assert!(x.avg_pool(&good.clone().dilation(2)).ok().is_err());
        assert!(x.avg_pool(&good.clone().divisor_override(0)).ok().is_err());
        assert!(g.input("i", I64, [5]).avg_pool(&good).ok().is_err());
    }
}
