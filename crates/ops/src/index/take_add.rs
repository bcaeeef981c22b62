//! Take-add: the adjoint of take.

use serde::{Deserialize, Serialize};

use crate::index::check_indices;
use crate::index::take::splice;
use crate::prelude::rules::*;

/// `y[a.., indices[i..], b..] += x[a.., i.., b..]`, from zeros: slices added up along `axis`,
/// which has length `len` in the result.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | `[A.., I.., B..]` | any number | (C1) number |
/// | `indices` | `[I..]` | i32, i64 | (C2) index type, (C3) found in the shape of `x` at `axis` |
/// | `y` | `[A.., len, B..]` | as `x` | |
///
/// **Gradient** `dx = take(dy, indices)`.
/// **Numerics** added in the order of the indices, whatever the number of threads.
/// **Errors** an index outside of the axis is an error of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TakeAdd {
    axis: u32,
    len: usize,
}

impl TakeAdd {
    /// Along `axis`, which has length `len` in the result.
    pub fn new(axis: usize, len: usize) -> TakeAdd {
        // No operand has so many axes: the type rule refuses it.
        TakeAdd { axis: axis.try_into().unwrap_or(u32::MAX), len }
    }

    /// Length of the axis that indices become.
    pub fn length(&self) -> usize {
        self.len
    }

    /// The axis.
    pub fn axis(&self) -> usize {
        self.axis as usize
    }
}

impl Primitive<2> for TakeAdd {
    const NAME: &'static str = "take_add";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x, indices]: [&Type; 2]) -> Result<Type, TypeError> {
        x.require_number(0)?; // (C1)
        indices.require_index(1)?; // (C2)
        let (axis, rank) = (self.axis(), indices.rank());
        if axis + rank > x.rank() || x.shape()[axis..axis + rank] != indices.shape()[..] {
            return Err(TypeError::Shapes(x.shape().clone(), indices.shape().clone())); // (C3)
        }
        let (before, after) = (&x.shape()[..axis], &x.shape()[axis + rank..]);
        let shape = before.iter().chain([&self.len]).chain(after).copied().collect::<Shape>();
        Ok(x.with_shape(shape)?)
    }

    fn eval(&self, [x, indices]: [&Tensor; 2], y: &Type) -> Result<Tensor, EvalError> {
        let chosen = check_indices(indices, self.len)?;
        let (axis, rank) = (self.axis(), indices.shape().rank());
        let (inner, strides) = (indices.shape().strides(), y.shape().strides());
        let target = |i: usize| -> usize {
            let index = unravel(i, x.shape());
            let at = &index[axis..axis + rank];
            let flat: usize = at.iter().zip(&inner).map(|(i, s)| i * s).sum();
            let to = [&index[..axis], &[chosen[flat]], &index[axis + rank..]].concat();
            to.iter().zip(&strides).map(|(i, s)| i * s).sum()
        };
        Ok(scatter(x, y, target, (0.0, |a, b| a + b), (0, i64::wrapping_add)))
    }

    fn vjp<'g>(&self, slot: usize, [_, i]: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        if slot == 1 {
            return Grad::Cut;
        }
        dy.record(Take::new(self.axis()), &[dy, i]).into()
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::TakeAdd { axis: self.axis(), len: self.len }
    }

    fn cost(&self, x: [&Type; 2], y: &Type) -> Cost {
        Cost { flops: x[0].numel() as u64, bytes: Cost::elementwise(&x, y, 0).bytes }
    }

    /// Axes of `x` that the indices do not count are found in the result.
    fn axes(&self, [x, indices]: [&Type; 2], _: &Type) -> AxisRelations {
        let (first, rank) = (self.axis(), indices.rank());
        let relation = |axis: usize| match axis {
            _ if axis < first => Axis::Same(axis),
            _ if axis < first + rank => Axis::Opaque,
            _ => Axis::Same(axis + 1 - rank),
        };
        let x = (0..x.rank()).map(relation).collect();
        AxisRelations(vec![x, vec![Axis::Opaque; rank]])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        (0..dims.shape.rank())
            .map(|axis| {
                let inner: Shape = splice(&dims.shape, axis, &[dims.shape[axis]]);
                let indices = dims.of(DType::I32, &inner[axis..axis + 1]).ints(0, 3);
                Sample::new(TakeAdd::new(axis, 3), [dims.float(), indices]).loose(8.0)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::TakeAdd;
    use crate::prelude::*;

    #[test]
    fn equal_indices_add_up_and_it_is_the_adjoint_of_take() {
        let g = Graph::new();
        let (x, i) = (g.input("x", F32, [3, 2]), g.input("i", I64, [3]));
        let y = x.record(TakeAdd::new(0, 2), &[x, i]);
        let x6 = Tensor::new([3, 2], vec![0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let at = Tensor::new([3], vec![1i64, 1, 0]).unwrap();
        assert_eq!(y.eval(&[&x6, &at]).unwrap().to_f64s(), [4.0, 5.0, 2.0, 4.0]);
        let j = g.input("j", I64, [2]);
        assert!(x.record(TakeAdd::new(0, 2), &[x, j]).ok().is_err()); // (C3)
        assert!(x.record(TakeAdd::new(0, 2), &[x, x]).ok().is_err()); // (C2)
        let b = g.input("b", BOOL, [3]);
        assert!(b.record(TakeAdd::new(0, 2), &[b, i]).ok().is_err()); // (C1)
    }
}
