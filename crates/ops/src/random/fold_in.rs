//! Fold-in: a key derived from a key and a number.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::random::uniform::{key_of, require_key};

/// `y = key.fold(n)`: a child of the key for a layer, a step, an iteration.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `key`, `n` | `[]` | i64 | (C1) i64 scalars |
/// | `y` | `[]` | i64 | |
///
/// **Gradient** none: it cuts.
/// **Source** [`Key::fold`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FoldIn;

impl<'g> Var<'g> {
    /// The child number `n` of this key, see [`FoldIn`].
    #[track_caller]
    pub fn fold_in(self, n: impl Operand<'g>) -> Var<'g> {
        self.record(FoldIn, &[self, n.like(self)])
    }
}

impl Primitive<2> for FoldIn {
    const NAME: &'static str = "fold_in";

    fn infer(&self, [key, n]: [&Type; 2]) -> Result<Type, TypeError> {
        require_key(0, key)?; // (C1)
        require_key(1, n)?; // (C1)
        Ok(key.clone())
    }

    fn eval(&self, [key, n]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(Tensor::scalar(key_of(key).fold(n.to_i64s()[0] as u64).to_i64()))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 2], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::FoldIn
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let key = || dims.of(DType::I64, []).ints(i64::MIN / 2, i64::MAX / 2);
        vec![Sample::new(FoldIn, [key(), key()]).values_only()]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn children_differ() {
        let g = Graph::new();
        let key = g.constant(Tensor::scalar(5i64));
        let child = |n: i64| key.fold_in(n).eval(&[]).unwrap();
        assert_ne!(child(1), child(2));
        assert!(key.fold_in(g.full(F32, [], 0.0)).ok().is_err()); // (C1)
    }
}
