//! Flip: axes read from their ends.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::reduce::IntoAxes;

/// `y[.., i, ..] = x[.., n - 1 - i, ..]` along every axis of `axes`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any | (C1) the axes exist, in increasing order, each once |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = flip(dy)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flip {
    axes: Box<[usize]>,
}

impl Flip {
    /// Of these axes, in increasing order.
    pub fn new(axes: &[usize]) -> Flip {
        Flip { axes: axes.into() }
    }
}

impl<'g> Var<'g> {
    /// Axes read from their ends, see [`Flip`]: `x.flip(0)`, `x.flip([0, -1])`, `x.flip(All)`.
    #[track_caller]
    pub fn flip(self, axes: impl IntoAxes) -> Var<'g> {
        match axes.axes(self) {
            Ok(axes) => self.record(Flip::new(&axes), &[self]),
            Err(reason) => self.refuse("flip", &[self], reason),
        }
    }
}

impl Primitive<1> for Flip {
    const NAME: &'static str = "flip";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        require_axes(&self.axes, x.rank())?; // (C1)
        Ok(x.clone())
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        Ok(movement(x, y, |i| {
            let mut from = i.to_vec();
            self.axes.iter().for_each(|&axis| from[axis] = y.shape()[axis] - 1 - from[axis]);
            Some(from)
        }))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        dy.record(self.clone(), &[dy]).into()
    }

    /// Of no axis, or of axes of one element, it is nothing; twice is nothing.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        if self.axes.iter().all(|&axis| x.shape()[axis] <= 1) {
            return Simpler::Existing(x.id());
        }
        let own = |op: &Op| matches!(op, Op::Flip(inner) if inner == self);
        match node_if(x, own) {
            Some(inner) => Simpler::Existing(inner.inputs[0]),
            None => Simpler::Same,
        }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::View(View::Flip(SmallVec::from_slice(&self.axes)))
    }

    fn cost(&self, _: [&Type; 1], _: &Type) -> Cost {
        Cost::FREE
    }

    fn axes(&self, [x]: [&Type; 1], _: &Type) -> AxisRelations {
        let relation =
            |axis| if self.axes.contains(&axis) { Axis::Opaque } else { Axis::Same(axis) };
        AxisRelations(vec![(0..x.rank()).map(relation).collect()])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let ints = dims.of(DType::I32, dims.shape.clone());
        vec![
            Sample::new(Flip::new(&dims.axes(1)), [dims.float()]),
            Sample::new(Flip::new(&dims.axes(2)), [ints]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn the_last_comes_first() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 2]);
        let at = Tensor::new([2, 2], vec![1.0f32, 2.0, 3.0, 4.0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(x.flip(0)), [3.0, 4.0, 1.0, 2.0]);
        assert_eq!(value(x.flip(All)), [4.0, 3.0, 2.0, 1.0]);
        assert_eq!(x.flip(-1).flip(1).id(), x.id());
        assert_eq!(x.flip([]).id(), x.id());
        assert!(x.flip([0, -2]).ok().is_err()); // (C1)
        assert!(x.flip(2).ok().is_err());
    }
}
