//! Reductions over axes, cumulative operators along an axis, and sorting.

pub mod argmax;
pub mod argmin;
pub mod argsort;
pub mod cumargmax;
pub mod cumargmin;
pub mod cumprod;
pub mod cumsum;
pub mod linear_scan;
pub mod logcumsumexp;
pub mod max;
pub mod min;
pub mod prod;
pub mod sum;

use pleach_graph::TypeError;
use pleach_tensor::{DType, Shape, Tensor, Type};

use crate::{Dims, GraphExt, Op, Sample, SampleOperand, Var};

/// The axes of a reduction as users give them: one, several, or all; [`Keep`] of them.
pub trait IntoAxes {
    /// As increasing indices; negative axes count from the end.
    ///
    /// # Errors
    /// [`TypeError::Axis`] if one does not exist.
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError>;

    /// Do the axes stay in the result, with length 1?
    fn keeps(&self) -> bool {
        false
    }
}

/// Every axis.
#[derive(Clone, Copy, Debug)]
pub struct All;

/// These axes, which stay in the result with length 1: `x.sum(Keep(-1))`.
#[derive(Clone, Copy, Debug)]
pub struct Keep<A>(pub A);

impl IntoAxes for All {
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError> {
        Ok((0..x.shape().rank()).collect())
    }
}

impl<A: IntoAxes> IntoAxes for Keep<A> {
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError> {
        self.0.axes(x)
    }

    fn keeps(&self) -> bool {
        true
    }
}

impl IntoAxes for i64 {
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError> {
        Ok(vec![x.axis(*self)?])
    }
}

impl IntoAxes for &[i64] {
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError> {
        let mut axes = self.iter().map(|&a| x.axis(a)).collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        Ok(axes)
    }
}

impl<const N: usize> IntoAxes for [i64; N] {
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError> {
        self.as_slice().axes(x)
    }
}

impl IntoAxes for Vec<i64> {
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError> {
        self.as_slice().axes(x)
    }
}

/// Axes that are checked already: increasing indices.
impl IntoAxes for &[usize] {
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError> {
        self.iter().map(|&a| x.axis(a as i64)).collect()
    }
}

impl<'g> Var<'g> {
    /// Puts back axes that a reduction removed, with length 1, and stretches them to `like`.
    #[track_caller]
    pub(crate) fn unreduce(self, axes: &[usize], like: Var<'g>) -> Var<'g> {
        let shape = like.shape();
        self.reshape(shape.keeping(axes)).broadcast_to(shape)
    }

    /// `f` of the axes, which it removes; put back with length 1 if they are to stay.
    #[track_caller]
    pub(crate) fn reduced(
        self,
        op: &str,
        axes: impl IntoAxes,
        f: impl FnOnce(Var<'g>, &[usize]) -> Var<'g>,
    ) -> Var<'g> {
        let axes_of = axes.axes(self).and_then(|axes| {
            let twice = axes.windows(2).any(|w| w[0] == w[1]);
            let why = || TypeError::Attribute(format!("an axis is named twice in {axes:?}"));
            if twice { Err(why()) } else { Ok(axes) }
        });
        match axes_of {
            Ok(list) => {
                let y = f(self, &list);
                if axes.keeps() { y.reshape(self.shape().keeping(&list)) } else { y }
            }
            Err(reason) => self.refuse(op, &[self], reason),
        }
    }

    /// `f` along an axis, which it removes. Several axes are made one, the last.
    #[track_caller]
    pub(crate) fn along(
        self,
        op: &str,
        axes: impl IntoAxes,
        f: impl FnOnce(Var<'g>, usize) -> Var<'g>,
    ) -> Var<'g> {
        // A closure is no place of the user's.
        let _at = self.graph().at();
        self.reduced(op, axes, |x, axes| {
            let (x, axis) = x.as_one_axis(axes);
            f(x, axis)
        })
    }

    /// The value with `axes` joined into one, row-major, which is the last unless it was one
    /// already.
    #[track_caller]
    pub(crate) fn as_one_axis(self, axes: &[usize]) -> (Var<'g>, usize) {
        if let [axis] = axes {
            return (self, *axis);
        }
        let shape = self.shape();
        let order: Vec<i64> = axes_last(shape.rank(), axes).iter().map(|&a| a as i64).collect();
        let len: usize = axes.iter().map(|&a| shape[a]).product();
        let joined: Shape = shape.without(axes).iter().copied().chain([len]).collect();
        let last = joined.rank() - 1;
        (self.permute(&order).reshape(joined), last)
    }

    /// The elements along an axis at the places that `op` gives, and these places.
    #[track_caller]
    pub(crate) fn at_places(
        self,
        name: &str,
        axis: i64,
        op: impl FnOnce(usize) -> Op,
    ) -> (Var<'g>, Var<'g>) {
        match self.axis(axis) {
            Ok(at) => {
                let places = self.record(op(at), &[self]);
                (self.gather(axis, places), places)
            }
            Err(reason) => {
                let refused = self.refuse(name, &[self], reason);
                (refused, refused)
            }
        }
    }

    /// Along an axis every element in the place of the next, `first` in the place of the first;
    /// with `reverse`, the other way.
    #[track_caller]
    pub(crate) fn delayed(self, axis: usize, reverse: bool, first: f64) -> Var<'g> {
        let (shape, at) = (self.shape(), axis as i64);
        let Some(len) = shape.get(axis).copied().filter(|&len| len > 0) else { return self };
        let first = self.graph().full(self.dtype(), shape.with_axis(axis, 1), first);
        if reverse {
            self.slice(at, 1..len).concat(&[first], at)
        } else {
            first.concat(&[self.slice(at, 0..len - 1)], at)
        }
    }
}

/// All axes, those of `axes` last.
pub(crate) fn axes_last(rank: usize, axes: &[usize]) -> Vec<usize> {
    (0..rank).filter(|a| !axes.contains(a)).chain(axes.iter().copied()).collect()
}

/// Along `axis`, the place of the first element that no other is better than, for the interpreter.
pub(crate) fn first_best(
    x: &Tensor,
    y: &Type,
    axis: usize,
    float: impl Fn(f64, f64) -> bool,
    int: impl Fn(i64, i64) -> bool,
) -> Tensor {
    let len = x.shape()[axis];
    let inner: usize = x.shape()[axis + 1..].iter().product();
    let at = |i: usize, k: usize| (i / inner * len + k) * inner + i % inner;
    let best = |i: usize, better: &dyn Fn(usize, usize) -> bool| {
        (1..len).fold(0, |best, k| if better(at(i, k), at(i, best)) { k } else { best }) as i64
    };
    if x.dtype().is_float() {
        let v = x.to_f64s();
        return Tensor::build_i64(y, |i| {
            best(i, &|a, b| float(v[a], v[b]) || (v[a].is_nan() && !v[b].is_nan()))
        });
    }
    let v = x.to_i64s();
    Tensor::build_i64(y, |i| best(i, &|a, b| int(v[a], v[b])))
}

/// Samples of a reduction over some axes and over all, of floats and of integers.
pub(crate) fn reduction_samples<O: Into<Op>>(
    dims: &Dims,
    ints: DType,
    new: impl Fn(&[usize]) -> O,
    float: impl Fn() -> SampleOperand,
) -> [Sample; 3] {
    let (some, all) = (dims.axes(1), (0..dims.shape.rank()).collect::<Vec<_>>());
    let ints = dims.of(ints, dims.shape.clone());
    [
        Sample::new(new(&some), [float()]),
        Sample::new(new(&all), [float()]),
        Sample::new(new(&some), [ints]),
    ]
}

/// Samples of an operator along an axis, of floats and of integers, for every axis.
pub(crate) fn axis_samples<O: Into<Op>>(
    dims: &Dims,
    ints: DType,
    new: impl Fn(usize) -> O,
) -> impl Iterator<Item = Sample> {
    (0..dims.shape.rank()).flat_map(move |axis| {
        let ints = dims.of(ints, dims.shape.clone());
        [Sample::new(new(axis), [dims.float()]), Sample::new(new(axis), [ints])]
    })
}

/// The lines of a tensor along an axis, for the interpreter.
pub(crate) struct Lines {
    len: usize,
    inner: usize,
    reverse: bool,
}

/// The lines of `x` along `axis`, walked from the beginning or from the end.
pub(crate) fn scan_lines(x: &Tensor, axis: usize, reverse: bool) -> Lines {
    let inner = x.shape()[axis + 1..].iter().product();
    Lines { len: x.shape()[axis], inner, reverse }
}

impl Lines {
    /// For each of `n` elements `next` of what the element before it gave (`None` for the first of
    /// a line), and its place.
    pub(crate) fn scan<S: Copy + Default>(
        &self,
        n: usize,
        next: impl Fn(Option<S>, usize) -> S,
    ) -> Vec<S> {
        let mut values = vec![S::default(); n];
        let lines = if n == 0 { 0 } else { n / self.len };
        for line in 0..lines {
            let start = line / self.inner * self.len * self.inner + line % self.inner;
            let mut state = None;
            for k in 0..self.len {
                let k = if self.reverse { self.len - 1 - k } else { k };
                let at = start + k * self.inner;
                let value = next(state, at);
                (state, values[at]) = (Some(value), value);
            }
        }
        values
    }

    /// The place along the line of the best element so far, the last of equal ones and of NaN.
    pub(crate) fn last_best(
        &self,
        x: &Tensor,
        y: &Type,
        float: impl Fn(f64, f64) -> bool,
        int: impl Fn(i64, i64) -> bool,
    ) -> Tensor {
        let run = |keeps: &dyn Fn(usize, usize) -> bool| {
            self.scan(y.numel(), |best, i| best.filter(|&b: &usize| keeps(i, b)).unwrap_or(i))
        };
        let places = if x.dtype().is_float() {
            let v = x.to_f64s();
            run(&|i, best| !(v[i].is_nan() || float(v[i], v[best])))
        } else {
            let v = x.to_i64s();
            run(&|i, best| !int(v[i], v[best]))
        };
        Tensor::build_i64(y, |i| (places[i] / self.inner % self.len) as i64)
    }

    /// `x` at the first element of a line, then the function of what came before and `x`.
    pub(crate) fn fold(
        &self,
        x: &Tensor,
        y: &Type,
        float: impl Fn(f64, f64) -> f64,
        int: impl Fn(i64, i64) -> i64,
    ) -> Tensor {
        if x.dtype().is_float() {
            let x = x.to_f64s();
            let values = self.scan(y.numel(), |a, i| a.map_or(x[i], |a| float(a, x[i])));
            return Tensor::build(y, |i| values[i]);
        }
        let x = x.to_i64s();
        let values = self.scan(y.numel(), |a, i| a.map_or(x[i], |a| int(a, x[i])));
        Tensor::build_i64(y, |i| values[i])
    }
}
