//! Parameter: the place of an argument in a loop body or fused region.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// Argument `index` of the body it stands in. Outside of a body it has no value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Parameter {
    index: usize,
    ty: Arc<Type>,
}

impl Parameter {
    pub(crate) fn new(index: usize, ty: &Type) -> Parameter {
        Parameter { index, ty: Arc::new(ty.clone()) }
    }

    /// Which argument, from 0.
    pub fn index(&self) -> usize {
        self.index
    }
}

impl Primitive<0> for Parameter {
    const NAME: &'static str = "parameter";

    fn infer(&self, []: [&Type; 0]) -> Result<Type, TypeError> {
        Ok((*self.ty).clone())
    }

    fn eval(&self, []: [&Tensor; 0], _: &Type) -> Result<Tensor, EvalError> {
        Err(EvalError::Missing(format!("parameter {} outside of its body", self.index)))
    }

    fn vjp<'g>(&self, _: usize, []: [Var<'g>; 0], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, []: [&Type; 0], _: &Type) -> Lowering {
        Lowering::Source
    }

    fn cost(&self, []: [&Type; 0], _: &Type) -> Cost {
        Cost::FREE
    }

    fn retype(&self, from: DType, to: DType) -> Self {
        Parameter::new(self.index, &retype(&self.ty, from, to))
    }

    /// An operator without operands has nothing to differentiate or to feed.
    fn samples(_: &Dims) -> Vec<Sample> {
        vec![]
    }
}
