//! Round: the nearest integer.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = ⌊x⌉`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** none: it cuts, and a parameter that has no other path to the loss is an error that names it.
/// **Numerics** exact; halves go to the even integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Round;

impl<'g> Var<'g> {
    /// The nearest integer, the even one of two, see [`Round`].
    #[track_caller]
    pub fn round(self) -> Var<'g> {
        self.record(Round, &[self])
    }
}

impl Primitive<1> for Round {
    const NAME: &'static str = "round";
    const TRAITS: Traits = Traits::ELEMENTWISE;
    const EXACT: bool = true;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, f64::round_ties_even))
    }

    fn vjp<'g>(&self, _: usize, [_]: [Var<'g>; 1], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Round)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Round, [dims.float()]).values_only()]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn halves_go_to_the_even_integer() {
        let g = Graph::new();
        let y = g.input("x", F64, [4]).round();
        let at = Tensor::new([4], vec![0.5, 1.5, -2.5, -0.7]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([0.0, 2.0, -2.0, -1.0]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).round().ok().is_err()); // (C1)
    }
}
