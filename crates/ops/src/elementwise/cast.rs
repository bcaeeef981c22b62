//! Cast: conversion of element types.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = x` converted to another element type, as [`Element`](pleach_tensor::Element) describes:
/// floats to integers saturate and truncate, NaN becomes 0, integers wrap, numbers become `true`
/// if they are not zero.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any | |
/// | `y` | as `x` | the attribute | |
///
/// **Gradient** between floats `dx = cast(dy)`; to or from any other type it cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cast {
    to: DType,
}

impl Cast {
    /// Conversion to `to`.
    pub fn new(to: DType) -> Cast {
        Cast { to }
    }
}

impl<'g> Var<'g> {
    /// Converted to another element type, see [`Cast`].
    #[track_caller]
    pub fn cast(self, to: DType) -> Var<'g> {
        self.record(Cast::new(to), &[self])
    }
}

impl Primitive<1> for Cast {
    const NAME: &'static str = "cast";
    const TRAITS: Traits = Traits::ELEMENTWISE.and(Traits::LINEAR);

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        Ok(x.with_dtype(self.to))
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(x.cast(self.to))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let floats = x.dtype().is_float() && y.dtype().is_float();
        if floats { dy.cast(x.dtype()).into() } else { Grad::Cut }
    }

    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        if x.dtype() == self.to { Simpler::Existing(x.id()) } else { Simpler::Same }
    }

    fn lower(&self, [x]: [&Type; 1], _: &Type) -> Lowering {
        if x.dtype() == self.to {
            Lowering::View(View::Identity)
        } else {
            Lowering::Scalar(ScalarOp::Cast(self.to))
        }
    }

    fn retype(&self, from: DType, to: DType) -> Self {
        Cast::new(if self.to == from { to } else { self.to })
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let mut samples = vec![];
        for from in DType::ALL {
            for to in DType::ALL {
                // A narrower result is not the same function in finite differences.
                let exact = from == to || (from.is_float() && to == DType::F64);
                let x = dims.of(from, dims.shape.clone());
                let sample = Sample::new(Cast::new(to), [x]);
                samples.push(if exact { sample } else { sample.values_only() });
            }
        }
        samples
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn an_integer_cast_cuts_the_gradient_and_is_named() {
        let g = Graph::new();
        let x = g.input("x", F32, []);
        let y = x.cast(I32).cast(F32);
        let grads = g.reverse(&[(y.id(), y.full_like(1.0).id())], &[x.id()]).unwrap();
        let pleach_graph::Gradient::Unreached { cut: Some(cut) } = grads[0] else { panic!() };
        assert_eq!(g.op(cut).to_string(), "cast(to:i32)");
    }

    #[test]
    fn to_its_own_type_is_nothing() {
        let g = Graph::new();
        let x = g.input("x", F32, [2]);
        assert_eq!(x.cast(F32).id(), x.id());
    }
}
