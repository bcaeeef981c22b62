//! Atan2: the angle of a point.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// The angle of the point with abscissa `b` and ordinate `a`, in [-π, π], elementwise; the method
/// broadcasts.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a`, `b` | equal | float, equal | (C1) float, (C2) equal types |
/// | `y` | as `a` | as `a` | |
///
/// **Gradient** `da = dy · b / (a² + b²)`, `db = -dy · a / (a² + b²)`: NaN at the origin, as in
/// PyTorch.
/// **Numerics** ≤ 1 ulp; IEEE 754 for signed zeros and infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Atan2;

impl<'g> Var<'g> {
    /// The angle of the point `(other, self)`, see [`Atan2`].
    #[track_caller]
    pub fn atan2(self, other: impl Operand<'g>) -> Var<'g> {
        self.binary(Atan2, other)
    }
}

impl Primitive<2> for Atan2 {
    const NAME: &'static str = "atan2";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_float(0)?; // (C1)
        a.require_same(b) // (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
        Ok(binary(a, b, libm::atan2, |_, _| 0))
    }

    fn vjp<'g>(&self, slot: usize, [a, b]: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let scaled = dy / (a * a + b * b);
        if slot == 0 { (scaled * b).into() } else { (-(scaled * a)).into() }
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Scalar(ScalarOp::Atan2)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![
            Sample::new(Atan2, [dims.float(), dims.float().within(0.3, 2.0)]),
            Sample::new(Atan2, [dims.float().within(-2.0, -0.3), dims.float()]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn all_four_quadrants() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F64, [4]), g.input("b", F64, [4]));
        let y = Tensor::new([4], vec![1.0, 1.0, -1.0, -1.0]).unwrap();
        let x = Tensor::new([4], vec![1.0, -1.0, -1.0, 1.0]).unwrap();
        let angle = a.atan2(b).eval(&[&y, &x]).unwrap().to_f64s();
        let eighth = std::f64::consts::FRAC_PI_4;
        assert_eq!(angle, [eighth, 3.0 * eighth, -3.0 * eighth, -eighth]);
        let i = g.input("i", I64, [4]);
        assert!(i.atan2(i).ok().is_err()); // (C1)
        assert!(a.atan2(g.input("f", F32, [4])).ok().is_err()); // (C2)
    }
}
