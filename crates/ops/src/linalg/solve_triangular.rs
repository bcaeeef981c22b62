//! Solution of a triangular system.

use serde::{Deserialize, Serialize};

use crate::linalg::{by_column, matrices, of_matrices, require_system, substitute};
use crate::prelude::rules::*;

/// `y` with `a · y = b`, where `a` is triangular: the other triangle is not read. With `unit` the
/// diagonal is taken as ones.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a` | `[.., n, n]` | float | (C1) float, square |
/// | `b` | `[.., n, k]` | as `a` | (C2) equal leading axes, rows and types |
/// | `y` | as `b` | as `b` | |
///
/// **Gradient** `db = a⁻ᵀ · dy`, `da = -db · yᵀ` in the triangle that is read.
/// **Numerics** in `f64`, rounded once. A zero on the diagonal gives infinities or NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SolveTriangular {
    upper: bool,
    unit: bool,
}

impl SolveTriangular {
    /// Reads the upper or the lower triangle; takes the diagonal as ones, or not.
    pub fn new(upper: bool, unit: bool) -> SolveTriangular {
        SolveTriangular { upper, unit }
    }
}

impl Primitive<2> for SolveTriangular {
    const NAME: &'static str = "solve_triangular";

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        require_system(a, b) // (C1), (C2)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], y: &Type) -> Result<Tensor, EvalError> {
        Ok(of_matrices(y, || {
            let mut x = matrices(b);
            for (a, b) in matrices(a).iter().zip(&mut x) {
                substitute(a, b, self.upper, self.unit);
            }
            x
        }))
    }

    fn vjp<'g>(&self, slot: usize, [a, _]: [Var<'g>; 2], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let db = dy.record(SolveTriangular::new(!self.upper, self.unit), &[a.t(), dy]);
        if slot == 1 {
            return db.into();
        }
        let (da, off) = (-db.matmul(y.t()), i64::from(self.unit));
        if self.upper { da.triu(off) } else { da.tril(-off) }.into()
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Linalg(LinalgOp::SolveTriangular { upper: self.upper, unit: self.unit })
    }

    fn cost(&self, x: [&Type; 2], y: &Type) -> Cost {
        let n = x[0].shape().last().map_or(1, |&n| n as u64);
        Cost::elementwise(&x, y, n)
    }

    fn axes(&self, x: [&Type; 2], _: &Type) -> AxisRelations {
        by_column(&x)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let (n, k) = (dims.pick(1, 4), dims.pick(2, 3));
        let lead: Vec<usize> = dims.shape.iter().take(2).copied().collect();
        let shape = |tail: [usize; 2]| lead.iter().copied().chain(tail).collect::<Shape>();
        let a = || dims.float_of(shape([n, n])).definite();
        [(false, false), (true, false), (true, true)]
            .map(|(upper, unit)| {
                let b = dims.float_of(shape([n, k]));
                Sample::new(SolveTriangular::new(upper, unit), [a(), b]).loose(32.0)
            })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn both_triangles_and_both_sides() {
        let g = Graph::new();
        let a = g.constant(Tensor::new([2, 2], vec![2.0, 1.0, 4.0, 5.0]).unwrap());
        let b = g.constant(Tensor::new([2, 1], vec![4.0, 10.0]).unwrap());
        let value = |v: Var<'_>| v.eval(&[]).unwrap().to_f64s();
        assert_eq!(value(a.solve_triangular(b, false, true, false)), [2.0, 0.4]);
        assert_eq!(value(a.solve_triangular(b, true, true, false)), [1.0, 2.0]);
        assert_eq!(value(a.solve_triangular(b, true, true, true)), [-6.0, 10.0]);
        assert_eq!(value(a.solve_triangular(b.t(), true, false, false)), [2.0, 1.6]);
        let i = g.input("i", I64, [2, 2]);
        assert!(i.solve_triangular(i, true, true, false).ok().is_err()); // (C1)
        assert!(a.solve_triangular(b.t(), true, true, false).ok().is_err()); // (C2)
    }
}
