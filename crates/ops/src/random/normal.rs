//! Normal random numbers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::random::uniform::{key_of, require_key};

/// Element `i` of `y` is draw `i` of the key, standard normal.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `key` | `[]` | i64 | (C1) an i64 scalar |
/// | `y` | the attribute | float | (C2) float |
///
/// **Gradient** none: it cuts.
/// **Numerics** the f32 values are the f64 ones, rounded; the same key gives the same values,
/// whatever the number of threads.
/// **Source** [`Key`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Normal {
    ty: Arc<Type>,
}

impl Normal {
    /// Draws of type `ty`.
    pub fn new(ty: &Type) -> Normal {
        Normal { ty: Arc::new(ty.clone()) }
    }
}

impl<'g> Var<'g> {
    /// Standard normal draws from this key, see [`Normal`].
    #[track_caller]
    pub fn normal(self, dtype: DType, shape: impl Into<Shape>) -> Var<'g> {
        match Type::new(dtype, shape) {
            Ok(ty) => self.record(Normal::new(&ty), &[self]),
            Err(error) => self.refuse("normal", &[self], error.into()),
        }
    }
}

impl Primitive<1> for Normal {
    const NAME: &'static str = "normal";
    const TRAITS: Traits = Traits::RANDOM;

    fn infer(&self, [key]: [&Type; 1]) -> Result<Type, TypeError> {
        require_key(0, key)?; // (C1)
        self.ty.require_float(0) // (C2)
    }

    fn eval(&self, [key]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        Ok(Tensor::normal(y, key_of(key), 0.0, 1.0))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Random(RandomOp::Normal)
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        Cost::elementwise(&x, y, 40)
    }

    fn retype(&self, from: DType, to: DType) -> Self {
        Normal::new(&retype(&self.ty, from, to))
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let key = dims.of(DType::I64, []).ints(i64::MIN / 2, i64::MAX / 2);
        let ty = dims.float().ty;
        vec![Sample::new(Normal::new(&ty), [key]).values_only()]
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
        let draw = |key: Var<'_>| key.normal(F32, [8]).eval(&[]).unwrap();
        assert_eq!(draw(a), draw(a));
        assert_ne!(draw(a), draw(b));
        assert!(a.normal(I32, [8]).ok().is_err()); // (C2)
        assert!(g.full(F32, [], 0.0).normal(F32, [8]).ok().is_err()); // (C1)
    }
}
