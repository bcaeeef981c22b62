//! Iota: the index along an axis.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y[i₀, …, iₙ] = i_axis`, converted to the element type (integers wrap).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Iota {
    ty: Arc<Type>,
    axis: usize,
}

impl Iota {
    /// The index along `axis` in a value of type `ty`.
    pub fn new(ty: &Type, axis: usize) -> Iota {
        Iota { ty: Arc::new(ty.clone()), axis }
    }
}

impl Primitive<0> for Iota {
    const NAME: &'static str = "iota";

    fn infer(&self, []: [&Type; 0]) -> Result<Type, TypeError> {
        require_axis(self.axis, self.ty.rank())?;
        self.ty.require_number(0)
    }

    fn eval(&self, []: [&Tensor; 0], y: &Type) -> Result<Tensor, EvalError> {
        Ok(Tensor::build_i64(y, |i| unravel(i, y.shape())[self.axis] as i64))
    }

    fn vjp<'g>(&self, _: usize, []: [Var<'g>; 0], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, []: [&Type; 0], _: &Type) -> Lowering {
        Lowering::Iota { axis: self.axis }
    }

    fn cost(&self, []: [&Type; 0], y: &Type) -> Cost {
        Cost::elementwise(&[], y, 0)
    }

    fn retype(&self, from: DType, to: DType) -> Self {
        Iota::new(&retype(&self.ty, from, to), self.axis)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let types = [DType::I64, DType::I32, dims.float];
        (0..dims.shape.rank())
            .zip(types.into_iter().cycle())
            .map(|(axis, dtype)| {
                Sample::new(Iota::new(&dims.of(dtype, dims.shape.clone()).ty, axis), [])
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn counts_along_its_axis() {
        let g = Graph::new();
        let y = g.iota(I64, [2, 3], 1).eval(&[]).unwrap();
        assert_eq!(y.to_i64s(), [0, 1, 2, 0, 1, 2]);
        assert!(g.iota(I64, [2], 1).ok().is_err());
    }
}
