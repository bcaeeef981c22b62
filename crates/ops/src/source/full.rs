//! Full: every element the same number.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y[i] = value`. A splat takes no memory in a plan, whatever its shape; rules and folding see
/// its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Full {
    value: Real,
    ty: Arc<Type>,
}

/// As a hand may have written it: the number not yet one of the element type.
#[derive(Deserialize)]
struct Written {
    value: f64,
    ty: Type,
}

impl From<Written> for Full {
    fn from(written: Written) -> Full {
        Full::new(&written.ty, written.value)
    }
}

impl Full {
    /// Every element of a `ty` equal to `value`, rounded to its element type (NaN keeps neither
    /// sign nor payload).
    pub fn new(ty: &Type, value: f64) -> Full {
        let rounded = Tensor::full(&Type::scalar(ty.dtype()), value).item().unwrap_or(value);
        let rounded = if rounded.is_nan() { f64::NAN } else { rounded };
        Full { value: Real(rounded), ty: Arc::new(ty.clone()) }
    }

    /// The number.
    pub fn value(&self) -> f64 {
        self.value.0
    }

    /// The number as a scalar of the element type.
    pub fn scalar(&self) -> Tensor {
        Tensor::full(&Type::scalar(self.ty.dtype()), self.value.0)
    }
}

impl Primitive<0> for Full {
    const NAME: &'static str = "full";

    fn infer(&self, []: [&Type; 0]) -> Result<Type, TypeError> {
        Ok((*self.ty).clone())
    }

    fn eval(&self, []: [&Tensor; 0], y: &Type) -> Result<Tensor, EvalError> {
        Ok(Tensor::full(y, self.value.0))
    }

    fn vjp<'g>(&self, _: usize, []: [Var<'g>; 0], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, []: [&Type; 0], _: &Type) -> Lowering {
        Lowering::Fill { value: self.value.0 }
    }

    fn cost(&self, []: [&Type; 0], _: &Type) -> Cost {
        Cost::FREE
    }

    fn retype(&self, from: DType, to: DType) -> Self {
        Full::new(&retype(&self.ty, from, to), self.value.0)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![
            Sample::new(Full::new(&dims.float().ty, -1.5), []),
            Sample::new(Full::new(&dims.of(DType::I64, dims.shape.clone()).ty, 7.0), []),
        ]
    }
}
