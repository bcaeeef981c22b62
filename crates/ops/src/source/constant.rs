//! Constant: a value known when the graph is recorded.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// A constant tensor. Two constants are one node if their types and bits are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Constant(Arc<Tensor>);

impl Constant {
    /// A constant.
    pub fn new(value: Tensor) -> Constant {
        Constant(Arc::new(value))
    }

    /// The value.
    pub fn value(&self) -> &Tensor {
        &self.0
    }
}

impl Primitive<0> for Constant {
    const NAME: &'static str = "constant";

    fn infer(&self, []: [&Type; 0]) -> Result<Type, TypeError> {
        Ok(self.0.ty().clone())
    }

    fn eval(&self, []: [&Tensor; 0], _: &Type) -> Result<Tensor, EvalError> {
        Ok((*self.0).clone())
    }

    fn vjp<'g>(&self, _: usize, []: [Var<'g>; 0], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    /// A float constant whose elements are all the same bits is a splat, which rules see and
    /// which takes no memory.
    fn simplify(&self, []: [Var<'_>; 0]) -> Simpler<Op> {
        match self.0.splat() {
            Some(value) if self.0.dtype().is_float() && !value.is_nan() => {
                Simpler::Push(Full::new(self.0.ty(), value).into(), SmallVec::new())
            }
            _ => Simpler::Same,
        }
    }

    fn lower(&self, []: [&Type; 0], _: &Type) -> Lowering {
        Lowering::Source
    }

    fn cost(&self, []: [&Type; 0], _: &Type) -> Cost {
        Cost::FREE
    }

    fn retype(&self, from: DType, to: DType) -> Self {
        if self.0.dtype() == from { Constant::new(self.0.cast(to)) } else { self.clone() }
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let value = dims.float().draw(Key(dims.seed));
        vec![Sample::new(Constant::new(value), [])]
    }
}
