//! Position of the maximum of every window: what max pooling chooses.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// Which elements of an axis the windows of a pooling hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// Window `o` begins at `o·stride - padding` and has `size` elements that are `dilation` apart,
    /// of which those outside of the axis are left out.
    Sliding {
        /// Number of elements, those outside included.
        size: usize,
        /// Distance of two windows.
        stride: usize,
        /// Distance of two elements.
        dilation: usize,
        /// How far the first window begins before the axis.
        padding: usize,
        /// Number of windows.
        count: usize,
    },
    /// `count` windows of nearly equal lengths that cover the axis: window `o` is
    /// `⌊o·len/count⌋ .. ⌈(o+1)·len/count⌉`.
    Even {
        /// Number of windows.
        count: usize,
    },
}

impl Span {
    /// Number of windows.
    pub fn count(self) -> usize {
        match self {
            Span::Sliding { count, .. } | Span::Even { count } => count,
        }
    }

    /// Window `o` of an axis of length `len`: its elements `start, start + step, … < stop`. `None`
    /// if it has none, or a number does not fit.
    pub fn window(self, o: usize, len: usize) -> Option<std::iter::StepBy<std::ops::Range<usize>>> {
        let (start, stop, step) = match self {
            Span::Sliding { size, stride, dilation, padding, .. } => {
                let step = std::num::NonZero::new(dilation)?.get();
                let from = o.checked_mul(stride)?;
                // Elements before the axis are left out.
                let before = padding.saturating_sub(from).div_ceil(step);
                let start = from.checked_add(before.checked_mul(step)?)?.checked_sub(padding)?;
                let inside = size.checked_sub(before).filter(|&n| n > 0)?;
                let stop = start.checked_add((inside - 1).checked_mul(step)?)?.checked_add(1)?;
                (start, stop.min(len), step)
            }
            Span::Even { count } => {
                let at = |o: usize| o.checked_mul(len);
                (at(o)? / std::num::NonZero::new(count)?, at(o + 1)?.div_ceil(count), 1)
            }
        };
        (start < stop).then(|| (start..stop).step_by(step))
    }

    /// All windows of an axis of length `len`.
    fn windows(self, len: usize) -> Option<Vec<pleach_kernels::Window>> {
        let step = if let Span::Sliding { dilation, .. } = self { dilation } else { 1 };
        let window = |o| {
            let elements = self.window(o, len)?;
            let (count, mut elements) = (elements.len(), elements);
            Some(pleach_kernels::Window { start: elements.next()?, count, step })
        };
        (0..self.count()).map(window).collect()
    }
}

/// `y = argmax x` over every window of the last axes: the place of the largest element, row-major
/// over these axes of `x`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | `[.., L1, L2, ..]` | any number | (C1) number, (C2) as many axes as spans, at least one |
/// | `y` | `[.., O1, O2, ..]` | i64 | (C3) every window has an element |
///
/// **Gradient** none: it cuts. Max pooling gathers by these indices.
/// **Numerics** the first of equal maxima; NaN counts as the largest, the last NaN wins (PyTorch's
/// choice in pooling).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArgMaxPool {
    spans: Box<[Span]>,
}

/// Windows along an axis that the kernel lists.
const MOST_WINDOWS: usize = 1 << 24;

impl ArgMaxPool {
    /// Windows along the last axes.
    pub fn new(spans: &[Span]) -> ArgMaxPool {
        ArgMaxPool { spans: spans.into() }
    }

    /// The windows along each of the last axes of `shape`.
    fn windows(&self, shape: &[usize]) -> Option<Vec<Vec<pleach_kernels::Window>>> {
        let lead = shape.len().checked_sub(self.spans.len())?;
        self.spans.iter().zip(&shape[lead..]).map(|(s, &len)| s.windows(len)).collect()
    }
}

impl<'g> Var<'g> {
    /// The place of the maximum of every window of the last axes, see [`ArgMaxPool`].
    #[track_caller]
    pub fn argmax_pool(self, spans: &[Span]) -> Var<'g> {
        self.record(ArgMaxPool::new(spans), &[self])
    }
}

impl Primitive<1> for ArgMaxPool {
    const NAME: &'static str = "argmax_pool";

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_number(0)?; // (C1)
        let n = self.spans.len();
        if n == 0 || n > x.rank() {
            let why = format!("{n} spans for {} axes", x.rank());
            return Err(TypeError::Attribute(why)); // (C2)
        }
        let lead = x.rank() - n;
        let counts = self.spans.iter().map(|s| s.count());
        let shape: Shape = x.shape()[..lead].iter().copied().chain(counts).collect();
        let y = Type::new(DType::I64, shape)?;
        // Where windows are clipped they begin at one of the first `dilation` elements. If these are
        // there, and the first and the last window have an element, all have.
        let filled = |(s, &len): (&Span, &usize)| {
            let begins = match *s {
                Span::Sliding { padding, dilation, .. } => padding == 0 || dilation <= len,
                Span::Even { .. } => true,
            };
            let ends = [Some(0), s.count().checked_sub(1)].into_iter().flatten();
            s.count() == 0 || begins && ends.map(|o| s.window(o, len)).all(|w| w.is_some())
        };
        if !self.spans.iter().zip(&x.shape()[lead..]).all(filled) {
            let why = format!("a window of {:?} has no element in {}", self.spans, x.shape());
            return Err(TypeError::Attribute(why)); // (C3)
        }
        Ok(y)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let shape = x.shape();
        let lead = shape.rank() - self.spans.len();
        let inner: usize = shape[lead..].iter().product();
        let best = |i: usize, better: &dyn Fn(usize, usize) -> bool| {
            let index = unravel(i, y.shape());
            let base = index[..lead].iter().zip(&shape[..lead]).fold(0, |b, (i, n)| b * n + i);
            let mut places = vec![0];
            for (j, span) in self.spans.iter().enumerate() {
                let len = shape[lead + j];
                let window = span.window(index[lead + j], len).into_iter().flatten();
                let inside = window.collect::<Vec<_>>();
                let next = |p: usize| inside.iter().map(move |i| p * len + i);
                places = places.into_iter().flat_map(next).collect();
            }
            let at = |p: usize| base * inner + p;
            let first = places.first().copied().unwrap_or(0);
            places.into_iter().fold(first, |b, p| if better(at(p), at(b)) { p } else { b }) as i64
        };
        if x.dtype().is_float() {
            let v = x.to_f64s();
            return Ok(Tensor::build_i64(y, |i| best(i, &|p, b| v[p] > v[b] || v[p].is_nan())));
        }
        let v = x.to_i64s();
        Ok(Tensor::build_i64(y, |i| best(i, &|p, b| v[p] > v[b])))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, [x]: [&Type; 1], y: &Type) -> Lowering {
        // The kernel lists the windows: of more than fit in memory there is no such value either.
        if y.numel() == 0 {
            return Lowering::Fill { value: 0.0 };
        }
        // Nor does it take more axes, or count farther.
        let lead = x.rank() - self.spans.len();
        let pooled = x.shape()[lead..].iter().fold(1usize, |n, &len| n.saturating_mul(len));
        let many = self.spans.iter().any(|s| s.count() > MOST_WINDOWS);
        if many || self.spans.len() > 3 || pooled > u32::MAX as usize {
            return Lowering::Interpret;
        }
        match self.windows(x.shape()) {
            Some(windows) => Lowering::ArgMaxPool { windows },
            None => Lowering::Interpret, // The type rule refuses it.
        }
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        Cost::reduction(&x, y)
    }

    fn axes(&self, [x]: [&Type; 1], _: &Type) -> AxisRelations {
        let lead = x.rank() - self.spans.len();
        let relation = |axis| if axis < lead { Axis::Same(axis) } else { Axis::Opaque };
        AxisRelations(vec![(0..x.rank()).map(relation).collect()])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let rank = dims.shape.rank();
        if rank == 0 || dims.shape[rank - 1] == 0 {
            return vec![];
        }
        let span = |axis: usize| {
            let (len, pick) = (dims.shape[axis], |salt, n| dims.pick(10 * axis as u64 + salt, n));
            let (size, stride, padding) = (2 + pick(0, 2), 1 + pick(1, 2), pick(2, 2));
            // The last window begins inside of the axis.
            let count = (len - 1) / stride + 1;
            Span::Sliding { size, stride, dilation: 1, padding, count }
        };
        let last = rank - 1;
        let even = Span::Even { count: 1 + dims.pick(8, 5) };
        let ints = dims.of(DType::I32, dims.shape.clone());
        let mut samples = vec![
            Sample::new(ArgMaxPool::new(&[span(last)]), [dims.float()]).values_only(),
            Sample::new(ArgMaxPool::new(&[even]), [ints]).values_only(),
        ];
        if rank > 1 && dims.shape[last - 1] > 0 {
            let both = ArgMaxPool::new(&[span(last - 1), even]);
            samples.push(Sample::new(both, [dims.float()]).values_only());
        }
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn windows_are_clipped_to_the_axis() {
        let list = |span: Span, len| -> Vec<Vec<usize>> {
            (0..span.count()).map(|o| span.window(o, len).unwrap().collect()).collect()
        };
        let span = Span::Sliding { size: 3, stride: 2, dilation: 2, padding: 1, count: 3 };
        assert_eq!(list(span, 5), [vec![1, 3], vec![1, 3], vec![3]]);
        assert_eq!(list(Span::Even { count: 2 }, 5), [vec![0, 1, 2], vec![2, 3, 4]]);
        assert_eq!(list(Span::Even { count: 3 }, 2), [vec![0], vec![0, 1], vec![1]]);
    }

    #[test]
    fn the_first_maximum_and_the_last_nan_win() {
        let g = Graph::new();
        let span = Span::Sliding { size: 3, stride: 3, dilation: 1, padding: 0, count: 2 };
        let y = g.input("x", F32, [6]).argmax_pool(&[span]);
        let x = Tensor::new([6], vec![2.0, 2.0, 1.0, f32::NAN, f32::NAN, 9.0]).unwrap();
        assert_eq!(y.eval(&[&x]).unwrap().to_i64s(), [0, 4]);
        let least = Tensor::full(x.ty(), f64::NEG_INFINITY);
        assert_eq!(y.eval(&[&least]).unwrap().to_i64s(), [0, 3]);
    }

    #[test]
    fn empty_windows_are_refused() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 3]);
        let span =
            |padding, count| Span::Sliding { size: 2, stride: 2, dilation: 1, padding, count };
        assert!(x.argmax_pool(&[span(1, 2)]).ok().is_ok());
        for (padding, count) in [(2, 2), (0, 3), (usize::MAX, 1)] {
            assert!(x.argmax_pool(&[span(padding, count)]).ok().is_err()); // (C3)
        }
        assert!(x.argmax_pool(&[]).ok().is_err()); // (C2)
        assert!(x.argmax_pool(&[span(0, 1); 3]).ok().is_err()); // (C2)
        assert!(g.input("b", BOOL, [4]).argmax_pool(&[span(0, 2)]).ok().is_err()); // (C1)
    }
}
