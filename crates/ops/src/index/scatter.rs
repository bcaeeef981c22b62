//! Scatter: elements replaced by index.

use pleach_tensor::for_dtype;
use serde::{Deserialize, Serialize};

use crate::GraphExt;
use crate::index::check_indices;
use crate::prelude::rules::*;

/// `y = x`, but `y[.., indices[.., i, ..], ..] = src[.., i, ..]` along `axis`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any | (C1) the axis exists |
/// | `indices` | as `x` but along `axis`, where any; other axes may be shorter | i32, i64 | (C2) index type, (C3) rank and sizes |
/// | `src` | as `indices` | as `x` | (C4) |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx` is `dy`, zero where an element was replaced; `dsrc = gather(dy, indices)`,
/// zero for elements that a later one replaced.
/// **Numerics** of equal indices the last one counts, in row-major order.
/// **Errors** an index outside of the axis is an error of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scatter {
    axis: usize,
}

impl Scatter {
    /// Along `axis`.
    pub fn new(axis: usize) -> Scatter {
        Scatter { axis }
    }
}

/// Which elements of `indices` along `axis` are the last of their kind?
fn last<'g>(axis: usize, x: Var<'g>, indices: Var<'g>) -> Var<'g> {
    let (g, shape) = (x.graph(), indices.shape());
    let places = g.iota(DType::I64, shape, axis);
    let none = g.full(DType::I64, x.shape(), 0.0);
    let winners = none.record(Scatter::new(axis), &[none, indices, places]);
    winners.gather(axis as i64, indices).equal(places)
}

impl Primitive<3> for Scatter {
    const NAME: &'static str = "scatter";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x, indices, src]: [&Type; 3]) -> Result<Type, TypeError> {
        require_axis(self.axis, x.rank())?; // (C1)
        indices.require_index(1)?; // (C2)
        let (long, short) = (x.shape(), indices.shape());
        let fits = |axis: usize| axis == self.axis || short[axis] <= long[axis];
        if long.rank() != short.rank() || !(0..long.rank()).all(fits) {
            return Err(TypeError::Shapes(long.clone(), short.clone())); // (C3)
        }
        src.require_same(&indices.with_dtype(x.dtype()))?; // (C4)
        Ok(x.clone())
    }

    fn eval(&self, [x, indices, src]: [&Tensor; 3], y: &Type) -> Result<Tensor, EvalError> {
        let chosen = check_indices(indices, y.shape()[self.axis])?;
        let strides = y.shape().strides();
        let mut from = vec![None; y.numel()];
        for (i, &at) in chosen.iter().enumerate() {
            let mut index = unravel(i, src.shape());
            index[self.axis] = at;
            from[index.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>()] = Some(i);
        }
        Ok(for_dtype!(x.dtype(), T => {
            let [x, src] = [x, src].map(|t| t.as_slice::<T>().unwrap_or_default());
            let out: Vec<T> = from.iter().zip(x).map(|(i, x)| i.map_or(*x, |i| src[i])).collect();
            Tensor::new(y.shape().clone(), out).map_err(|e| EvalError::Other(e.to_string()))?
        }))
    }

    fn vjp<'g>(
        &self,
        slot: usize,
        [x, indices, src]: [Var<'g>; 3],
        _: Var<'g>,
        dy: Var<'g>,
    ) -> Grad<'g> {
        match slot {
            0 => dy.record(*self, &[dy, indices, src.full_like(0.0)]).into(),
            1 => Grad::Cut,
            _ => {
                let dsrc = dy.gather(self.axis as i64, indices);
                last(self.axis, x, indices).select(dsrc, 0.0).into()
            }
        }
    }

    fn lower(&self, _: [&Type; 3], _: &Type) -> Lowering {
        Lowering::Scatter { axis: self.axis }
    }

    fn cost(&self, x: [&Type; 3], y: &Type) -> Cost {
        Cost::elementwise(&x, y, 0)
    }

    /// But for `axis`, an element goes to its own place.
    fn axes(&self, x: [&Type; 3], y: &Type) -> AxisRelations {
        let relation = |ty: &Type, axis: usize| {
            let same = axis != self.axis && ty.shape()[axis] == y.shape()[axis];
            if same { Axis::Same(axis) } else { Axis::Opaque }
        };
        AxisRelations(x.map(|ty| (0..ty.rank()).map(|axis| relation(ty, axis)).collect()).to_vec())
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        (0..dims.shape.rank())
            .filter(|&axis| dims.shape[axis] > 0)
            .flat_map(|axis| {
                let n = dims.shape[axis] as i64;
                let shorter = |(i, &n): (usize, &usize)| n - dims.pick(7 + i as u64, 2).min(n);
                let short: Shape = dims.shape.iter().enumerate().map(shorter).collect();
                let short = short.with_axis(axis, dims.pick(1, 5));
                let indices = || dims.of(DType::I64, short.clone()).ints(0, n);
                let bools = [dims.shape.clone(), short.clone()].map(|s| dims.of(DType::Bool, s));
                let [x, src] = bools;
                let float = [dims.float(), indices(), dims.float_of(short.clone())];
                [
                    Sample::new(Scatter::new(axis), float),
                    Sample::new(Scatter::new(axis), [x, indices(), src]),
                ]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::Scatter;
    use crate::prelude::*;

    #[test]
    fn of_equal_indices_the_last_counts_for_the_value_and_for_the_gradient() {
        let g = Graph::new();
        let (x, i, s) = (g.input("x", F64, [3]), g.input("i", I32, [3]), g.input("s", F64, [3]));
        let y = x.scatter(0, i, s);
        let x3 = Tensor::new([3], vec![1.0, 2.0, 3.0]).unwrap();
        let s3 = Tensor::new([3], vec![10.0, 20.0, 30.0]).unwrap();
        let at = |n: i32| Tensor::new([3], vec![0i32, 2, n]).unwrap();
        let value = |v: Var<'_>, n| v.eval(&[&x3, &at(n), &s3]).unwrap().to_f64s();
        assert_eq!(value(y, 2), [10.0, 2.0, 30.0]);
        let weight = g.constant(Tensor::new([3], vec![1.0, 10.0, 100.0]).unwrap());
        let d = g.grad((y * weight).sum_all(), &[x, s]);
        assert_eq!(value(d[0], 2), [0.0, 10.0, 0.0]);
        assert_eq!(value(d[1], 2), [1.0, 0.0, 100.0]);
        assert!(y.eval(&[&x3, &at(3), &s3]).is_err());
    }

    #[test]
    fn operands_must_fit() {
        let g = Graph::new();
        let (x, s) = (g.input("x", F32, [2, 3]), g.input("s", F32, [2, 2]));
        let (i, j) = (g.input("i", I64, [2, 2]), g.input("j", I64, [3, 2]));
        assert!(x.record(Scatter::new(1), &[x, i, s]).ok().is_ok());
        assert!(x.record(Scatter::new(2), &[x, i, s]).ok().is_err()); // (C1)
        assert!(x.record(Scatter::new(1), &[x, s, s]).ok().is_err()); // (C2)
        assert!(x.record(Scatter::new(1), &[x, j, s]).ok().is_err()); // (C3)
        assert!(x.record(Scatter::new(1), &[x, i, x]).ok().is_err()); // (C4)
    }
}
