//! Linear systems and inverses.

use pleach_graph::TypeError;
use pleach_tensor::{I64, Shape};

use crate::{GraphExt, Solve, SolveTriangular, Var};

impl<'g> Var<'g> {
    /// `x` with `self · x = b`: matrices `[.., n, n]` and `[.., n, k]`, leading axes broadcast. A `b`
    /// with one axis less, `[.., n]`, is a vector for every matrix. See [`Solve`].
    #[track_caller]
    pub fn solve(self, b: Var<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let (shape, of) = (self.shape(), b.shape());
        let lead = shape.rank().saturating_sub(1);
        let vector = of.rank() == 1 || of.rank() == lead && of[..] == shape[..lead];
        let right = if vector && of.rank() > 0 { b.unsqueeze(-1) } else { b };
        match self.system("solve", right) {
            Ok([a, right]) => {
                let x = a.record(Solve, &[a, right]);
                if vector { x.squeeze(-1) } else { x }
            }
            Err(refused) => refused,
        }
    }

    /// `x` with `self · x = b`, or with `x · self = b` if not `left`, where the matrices of this
    /// value are upper or lower triangular: the other triangle is not read. With `unit` their
    /// diagonal is taken as ones. Leading axes are broadcast. See [`SolveTriangular`].
    #[track_caller]
    pub fn solve_triangular(self, b: Var<'g>, upper: bool, left: bool, unit: bool) -> Var<'g> {
        let _at = self.graph().at();
        if !left {
            // xᵀ solves the transposed system.
            return self.t().solve_triangular(b.t(), !upper, true, unit).t();
        }
        match self.system("solve_triangular", b) {
            Ok([a, b]) => a.record(SolveTriangular::new(upper, unit), &[a, b]),
            Err(refused) => refused,
        }
    }

    /// The inverse of the matrices `[.., n, n]`; not finite if one is singular.
    #[track_caller]
    pub fn inv(self) -> Var<'g> {
        let _at = self.graph().at();
        let Some(ty) = self.ty() else { return self.untyped("inv", &[self]) };
        let n = self.size(-1);
        if ty.rank() < 2 {
            let (expected, got) = ("at least 2", ty.shape().clone());
            return self.refuse("inv", &[self], TypeError::Rank { operand: 0, expected, got });
        }
        let g = self.graph();
        let one = g.iota(I64, [n, 1], 0).equal(g.iota(I64, [1, n], 1)).cast(ty.dtype());
        // Not by `solve`, to which a square matrix may be a list of vectors.
        match self.system("inv", one) {
            Ok([a, one]) => a.record(Solve, &[a, one]),
            Err(refused) => refused,
        }
    }

    /// Both sides of a system with their leading axes broadcast.
    #[track_caller]
    fn system(self, op: &str, b: Var<'g>) -> Result<[Var<'g>; 2], Var<'g>> {
        let (Some(left), Some(right)) = (self.ty(), b.ty()) else {
            return Err(self.untyped(op, &[self, b]));
        };
        for (operand, ty) in [&left, &right].into_iter().enumerate() {
            if ty.rank() < 2 {
                let (expected, got) = ("at least 2", ty.shape().clone());
                let reason = TypeError::Rank { operand, expected, got };
                return Err(self.refuse(op, &[self, b], reason));
            }
        }
        let (lead_a, tail_a) = left.shape().split_at(left.rank() - 2);
        let (lead_b, tail_b) = right.shape().split_at(right.rank() - 2);
        let Some(lead) = Shape::from(lead_a).broadcast(&Shape::from(lead_b)) else {
            let reason = TypeError::Broadcast(lead_a.into(), lead_b.into());
            return Err(self.refuse(op, &[self, b], reason));
        };
        let widen = |v: Var<'g>, tail: &[usize]| {
            v.broadcast_to(lead.iter().chain(tail).copied().collect::<Shape>())
        };
        Ok([widen(self, tail_a), widen(b, tail_b)])
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn one_matrix_for_many_right_hand_sides() {
        let g = Graph::new();
        let a = g.constant(Tensor::new([2, 2], vec![2.0, 0.0, 0.0, 4.0]).unwrap());
        let b = g.constant(Tensor::new([2, 2, 1], vec![2.0, 4.0, 6.0, 8.0]).unwrap());
        assert_eq!(a.solve(b).eval(&[]).unwrap().to_f64s(), [1.0, 1.0, 3.0, 2.0]);
        assert_eq!(a.inv().eval(&[]).unwrap().to_f64s(), [0.5, 0.0, 0.0, 0.25]);
        let many = g.full(F64, [2, 2, 2], 1.0) + a;
        let first = |v: Var<'_>| v.eval(&[]).unwrap().to_f64s()[..4].to_vec();
        assert_eq!(first(many.inv()), first((a + 1.0).inv()));
        assert!(a.solve(g.full(F64, [], 1.0)).ok().is_err());
        assert!(g.full(F64, [2], 1.0).inv().ok().is_err());
        assert!(b.solve(b).ok().is_err());
        assert!(b.slice(0, 0..1).solve_triangular(a, true, false, false).ok().is_err());
    }
}
