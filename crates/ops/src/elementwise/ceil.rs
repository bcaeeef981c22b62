//! Ceil: the smallest integer not below.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = ⌈x⌉`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** none: it cuts, and a parameter that has no other path to the loss is an error that names it.
/// **Numerics** exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ceil;

impl<'g> Var<'g> {
    /// The smallest integer not below, see [`Ceil`].
    #[track_caller]
    pub fn ceil(self) -> Var<'g> {
        self.record(Ceil, &[self])
    }
}

impl Primitive<1> for Ceil {
    const NAME: &'static str = "ceil";
    const TRAITS: Traits = Traits::ELEMENTWISE;
    const EXACT: bool = true;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, f64::ceil))
    }

    fn vjp<'g>(&self, _: usize, [_]: [Var<'g>; 1], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Ceil)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Ceil, [dims.float()]).values_only()]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn known_values() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).ceil();
        let at = Tensor::new([3], vec![1.5, -1.5, 2.0]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([2.0, -1.0, 2.0]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).ceil().ok().is_err()); // (C1)
    }
}
