//! Building blocks of reference evaluations: elementwise functions and movements of elements.
//!
//! Floats are computed in `f64` and rounded once. For `+ − × ÷ √` on `f32` that gives the bits of
//! IEEE single precision (53 ≥ 2·24 + 2 digits); for the others the oracle is better than any
//! single-precision kernel.

use pleach_tensor::compare::unravel;
use pleach_tensor::{Element, Tensor, Type, for_dtype};

/// `f` of every element of a float tensor.
pub fn map(x: &Tensor, f: impl Fn(f64) -> f64) -> Tensor {
    let x64 = x.to_f64s();
    Tensor::build(x.ty(), |i| f(x64[i]))
}

/// `float` or `int` of every element.
pub fn unary(x: &Tensor, float: impl Fn(f64) -> f64, int: impl Fn(i64) -> i64) -> Tensor {
    if x.dtype().is_float() {
        return map(x, float);
    }
    let ints = x.to_i64s();
    Tensor::build_i64(x.ty(), |i| int(ints[i]))
}

/// `float` or `int` of every pair of elements; integers wrap to their type.
pub fn binary(
    a: &Tensor,
    b: &Tensor,
    float: impl Fn(f64, f64) -> f64,
    int: impl Fn(i64, i64) -> i64,
) -> Tensor {
    if a.dtype().is_float() {
        let (x, y) = (a.to_f64s(), b.to_f64s());
        return Tensor::build(a.ty(), |i| float(x[i], y[i]));
    }
    let (x, y) = (a.to_i64s(), b.to_i64s());
    Tensor::build_i64(a.ty(), |i| int(x[i], y[i]))
}

/// A boolean of every pair of elements.
pub fn compare(
    a: &Tensor,
    b: &Tensor,
    float: impl Fn(f64, f64) -> bool,
    int: impl Fn(i64, i64) -> bool,
) -> Tensor {
    let ty = a.ty().with_dtype(pleach_tensor::BOOL);
    if a.dtype().is_float() {
        let (x, y) = (a.to_f64s(), b.to_f64s());
        return Tensor::build_i64(&ty, |i| i64::from(float(x[i], y[i])));
    }
    let (x, y) = (a.to_i64s(), b.to_i64s());
    Tensor::build_i64(&ty, |i| i64::from(int(x[i], y[i])))
}

/// The tensor of type `y` whose element at an index is the element of `x` at the index that
/// `from` gives, or zero if it gives none. Moves bits.
pub fn movement(x: &Tensor, y: &Type, from: impl FnMut(&[usize]) -> Option<Vec<usize>>) -> Tensor {
    movement_or(x, y, 0.0, from)
}

/// As [`movement`], with `value` where `from` gives no index; integers take it cut off.
pub fn movement_or(
    x: &Tensor,
    y: &Type,
    value: f64,
    mut from: impl FnMut(&[usize]) -> Option<Vec<usize>>,
) -> Tensor {
    let strides = x.shape().strides();
    let mut source = |i: usize| {
        let index = from(&unravel(i, y.shape()))?;
        Some(index.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>())
    };
    let float = x.dtype().is_float();
    for_dtype!(x.dtype(), T => {
        let data = x.as_slice::<T>().unwrap_or_default();
        let integer = || <T as Element>::from_i64(value as i64);
        let other = if float { <T as Element>::from_f64(value) } else { integer() };
        let out: Vec<T> = (0..y.numel()).map(|i| source(i).map_or(other, |j| data[j])).collect();
        Tensor::new(y.shape().clone(), out).expect("one element for each of the type")
    })
}

/// Folds every element of `x`, in row-major order, into the element of the result that `target`
/// gives: in `f64`, or exactly in `i64`. Each element of the result begins at the zero of `op`.
pub fn scatter(
    x: &Tensor,
    y: &Type,
    target: impl Fn(usize) -> usize,
    (float_zero, float): (f64, impl Fn(f64, f64) -> f64),
    (int_zero, int): (i64, impl Fn(i64, i64) -> i64),
) -> Tensor {
    if x.dtype().is_float() {
        let mut sums = vec![float_zero; y.numel()];
        for (i, v) in x.to_f64s().into_iter().enumerate() {
            let sum = &mut sums[target(i)];
            *sum = float(*sum, v);
        }
        return Tensor::build(y, |i| sums[i]);
    }
    let mut sums = vec![int_zero; y.numel()];
    for (i, v) in x.to_i64s().into_iter().enumerate() {
        let sum = &mut sums[target(i)];
        *sum = int(*sum, v);
    }
    Tensor::build_i64(y, |i| sums[i])
}

/// Folds `x` over `axes`, which are removed; see [`scatter`].
pub fn reduce(
    x: &Tensor,
    y: &Type,
    axes: &[usize],
    float: (f64, impl Fn(f64, f64) -> f64),
    int: (i64, impl Fn(i64, i64) -> i64),
) -> Tensor {
    let strides = y.shape().strides();
    let target = |i: usize| -> usize {
        let index = unravel(i, x.shape());
        let kept = index.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
        kept.zip(&strides).map(|((_, i), s)| i * s).sum()
    };
    scatter(x, y, target, float, int)
}
