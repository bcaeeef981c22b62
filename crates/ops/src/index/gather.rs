//! Gather: elements chosen along an axis, one for every index.

use serde::{Deserialize, Serialize};

use crate::index::check_indices;
use crate::prelude::rules::*;
use crate::shape::slice::{Range, Slice};

/// `y[.., i, ..] = x[.., indices[.., i, ..], ..]` along `axis`: PyTorch's `gather`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any | |
/// | `indices` | as `x` but along `axis`, where any | i32, i64 | (C1) index type, (C2) rank and sizes |
/// | `y` | as `indices` | as `x` | |
///
/// **Gradient** `dx = scatter_add(dy, indices)`.
/// **Errors** an index outside of the axis is an error of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Gather {
    axis: usize,
}

impl Gather {
    /// Along `axis`.
    pub fn new(axis: usize) -> Gather {
        Gather { axis }
    }

    /// The axis.
    pub fn axis(&self) -> usize {
        self.axis
    }
}

impl<'g> Var<'g> {
    /// Elements chosen along an axis, see [`Gather`]. Along the others the indices may be
    /// shorter than the value.
    #[track_caller]
    pub fn gather(self, axis: i64, indices: Var<'g>) -> Var<'g> {
        match self.axis(axis) {
            Ok(axis) => {
                let x = self.corner(&indices.shape(), Some(axis));
                self.record(Gather::new(axis), &[x, indices])
            }
            Err(reason) => self.refuse("gather", &[self, indices], reason),
        }
    }

    /// The first elements along every axis but `but`, as many as `shape` has; the value itself if
    /// the shape does not fit in it.
    #[track_caller]
    pub(crate) fn corner(self, shape: &Shape, but: Option<usize>) -> Var<'g> {
        let own = self.shape();
        let stop = |axis: usize| if Some(axis) == but { own[axis] } else { shape[axis] };
        if own.rank() != shape.rank() || (0..own.rank()).any(|axis| stop(axis) > own[axis]) {
            return self;
        }
        let range = |axis| Range { start: 0, stop: stop(axis), step: 1 };
        self.record(Slice::new(&(0..own.rank()).map(range).collect::<Vec<_>>()), &[self])
    }
}

/// Have both the same shape but for `axis`?
pub(crate) fn require_alike(axis: usize, x: &Type, indices: &Type) -> Result<(), TypeError> {
    require_axis(axis, x.rank())?;
    let same = x.rank() == indices.rank()
        && x.shape().without(&[axis]) == indices.shape().without(&[axis]);
    if same { Ok(()) } else { Err(TypeError::Shapes(x.shape().clone(), indices.shape().clone())) }
}

impl Primitive<2> for Gather {
    const NAME: &'static str = "gather";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x, indices]: [&Type; 2]) -> Result<Type, TypeError> {
        indices.require_index(1)?; // (C1)
        require_alike(self.axis, x, indices)?; // (C2)
        Ok(indices.with_dtype(x.dtype()))
    }

    fn eval(&self, [x, indices]: [&Tensor; 2], y: &Type) -> Result<Tensor, EvalError> {
        let chosen = check_indices(indices, x.shape()[self.axis])?;
        let mut next = chosen.into_iter();
        Ok(movement(x, y, |i| {
            let mut from = i.to_vec();
            from[self.axis] = next.next()?;
            Some(from)
        }))
    }

    fn vjp<'g>(&self, slot: usize, [x, i]: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        if slot == 1 {
            return Grad::Cut;
        }
        dy.record(ScatterAdd::new(self.axis, x.size(self.axis as i64)), &[dy, i]).into()
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Gather { axis: self.axis }
    }

    fn cost(&self, [_, indices]: [&Type; 2], y: &Type) -> Cost {
        Cost { bytes: Cost::elementwise(&[y, indices], y, 0).bytes, ..Cost::FREE }
    }

    /// But for `axis` of `x`, an element comes from its own place.
    fn axes(&self, x: [&Type; 2], _: &Type) -> AxisRelations {
        let mut relations = AxisRelations::same(&x);
        relations.0[0][self.axis] = Axis::Opaque;
        relations
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        (0..dims.shape.rank())
            .filter(|&axis| dims.shape[axis] > 0)
            .map(|axis| {
                let indices = dims.of(DType::I64, dims.shape.with_axis(axis, dims.pick(1, 4)));
                let indices = indices.ints(0, dims.shape[axis] as i64);
                Sample::new(Gather::new(axis), [dims.float(), indices])
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn picks_one_element_a_row_and_refuses_what_is_out_of_range() {
        let g = Graph::new();
        let (x, i) = (g.input("x", F32, [2, 3]), g.input("i", I64, [2, 1]));
        let y = x.gather(1, i);
        let x6 = Tensor::new([2, 3], vec![0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let at = |a: i64, b: i64| Tensor::new([2, 1], vec![a, b]).unwrap();
        assert_eq!(y.eval(&[&x6, &at(2, 0)]).unwrap().to_f64s(), [2.0, 3.0]);
        assert_eq!(x.gather(0, i).eval(&[&x6, &at(1, 0)]).unwrap().to_f64s(), [3.0, 0.0]);
        let error = y.eval(&[&x6, &at(3, 0)]).unwrap_err();
        assert_eq!(error.to_string(), "index 3 is out of range for an axis of length 3");
        assert!(y.eval(&[&x6, &at(-1, 0)]).is_err());
        assert!(x.gather(1, x).ok().is_err()); // (C1)
        let long = g.input("long", I64, [3, 1]);
        assert!(x.gather(1, long).ok().is_err()); // (C2)
    }
}
