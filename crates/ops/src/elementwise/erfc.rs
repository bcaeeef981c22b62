//! Erfc: the complement of the error function.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = 1 - erf(x)`, elementwise.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = -dy · 2/√π · exp(-x²)`.
/// **Numerics** ≤ 2 ulp, also where `1 - erf(x)` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Erfc;

impl<'g> Var<'g> {
    /// The complement of the error function, see [`Erfc`].
    #[track_caller]
    pub fn erfc(self) -> Var<'g> {
        self.record(Erfc, &[self])
    }
}

impl Primitive<1> for Erfc {
    const NAME: &'static str = "erfc";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, libm::erfc))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * ((-(x * x)).exp() * -std::f64::consts::FRAC_2_SQRT_PI)).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Erfc)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Erfc, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn the_tail_keeps_its_digits() {
        let g = Graph::new();
        let y = g.input("x", F64, [3]).erfc();
        let at = Tensor::new([3], vec![0.0, 10.0, f64::NEG_INFINITY]).unwrap();
        let y = y.eval(&[&at]).unwrap().to_f64s();
        for (y, want) in y.iter().zip([1.0, 2.088487583762545e-45, 2.0]) {
            let close = (y - want).abs() <= 1e-15 * f64::abs(want);
            assert!(close || *y == want, "{y} {want}");
        }
        assert!(g.input("i", I64, []).erfc().ok().is_err()); // (C1)
    }
}
