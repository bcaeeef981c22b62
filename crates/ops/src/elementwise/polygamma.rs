//! Polygamma: the derivatives of the digamma function.

use pleach_kernels::special;
use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = ψ⁽ⁿ⁾(x)`, elementwise: the derivative of order `n + 1` of `ln Γ(x)`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `n`, `x` | equal | float, equal | (C1) float, (C2) equal types |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy · ψ⁽ⁿ⁺¹⁾(x)`; none by `n`, which is rounded to an integer.
/// **Numerics** NaN unless `n` is 0, 1, …, 170; a few ulp, but beside roots; ±∞ or NaN at 0 and at
/// negative integers. See [`polygamma`](special::polygamma).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Polygamma;

impl<'g> Var<'g> {
    /// The derivative of order `n` of the digamma function, see [`Polygamma`].
    #[track_caller]
    pub fn polygamma(self, n: u32) -> Var<'g> {
        let _at = self.graph().at();
        f64::from(n).like(self).binary(Polygamma, self)
    }

    /// The logarithmic derivative of the gamma function, see [`Polygamma`].
    #[track_caller]
    pub fn digamma(self) -> Var<'g> {
        self.polygamma(0)
    }
}

impl Primitive<2> for Polygamma {
    const NAME: &'static str = "polygamma";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [n, x]: [&Type; 2]) -> Result<Type, TypeError> {
        n.require_float(0)?; // (C1)
        n.require_same(x) // (C2)
    }

    fn eval(&self, [n, x]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(binary(n, x, special::polygamma, |_, _| 0))
    }

    fn vjp<'g>(&self, slot: usize, [n, x]: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        if slot == 0 {
            return Grad::Cut;
        }
        (dy * (n + 1.0).binary(Polygamma, x)).into()
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Polygamma)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let order = dims.float().within(0.0, 0.0);
        vec![Sample::new(Polygamma, [order, dims.float().within(0.5, 4.0)])]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn the_logarithm_of_gamma_differentiates_more_than_twice() {
        let g = Graph::new();
        let x = g.input("x", F64, []);
        let at = |v: Var<'_>| v.eval(&[&Tensor::scalar(1.0)]).unwrap().item().unwrap();
        let mut y = x.lgamma();
        // -γ, π²/6, -2·ζ(3)
        for want in [-0.5772156649015329, 1.6449340668482264, -2.4041138063191885] {
            y = g.grad(y, &[x])[0];
            assert!((at(y) - want).abs() < 1e-14, "{} {want}", at(y));
        }
        let i = g.input("i", I64, []);
        assert!(i.digamma().ok().is_err()); // (C1)
        assert!(x.binary(crate::Polygamma, g.input("f", F32, [])).ok().is_err()); // (C2)
    }
}
