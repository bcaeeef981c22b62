//! Uniform random numbers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// Element `i` of `y` is draw `i` of the key, uniform in `[0, 1)`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `key` | `[]` | i64 | (C1) an i64 scalar |
/// | `y` | the attribute | float | (C2) float |
///
/// **Gradient** none: it cuts.
/// **Numerics** multiples of 2⁻²⁴ (f32), 2⁻⁵³ (f64), 2⁻¹¹ (f16) or 2⁻⁸ (bf16); the same key gives the same values,
/// whatever the number of threads.
/// **Source** [`Key`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Uniform {
    ty: Arc<Type>,
}

impl Uniform {
    /// Draws of type `ty`.
    pub fn new(ty: &Type) -> Uniform {
        Uniform { ty: Arc::new(ty.clone()) }
    }
}

impl<'g> Var<'g> {
    /// Uniform draws in `[0, 1)` from this key, see [`Uniform`].
    #[track_caller]
    pub fn uniform(self, dtype: DType, shape: impl Into<Shape>) -> Var<'g> {
        match Type::new(dtype, shape) {
            Ok(ty) => self.record(Uniform::new(&ty), &[self]),
            Err(error) => self.refuse("uniform", &[self], error.into()),
        }
    }
}

/// Is it a random key?
pub(crate) fn require_key(operand: usize, key: &Type) -> Result<(), TypeError> {
    key.require_dtype(operand, DType::I64)?;
    require_shape(key, &Shape::scalar())
}

/// The key that a tensor carries.
pub(crate) fn key_of(key: &Tensor) -> Key {
    Key::from_i64(key.to_i64s()[0])
}

impl Primitive<1> for Uniform {
    const NAME: &'static str = "uniform";
    const TRAITS: Traits = Traits::RANDOM;

    fn infer(&self, [key]: [&Type; 1]) -> Result<Type, TypeError> {
        require_key(0, key)?; // (C1)
        self.ty.require_float(0) // (C2)
    }

    fn eval(&self, [key]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        Ok(Tensor::uniform(y, key_of(key), 0.0, 1.0))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Random(RandomOp::Uniform)
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        Cost::elementwise(&x, y, 20)
    }

    fn retype(&self, from: DType, to: DType) -> Self {
        Uniform::new(&retype(&self.ty, from, to))
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let key = dims.of(DType::I64, []).ints(i64::MIN / 2, i64::MAX / 2);
        let ty = dims.float().ty;
        vec![Sample::new(Uniform::new(&ty), [key]).values_only()]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn one_key_gives_one_value_and_two_keys_two() {
        let g = Graph::train();
        let (a, b) = (g.key(), g.key());
        assert_ne!(a.id(), b.id());
        let draw = |key: Var<'_>| key.uniform(F32, [8]).eval(&[]).unwrap();
        assert_eq!(draw(a), draw(a));
        assert_ne!(draw(a), draw(b));
        assert!(a.uniform(I32, [8]).ok().is_err()); // (C2)
        assert!(g.full(F32, [], 0.0).uniform(F32, [8]).ok().is_err()); // (C1)
    }
}
