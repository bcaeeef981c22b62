//! Positions that sort the last axis.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = argsort x` along the last axis: `x` at `y[.., 0]`, `y[.., 1]`, … is in order.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | `[.., n]` | any | (C1) at least one axis |
/// | `y` | as `x` | i64 | |
///
/// The methods sort along any axis.
///
/// **Gradient** none: it cuts. What is gathered at these positions has one.
/// **Numerics** stable: equal elements stay in their order, ascending or descending. NaN counts as
/// the largest, and `-0` as equal to `0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArgSort {
    descending: bool,
}

impl ArgSort {
    /// From the smallest to the largest, or from the largest to the smallest.
    pub fn new(descending: bool) -> ArgSort {
        ArgSort { descending }
    }

    fn order(self, values: Ordering) -> Ordering {
        if self.descending { values.reverse() } else { values }
    }
}

impl<'g> Var<'g> {
    /// The positions (i64) that sort an axis (`-1` is the last), see [`ArgSort`].
    #[track_caller]
    pub fn argsort(self, axis: i64, descending: bool) -> Var<'g> {
        let _at = self.graph().at();
        match self.axis(axis) {
            Ok(axis) => {
                let mut order: Vec<i64> = (0..self.shape().rank() as i64).collect();
                let last = order.len() - 1;
                order.swap(axis, last);
                let x = self.permute(&order);
                x.record(ArgSort::new(descending), &[x]).permute(&order)
            }
            Err(reason) => self.refuse("argsort", &[self], reason),
        }
    }
}

impl Primitive<1> for ArgSort {
    const NAME: &'static str = "argsort";

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        if x.rank() == 0 {
            let got = x.shape().clone();
            return Err(TypeError::Rank { operand: 0, expected: "at least 1", got }); // (C1)
        }
        Ok(x.with_dtype(DType::I64))
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let len = x.shape()[x.shape().rank() - 1];
        let sort = |compare: &dyn Fn(usize, usize) -> Ordering| {
            let mut places: Vec<usize> = (0..x.numel()).collect();
            for line in places.chunks_mut(len.max(1)) {
                line.sort_by(|&i, &j| self.order(compare(i, j)));
            }
            Tensor::build_i64(y, |i| (places[i] % len) as i64)
        };
        if x.dtype().is_float() {
            let v = x.to_f64s();
            return Ok(sort(&|i, j| {
                let nan = || v[i].is_nan().cmp(&v[j].is_nan());
                v[i].partial_cmp(&v[j]).unwrap_or_else(nan)
            }));
        }
        let v = x.to_i64s();
        Ok(sort(&|i, j| v[i].cmp(&v[j])))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::ArgSort { descending: self.descending }
    }

    /// A comparison for every level of a tree of the elements.
    fn cost(&self, [x]: [&Type; 1], y: &Type) -> Cost {
        let levels = x.shape().last().map_or(1, |n| u64::from(n.max(&2).ilog2()));
        Cost::elementwise(&[x], y, levels)
    }

    fn axes(&self, x: [&Type; 1], _: &Type) -> AxisRelations {
        AxisRelations::same_but(&x, x[0].rank() - 1)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        if dims.shape.rank() == 0 {
            return vec![];
        }
        let sample = |x| Sample::new(ArgSort::new(dims.pick(1, 2) == 1), [x]).values_only();
        vec![sample(dims.float()), sample(dims.of(DType::I32, dims.shape.clone()).ints(-2, 3))]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn equal_ones_stay_in_order_and_nan_is_the_largest() {
        let g = Graph::new();
        let x = g.input("x", F32, [5]);
        let at = Tensor::new([5], vec![2.0, f32::NAN, 1.0, 2.0, f32::INFINITY]).unwrap();
        let value = |y: Var<'_>| y.eval(&[&at]).unwrap().to_i64s();
        assert_eq!(value(x.argsort(0, false)), [2, 0, 3, 4, 1]);
        assert_eq!(value(x.argsort(0, true)), [1, 4, 0, 3, 2]);
        assert!(g.full(F32, [], 1.0).argsort(0, false).ok().is_err()); // (C1)
    }

    #[test]
    fn any_axis_is_sorted() {
        let g = Graph::new();
        let y = g.input("x", I64, [2, 2]).argsort(0, false);
        let at = Tensor::new([2, 2], vec![3i64, 1, 2, 5]).unwrap();
        assert_eq!(y.eval(&[&at]).unwrap().to_i64s(), [1, 0, 0, 1]);
    }
}
