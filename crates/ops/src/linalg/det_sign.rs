//! Sign of a determinant.

use serde::{Deserialize, Serialize};

use crate::linalg::det::{elimination, one_a_matrix, sample};
use crate::linalg::{by_matrix, matrices, pivots};
use crate::prelude::rules::*;

/// `y = sign(det a)`: -1, 0 or 1, for every matrix of the leading axes.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a` | `[.., n, n]` | float | (C1) float, square |
/// | `y` | `[..]` | as `a` | |
///
/// **Gradient** none: it cuts. **Numerics** the product of the signs of the pivots: no overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DetSign;

impl Primitive<1> for DetSign {
    const NAME: &'static str = "det_sign";

    fn infer(&self, [a]: [&Type; 1]) -> Result<Type, TypeError> {
        one_a_matrix(a) // (C1)
    }

    fn eval(&self, [a]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let a = matrices(a);
        let signum = |p: f64| if p == 0.0 { 0.0 } else { p.signum() };
        Ok(Tensor::build(y, |i| {
            let (pivots, sign) = pivots(a[i].clone());
            pivots.iter().fold(sign, |y, &p| y * signum(p))
        }))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Linalg(LinalgOp::DetSign)
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        elimination(&x, y)
    }

    fn axes(&self, x: [&Type; 1], _: &Type) -> AxisRelations {
        by_matrix(&x)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![sample(DetSign, dims).values_only()]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn an_exchange_of_rows_is_negative() {
        let g = Graph::new();
        let a = g.constant(Tensor::new([2, 2], vec![0.0, 1e-200, 1e-200, 0.0]).unwrap());
        assert_eq!(a.slogdet().0.eval(&[]).unwrap().item(), Some(-1.0));
        assert!(g.input("i", I64, [2, 2]).slogdet().0.ok().is_err()); // (C1)
    }
}
