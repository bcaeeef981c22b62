//! Floor: the largest integer not above.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = ⌊x⌋`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** none: it cuts, and a parameter that has no other path to the loss is an error that names it.
/// **Numerics** exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Floor;

impl<'g> Var<'g> {
    /// The largest integer not above, see [`Floor`].
    #[track_caller]
    pub fn floor(self) -> Var<'g> {
        self.record(Floor, &[self])
    }
}

impl Primitive<1> for Floor {
    const NAME: &'static str = "floor";
    const TRAITS: Traits = Traits::ELEMENTWISE;
    const EXACT: bool = true;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, f64::floor))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Floor)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Floor, [dims.float()]).values_only()]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).floor();
        let at = Tensor::new([3], vec![1.5, -1.5, 2.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([1.0, -2.0, 2.0]) {
            assert!((y - want).abs() <= 1e-15 * f64::abs(want), "{y} {want}");
        }
        assert!(g.input("i", I64, []).floor().ok().is_err()); // (C1)
    }
}
