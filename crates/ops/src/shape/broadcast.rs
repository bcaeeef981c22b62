//! Broadcast: repetition along axes.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `x` repeated to `shape` by NumPy's rule: trailing axes are aligned, axes of length 1 stretch,
/// missing leading axes are added.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | broadcasts to `shape` | any | (C1) |
/// | `y` | `shape` | as `x` | |
///
/// **Gradient** `dx = dy` summed over the repeated axes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Broadcast {
    shape: Box<[usize]>,
}

impl Broadcast {
    /// To `shape`.
    pub fn new(shape: &[usize]) -> Broadcast {
        Broadcast { shape: shape.into() }
    }

    /// For every axis of the result, the axis of an operand of shape `x` that it follows, if it
    /// does not repeat.
    fn sources(&self, x: &Shape) -> SmallVec<[Option<usize>; 4]> {
        let added = self.shape.len() - x.rank();
        (0..self.shape.len())
            .map(|i| i.checked_sub(added).filter(|&axis| x[axis] == self.shape[i]))
            .collect()
    }
}

impl<'g> Var<'g> {
    /// Repeated to a shape, see [`Broadcast`].
    #[track_caller]
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Var<'g> {
        self.record(Broadcast::new(&shape.into()), &[self])
    }

    /// Summed back to a shape that broadcasts to this one: the adjoint of
    /// [`Var::broadcast_to`].
    #[track_caller]
    pub fn sum_to(self, shape: impl Into<Shape>) -> Var<'g> {
        let (shape, own) = (shape.into(), self.shape());
        if shape.broadcast(&own).as_ref() != Some(&own) {
            let reason = TypeError::Broadcast(shape, own);
            return self.refuse("sum_to", &[self], reason);
        }
        let added = own.rank() - shape.rank();
        let repeats = |i: usize| i < added || (shape[i - added] == 1 && own[i] != 1);
        let axes: Vec<i64> = (0..own.rank()).filter(|&i| repeats(i)).map(|i| i as i64).collect();
        self.sum(axes).reshape(shape)
    }
}

impl Primitive<1> for Broadcast {
    const NAME: &'static str = "broadcast";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        let y = x.with_shape(&self.shape[..])?;
        match x.shape().broadcast(y.shape()) {
            Some(shape) if shape == *y.shape() => Ok(y),
            _ => Err(TypeError::Broadcast(x.shape().clone(), y.shape().clone())), // (C1)
        }
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let added = y.rank() - x.shape().rank();
        Ok(movement(x, y, |i| {
            let axis = |(axis, &n): (usize, &usize)| if n == 1 { 0 } else { i[axis + added] };
            Some(x.shape().iter().enumerate().map(axis).collect())
        }))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        dy.sum_to(x.shape()).into()
    }

    /// To its own shape it is nothing. Of a broadcast it is one broadcast if one of the two adds
    /// axes only: else the gradient would be summed at once and not, with a rounding between,
    /// twice.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        if x.shape()[..] == self.shape[..] {
            return Simpler::Existing(x.id());
        }
        let Some(inner) = node_if(x, |op| matches!(op, Op::Broadcast(_))) else {
            return Simpler::Same;
        };
        let numel = |shape: &[usize]| shape.iter().product::<usize>();
        let middle = inner.ty.numel();
        let source = x.graph().ty(inner.inputs[0]).numel();
        if source == middle || middle == numel(&self.shape) {
            Simpler::Push(self.clone().into(), SmallVec::from_iter([inner.inputs[0]]))
        } else {
            Simpler::Same
        }
    }

    fn lower(&self, [x]: [&Type; 1], _: &Type) -> Lowering {
        Lowering::View(View::Broadcast(self.sources(x.shape())))
    }

    fn cost(&self, _: [&Type; 1], _: &Type) -> Cost {
        Cost::FREE
    }

    fn axes(&self, [x]: [&Type; 1], y: &Type) -> AxisRelations {
        let added = y.rank() - x.rank();
        let relation = |axis: usize| {
            let out = axis + added;
            if x.shape()[axis] == y.shape()[out] { Axis::Same(out) } else { Axis::Broadcast(out) }
        };
        AxisRelations(vec![(0..x.rank()).map(relation).collect()])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let ones = dims.shape.keeping(&dims.axes(1));
        let fewer = &ones[dims.pick(2, ones.rank() + 1)..];
        let shape = dims.shape.to_vec();
        vec![
            Sample::new(Broadcast::new(&shape), [dims.float_of(ones.clone())]),
            Sample::new(Broadcast::new(&shape), [dims.float_of(fewer)]),
            Sample::new(Broadcast::new(&shape), [dims.of(DType::Bool, fewer)]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn only_axes_of_length_one_stretch() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 1]);
        assert_eq!(x.broadcast_to([4, 2, 3]).shape(), [4, 2, 3].into());
        assert!(x.broadcast_to([3, 1]).ok().is_err()); // (C1)
        assert!(x.broadcast_to([1]).ok().is_err()); // (C1)
        assert!(x.sum_to([3]).ok().is_err());
    }
}
