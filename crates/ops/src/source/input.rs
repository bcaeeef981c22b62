//! Input: a value that is fed at every run.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// The value of an input. Fed in the order of `position`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Input(Arc<Info>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Info {
    name: String,
    position: usize,
    ty: Type,
}

impl Input {
    pub(crate) fn new(name: &str, position: usize, ty: Type) -> Input {
        Input(Arc::new(Info { name: name.into(), position, ty }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its place among the inputs, from 0.
    pub fn position(&self) -> usize {
        self.0.position
    }

    /// Its type.
    pub fn ty(&self) -> &Type {
        &self.0.ty
    }

    pub(crate) fn retyped(&self, from: DType, to: DType) -> Input {
        Input::new(self.name(), self.position(), retype(self.ty(), from, to))
    }
}

impl Primitive<0> for Input {
    const NAME: &'static str = "input";
    const TRAITS: Traits = Traits::SOURCE;

    fn infer(&self, []: [&Type; 0]) -> Result<Type, TypeError> {
        Ok(self.0.ty.clone())
    }

    fn eval(&self, []: [&Tensor; 0], _: &Type) -> Result<Tensor, EvalError> {
        Err(EvalError::Missing(self.0.name.clone()))
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
        self.retyped(from, to)
    }

    /// An operator without operands has nothing to differentiate or to feed.
    fn samples(_: &Dims) -> Vec<Sample> {
        vec![]
    }
}
