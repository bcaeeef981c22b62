//! Pooling and flattening as layers.

use pleach_ops::PoolOptions;
use pleach_ops::prelude::*;

/// The maximum of every window of the last axes, see [`Var::max_pool`].
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool {
    /// The windows.
    pub options: PoolOptions,
}

impl MaxPool {
    /// Windows of these lengths, one for every spatial axis, side by side.
    ///
    /// ```
    /// use pleach_nn::MaxPool;
    /// use pleach_ops::prelude::*;
    /// let g = Graph::eval();
    /// let y = MaxPool::new([2, 2]).call(g.input("x", F32, [8, 16, 28, 28]));
    /// assert_eq!(y.shape(), [8, 16, 14, 14].into());
    /// ```
    pub fn new<const N: usize>(size: [usize; N]) -> MaxPool {
        MaxPool { options: PoolOptions::new(size) }
    }

    /// The layer's value at `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.max_pool(&self.options)
    }
}

/// The mean of every window of the last axes, see [`Var::avg_pool`].
#[derive(Clone, Debug, PartialEq)]
pub struct AvgPool {
    /// The windows.
    pub options: PoolOptions,
}

impl AvgPool {
    /// Windows of these lengths, one for every spatial axis, side by side.
    pub fn new<const N: usize>(size: [usize; N]) -> AvgPool {
        AvgPool { options: PoolOptions::new(size) }
    }

    /// The layer's value at `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.avg_pool(&self.options)
    }
}

impl From<PoolOptions> for MaxPool {
    fn from(options: PoolOptions) -> MaxPool {
        MaxPool { options }
    }
}

impl From<PoolOptions> for AvgPool {
    fn from(options: PoolOptions) -> AvgPool {
        AvgPool { options }
    }
}

/// The lengths given, and those of `x` where none is.
fn lengths(x: Var<'_>, given: &[Option<usize>]) -> Vec<usize> {
    let n = given.len() as i64;
    (0..n).zip(given).map(|(i, length)| length.unwrap_or_else(|| x.size(i - n))).collect()
}

/// Means of windows that cover the last axes evenly, see [`Var::adaptive_avg_pool`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdaptiveAvgPool {
    /// The lengths that the last axes get; nothing where an axis keeps its own.
    pub lengths: Vec<Option<usize>>,
}

impl AdaptiveAvgPool {
    /// To these lengths. `[1, 1]` is global pooling of pictures.
    pub fn new<const N: usize>(lengths: [usize; N]) -> AdaptiveAvgPool {
        AdaptiveAvgPool { lengths: lengths.map(Some).to_vec() }
    }

    /// The layer's value at `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.adaptive_avg_pool(&lengths(x, &self.lengths))
    }
}

/// Maxima of windows that cover the last axes evenly, see [`Var::adaptive_max_pool`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdaptiveMaxPool {
    /// The lengths that the last axes get; nothing where an axis keeps its own.
    pub lengths: Vec<Option<usize>>,
}

impl AdaptiveMaxPool {
    /// To these lengths.
    pub fn new<const N: usize>(lengths: [usize; N]) -> AdaptiveMaxPool {
        AdaptiveMaxPool { lengths: lengths.map(Some).to_vec() }
    }

    /// The layer's value at `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.adaptive_max_pool(&lengths(x, &self.lengths))
    }
}

/// All axes but the batch joined into one: what stands between convolutions and a linear layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flatten;

impl Flatten {
    /// The layer's value at `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.flatten(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let g = Graph::eval();
        let x = g.input("x", F32, [2, 3, 6, 8]);
        let shape = |y: Var<'_>| y.ok().unwrap().shape().to_vec();
        assert_eq!(shape(MaxPool::new([2, 2]).call(x)), [2, 3, 3, 4]);
        assert_eq!(shape(MaxPool::from(PoolOptions::new([3]).stride(2)).call(x)), [2, 3, 6, 3]);
        assert_eq!(shape(AvgPool::new([3, 4]).call(x)), [2, 3, 2, 2]);
        assert_eq!(shape(AdaptiveAvgPool::new([1, 1]).call(x)), [2, 3, 1, 1]);
        let keep = AdaptiveMaxPool { lengths: vec![None, Some(3)] };
        assert_eq!(shape(keep.call(x)), [2, 3, 6, 3]);
        assert_eq!(shape(Flatten.call(x)), [2, 144]);
    }
}
