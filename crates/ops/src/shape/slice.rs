//! Slice: a range of every axis.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// Indices `start, start + step, … < stop` of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// First index.
    pub start: usize,
    /// Bound of the indices.
    pub stop: usize,
    /// Distance of two indices, at least 1.
    pub step: usize,
}

impl Range {
    /// Number of indices.
    pub fn count(self) -> usize {
        self.stop.saturating_sub(self.start).div_ceil(self.step.max(1))
    }
}

/// `y[i..] = x[start + step · i, ..]`: a range of every axis.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any | (C1) a range for each axis, inside of it, steps at least 1 |
/// | `y` | lengths of the ranges | as `x` | |
///
/// **Gradient** `dx`: `dy` at the indices of the ranges, zeros elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slice {
    ranges: Box<[Range]>,
}

impl Slice {
    /// A range for every axis.
    pub fn new(ranges: &[Range]) -> Slice {
        Slice { ranges: ranges.into() }
    }

    /// The ranges.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }
}

impl<'g> Var<'g> {
    /// A range of one axis (`-1` is the last), see [`Slice`].
    #[track_caller]
    pub fn slice(self, axis: i64, range: std::ops::Range<usize>) -> Var<'g> {
        self.slice_step(axis, range, 1)
    }

    /// Every `step`-th index of a range of one axis.
    #[track_caller]
    pub fn slice_step(self, axis: i64, range: std::ops::Range<usize>, step: usize) -> Var<'g> {
        match self.axis(axis) {
            Ok(axis) => {
                let whole = |&n: &usize| Range { start: 0, stop: n, step: 1 };
                let mut ranges: Vec<Range> = self.shape().iter().map(whole).collect();
                ranges[axis] = Range { start: range.start, stop: range.end, step };
                self.record(Slice::new(&ranges), &[self])
            }
            Err(reason) => self.refuse("slice", &[self], reason),
        }
    }
}

impl Primitive<1> for Slice {
    const NAME: &'static str = "slice";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        let inside = |(r, &n): (&Range, &usize)| r.start <= r.stop && r.stop <= n && r.step >= 1;
        if self.ranges.len() != x.rank() || !self.ranges.iter().zip(&x.shape()[..]).all(inside) {
            let text = |r: &Range| match r.step {
                1 => format!("{}..{}", r.start, r.stop),
                step => format!("{}..{} by {step}", r.start, r.stop),
            };
            let list: Vec<String> = self.ranges.iter().map(text).collect();
            let why = format!("ranges [{}] do not lie in shape {}", list.join(", "), x.shape());
            return Err(TypeError::Attribute(why)); // (C1)
        }
        Ok(x.with_shape(self.ranges.iter().map(|r| r.count()).collect::<Shape>())?)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        Ok(movement(x, y, |i| {
            Some(i.iter().zip(&self.ranges).map(|(i, r)| r.start + i * r.step).collect())
        }))
    }

    /// Zeros are put between (steps), then around.
    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let shape = x.shape();
        let mut dx = dy;
        let apart = |r: &Range| r.step > 1 && r.count() > 1;
        for (axis, r) in self.ranges.iter().enumerate().filter(|(_, r)| apart(r)) {
            // [.., n, ..] -> [.., n, 1, ..] -> pad to [.., n, step, ..] -> [.., n·step, ..]
            let mut apart = dx.shape().to_vec();
            apart.insert(axis + 1, 1);
            let mut widths = vec![(0, 0); apart.len()];
            widths[axis + 1].1 = r.step - 1;
            let mut joined = dx.shape().to_vec();
            joined[axis] *= r.step;
            dx = dx.reshape(apart).pad(&widths).reshape(joined);
            // The last index has no zeros of its own where they would lie outside.
            let fits = dx.size(axis as i64).min(shape[axis] - r.start);
            dx = dx.slice(axis as i64, 0..fits);
        }
        let around: Vec<(usize, usize)> = (0..shape.rank())
            .map(|axis| {
                let (start, own) = (self.ranges[axis].start, dx.size(axis as i64));
                (start, shape[axis].saturating_sub(start + own))
            })
            .collect();
        dx.pad(&around).into()
    }

    /// All of every axis is the operand.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        let shape = x.shape();
        let whole = |(r, &n): (&Range, &usize)| *r == Range { start: 0, stop: n, step: 1 };
        let all = self.ranges.iter().zip(&shape[..]).all(whole);
        if all { Simpler::Existing(x.id()) } else { Simpler::Same }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        let start = self.ranges.iter().map(|r| r.start).collect();
        Lowering::View(View::Slice { start, step: self.ranges.iter().map(|r| r.step).collect() })
    }

    fn cost(&self, _: [&Type; 1], _: &Type) -> Cost {
        Cost::FREE
    }

    fn axes(&self, [x]: [&Type; 1], _: &Type) -> AxisRelations {
        let whole = |(axis, r): (usize, &Range)| {
            let all = *r == Range { start: 0, stop: x.shape()[axis], step: 1 };
            if all { Axis::Same(axis) } else { Axis::Opaque }
        };
        AxisRelations(vec![self.ranges.iter().enumerate().map(whole).collect()])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let range = |(i, &n): (usize, &usize)| {
            let start = dims.pick(3 * i as u64, n + 1);
            let stop = start + dims.pick(3 * i as u64 + 1, n - start + 1);
            Range { start, stop, step: 1 + dims.pick(3 * i as u64 + 2, 3) }
        };
        let ranges: Vec<Range> = dims.shape.iter().enumerate().map(range).collect();
        let tail = |r: &Range, &n: &usize| Range { start: r.start.min(n / 2), stop: n, step: 1 };
        let tails: Vec<Range> =
            ranges.iter().zip(&dims.shape[..]).map(|(r, n)| tail(r, n)).collect();
        let ints = dims.of(DType::U8, dims.shape.clone());
        vec![
            Sample::new(Slice::new(&ranges), [dims.float()]),
            Sample::new(Slice::new(&tails), [dims.float()]),
            Sample::new(Slice::new(&ranges), [ints]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn ranges_and_steps() {
        let g = Graph::new();
        let x = g.input("x", F64, [6]);
        let at = Tensor::build(&Type::new(F64, [6]).unwrap(), |i| i as f64);
        let y = x.slice_step(0, 1..6, 3);
        assert_eq!(y.eval(&[&at]).unwrap().to_f64s(), [1.0, 4.0]);
        let dx = g.grad(y, &[x])[0].eval(&[&at]).unwrap();
        assert_eq!(dx.to_f64s(), [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(x.slice(-1, 0..6).id(), x.id());
        assert!(x.slice(0, 2..7).ok().is_err()); // (C1)
        assert!(x.slice_step(0, 0..6, 0).ok().is_err()); // (C1)
        assert!(x.slice(1, 0..1).ok().is_err());
    }
}
