//! Take: slices chosen along an axis.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::index::check_indices;
use crate::prelude::rules::*;

/// `y[a.., i.., b..] = x[a.., indices[i..], b..]`: slices of `x` along `axis`. Along axis 0 it
/// looks rows up in a table.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | `[A.., n, B..]` | any | (C1) the axis exists |
/// | `indices` | `[I..]`, any | i32, i64 | (C2) index type |
/// | `y` | `[A.., I.., B..]` | as `x` | |
///
/// **Gradient** `dx = take_add(dy, indices)`.
/// **Errors** an index outside of the axis is an error of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Take {
    axis: usize,
}

impl Take {
    /// Along `axis`.
    pub fn new(axis: usize) -> Take {
        Take { axis }
    }

    /// The axis.
    pub fn axis(&self) -> usize {
        self.axis
    }
}

impl<'g> Var<'g> {
    /// Slices chosen along an axis by indices of any shape, see [`Take`].
    #[track_caller]
    pub fn take(self, axis: i64, indices: Var<'g>) -> Var<'g> {
        match self.axis(axis) {
            Ok(axis) => self.record(Take::new(axis), &[self, indices]),
            Err(reason) => self.refuse("take", &[self, indices], reason),
        }
    }
}

/// `outer[..axis] ++ inner ++ outer[axis + 1..]`.
pub(crate) fn splice(outer: &[usize], axis: usize, inner: &[usize]) -> Shape {
    outer[..axis].iter().chain(inner).chain(&outer[axis + 1..]).copied().collect()
}

impl Primitive<2> for Take {
    const NAME: &'static str = "take";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x, indices]: [&Type; 2]) -> Result<Type, TypeError> {
        require_axis(self.axis, x.rank())?; // (C1)
        indices.require_index(1)?; // (C2)
        Ok(x.with_shape(splice(x.shape(), self.axis, indices.shape()))?)
    }

    fn eval(&self, [x, indices]: [&Tensor; 2], y: &Type) -> Result<Tensor, EvalError> {
        let chosen = check_indices(indices, x.shape()[self.axis])?;
        let strides = indices.shape().strides();
        let rank = indices.shape().rank();
        Ok(movement(x, y, |i| {
            let at = &i[self.axis..self.axis + rank];
            let flat: usize = at.iter().zip(&strides).map(|(i, s)| i * s).sum();
            Some([&i[..self.axis], &[chosen[flat]], &i[self.axis + rank..]].concat())
        }))
    }

    fn vjp<'g>(&self, slot: usize, [x, i]: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        if slot == 1 {
            return Grad::Cut;
        }
        dy.record(TakeAdd::new(self.axis, x.size(self.axis as i64)), &[dy, i]).into()
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Take { axis: self.axis }
    }

    fn cost(&self, [_, indices]: [&Type; 2], y: &Type) -> Cost {
        Cost { bytes: Cost::elementwise(&[y, indices], y, 0).bytes, ..Cost::FREE }
    }

    /// But for `axis` of `x`, every axis is found in the result.
    fn axes(&self, [x, indices]: [&Type; 2], _: &Type) -> AxisRelations {
        let relation = |axis: usize| match axis.cmp(&self.axis) {
            Ordering::Less => Axis::Same(axis),
            Ordering::Equal => Axis::Opaque,
            Ordering::Greater => Axis::Same(axis - 1 + indices.rank()),
        };
        let x = (0..x.rank()).map(relation).collect();
        let inner = (0..indices.rank()).map(|axis| Axis::Same(self.axis + axis)).collect();
        AxisRelations(vec![x, inner])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        (0..dims.shape.rank())
            .filter(|&axis| dims.shape[axis] > 0)
            .map(|axis| {
                let shape: Vec<usize> =
                    (0..dims.pick(1, 3)).map(|i| dims.pick(i as u64, 3)).collect();
                let indices = dims.of(DType::I64, shape).ints(0, dims.shape[axis] as i64);
                Sample::new(Take::new(axis), [dims.float(), indices])
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn rows_are_looked_up() {
        let g = Graph::new();
        let (x, i) = (g.input("x", F32, [3, 2]), g.input("i", I64, [2, 2]));
        let y = x.take(0, i);
        assert_eq!(y.shape(), [2, 2, 2].into());
        let x6 = Tensor::new([3, 2], vec![0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let at = |n| Tensor::new([2, 2], vec![2i64, 0, 1, n]).unwrap();
        let want = [4.0, 5.0, 0.0, 1.0, 2.0, 3.0, 2.0, 3.0];
        assert_eq!(y.eval(&[&x6, &at(1)]).unwrap().to_f64s(), want);
        assert!(y.eval(&[&x6, &at(3)]).is_err());
        assert!(x.take(2, i).ok().is_err()); // (C1)
        assert!(x.take(0, x).ok().is_err()); // (C2)
    }
}
