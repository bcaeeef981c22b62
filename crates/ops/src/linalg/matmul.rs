//! Batched matrix product.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = a · b` over the last two axes, for every index of the leading ones.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a` | `[.., m, k]` | any number | (C1) number, (C2) at least 2 axes |
/// | `b` | `[.., k, n]` | as `a` | (C3) equal element types, inner sizes and leading axes |
/// | `y` | `[.., m, n]` | as `a` | |
///
/// The method broadcasts leading axes, and takes a vector on either side.
///
/// **Gradient** `da = dy · bᵀ`, `db = aᵀ · dy`.
/// **Numerics** every element has one order of accumulation, given by the shapes alone. `k = 0`
/// gives zeros. A sum begins at +0, so zeros of both signs and negative ones add up to +0. Integers wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MatMul;

impl<'g> Var<'g> {
    /// Matrix product over the last two axes, leading axes broadcast; see [`MatMul`]. A vector on
    /// the left is a row, on the right a column, and its axis is removed from the result.
    #[track_caller]
    pub fn matmul(self, other: Var<'g>) -> Var<'g> {
        let (Some(a), Some(b)) = (self.ty(), other.ty()) else {
            return self.untyped("matmul", &[self, other]);
        };
        let (rank_a, rank_b) = (a.rank(), b.rank());
        if rank_a == 0 || rank_b == 0 {
            let (operand, got) = if rank_a == 0 { (0, a) } else { (1, b) };
            let (expected, got) = ("at least 1", got.shape().clone());
            let reason = TypeError::Rank { operand, expected, got };
            return self.refuse("matmul", &[self, other], reason);
        }
        let _at = self.graph().at();
        let lhs = if rank_a == 1 { self.reshape([1, a.shape()[0]]) } else { self };
        let rhs = if rank_b == 1 { other.reshape([b.shape()[0], 1]) } else { other };
        let (sa, sb) = (lhs.shape(), rhs.shape());
        let (lead_a, tail_a) = sa.split_at(sa.rank() - 2);
        let (lead_b, tail_b) = sb.split_at(sb.rank() - 2);
        let Some(lead) = Shape::from(lead_a).broadcast(&Shape::from(lead_b)) else {
            let reason = TypeError::Broadcast(lead_a.into(), lead_b.into());
            return self.refuse("matmul", &[self, other], reason);
        };
        if tail_a[1] != tail_b[0] {
            let (left, right) = (tail_a[1], tail_b[0]);
            let reason = TypeError::Sizes { what: "inner sizes", left, right };
            return self.refuse("matmul", &[self, other], reason);
        }
        let widen = |v: Var<'g>, tail: &[usize]| {
            v.broadcast_to(lead.iter().chain(tail).copied().collect::<Shape>())
        };
        let y = lhs.record(MatMul, &[widen(lhs, tail_a), widen(rhs, tail_b)]);
        let mut shape = y.shape().to_vec();
        if rank_b == 1 {
            shape.pop();
        }
        if rank_a == 1 && !shape.is_empty() {
            let row = shape.len() - usize::from(rank_b != 1) - 1;
            shape.remove(row);
        }
        y.reshape(shape)
    }
}

impl Primitive<2> for MatMul {
    const NAME: &'static str = "matmul";
    const TRAITS: Traits = Traits::MULTILINEAR;

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        a.require_number(0)?; // (C1)
        for (operand, x) in [a, b].into_iter().enumerate() {
            if x.rank() < 2 {
                let (expected, got) = ("at least 2", x.shape().clone());
                return Err(TypeError::Rank { operand, expected, got }); // (C2)
            }
        }
        if a.dtype() != b.dtype() {
            return Err(TypeError::DTypes(a.dtype(), b.dtype())); // (C3)
        }
        let (lead_a, tail_a) = a.shape().split_at(a.rank() - 2);
        let (lead_b, tail_b) = b.shape().split_at(b.rank() - 2);
        if lead_a != lead_b {
            return Err(TypeError::Shapes(lead_a.into(), lead_b.into())); // (C3)
        }
        if tail_a[1] != tail_b[0] {
            let (left, right) = (tail_a[1], tail_b[0]);
            return Err(TypeError::Sizes { what: "inner sizes", left, right }); // (C3)
        }
        let shape: Shape = lead_a.iter().copied().chain([tail_a[0], tail_b[1]]).collect();
        Ok(a.with_shape(shape)?)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], y: &Type) -> Result<Tensor, EvalError> {
        let [m, n] = [y.shape()[y.rank() - 2], y.shape()[y.rank() - 1]];
        let k = a.shape()[y.rank() - 1];
        // Element i of y is the dot product of row i / n of a, and column i % n of its b.
        let a_at = |i: usize, l: usize| i / n * k + l;
        let b_at = |i: usize, l: usize| (i / (m * n) * k + l) * n + i % n;
        if y.dtype().is_float() {
            let (a, b) = (a.to_f64s(), b.to_f64s());
            // From +0, as kernels do it: `sum()` begins with -0.
            return Ok(Tensor::build(y, |i| {
                (0..k).fold(0.0, |sum, l| sum + a[a_at(i, l)] * b[b_at(i, l)])
            }));
        }
        let (a, b) = (a.to_i64s(), b.to_i64s());
        Ok(Tensor::build_i64(y, |i| {
            (0..k).fold(0i64, |sum, l| sum.wrapping_add(a[a_at(i, l)].wrapping_mul(b[b_at(i, l)])))
        }))
    }

    fn vjp<'g>(&self, slot: usize, [a, b]: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let (l, r) = if slot == 0 { (dy, b.t()) } else { (a.t(), dy) };
        dy.record(MatMul, &[l, r]).into()
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Gemm
    }

    fn cost(&self, x: [&Type; 2], y: &Type) -> Cost {
        let k = x[0].shape()[y.rank() - 1] as u64;
        Cost {
            flops: (2 * k).saturating_mul(y.numel() as u64),
            bytes: Cost::elementwise(&x, y, 0).bytes,
        }
    }

    fn axes(&self, _: [&Type; 2], y: &Type) -> AxisRelations {
        let lead = || (0..y.rank() - 2).map(Axis::Same);
        let (m, n) = (Axis::Same(y.rank() - 2), Axis::Same(y.rank() - 1));
        let a = lead().chain([m, Axis::Contract]).collect();
        let b = lead().chain([Axis::Contract, n]).collect();
        AxisRelations(vec![a, b])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let [m, k, n] = [1, 2, 3].map(|salt| dims.pick(salt, 5));
        let lead: Vec<usize> = dims.shape.iter().take(2).copied().collect();
        let shape = |tail: [usize; 2]| lead.iter().copied().chain(tail).collect::<Shape>();
        let ints = |tail| dims.of(DType::I32, shape(tail));
        vec![
            Sample::new(MatMul, [dims.float_of(shape([m, k])), dims.float_of(shape([k, n]))])
                .loose(8.0),
            Sample::new(MatMul, [ints([m, k]), ints([k, n])]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn shape_of(a: &[usize], b: &[usize]) -> Option<Shape> {
        let g = Graph::new();
        let y = g.input("a", F32, a).matmul(g.input("b", F32, b));
        y.ok().ok().map(|y| y.shape())
    }

    #[test]
    fn every_combination_of_ranks_has_its_shape() {
        for (a, b, y) in [
            (&[3][..], &[3][..], &[][..]),
            (&[2, 3], &[3], &[2]),
            (&[3], &[3, 4], &[4]),
            (&[2, 3], &[3, 4], &[2, 4]),
            (&[5, 2, 3], &[3, 4], &[5, 2, 4]),
            (&[5, 1, 2, 3], &[6, 3, 4], &[5, 6, 2, 4]),
            (&[5, 2, 3], &[3], &[5, 2]),
            (&[3], &[5, 3, 4], &[5, 4]),
        ] {
            assert_eq!(shape_of(a, b), Some(Shape::from(y)), "{a:?} {b:?}");
        }
        assert_eq!(shape_of(&[2, 3], &[4, 5]), None);
        assert_eq!(shape_of(&[], &[3]), None);
        assert_eq!(shape_of(&[2, 2, 3], &[3, 3, 4]), None);
    }

    #[test]
    fn sums_begin_at_plus_zero() {
        for k in [0, 1, 3] {
            let g = Graph::new();
            let (a, b) = (g.input("a", F64, [1, k]), g.input("b", F64, [k, 1]));
            let y = a.matmul(b);
            let (a, b) =
                (Tensor::full(&a.ty().unwrap(), -0.0), Tensor::full(&b.ty().unwrap(), 1.0));
            assert_eq!(y.eval(&[&a, &b]).unwrap().to_f64s()[0].to_bits(), 0, "{k}");
        }
    }

    #[test]
    fn an_error_names_both_types_and_the_line() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F32, [32, 784]), g.input("b", F32, [128, 10]));
        let error = a.matmul(b).ok().unwrap_err().to_string(); // (C3)
        let line = line!() - 1;
        let want = format!(
            "matmul(f32[32, 784], f32[128, 10]): inner sizes differ, 784 and 128 \
             (built at {}:{line}:23)",
            file!()
        );
        assert_eq!(error, want);
        assert!(a.matmul(g.input("c", F64, [784, 1])).ok().is_err()); // (C3)
        let b = g.input("d", BOOL, [2, 2]);
        assert!(b.matmul(b).ok().is_err()); // (C1)
        assert!(a.record(MatMul, &[a, g.input("e", F32, [784])]).ok().is_err()); // (C2)
    }

    #[test]
    fn an_empty_inner_axis_gives_zeros() {
        let g = Graph::new();
        let y = g.input("a", F32, [2, 0]).matmul(g.input("b", F32, [0, 3]));
        let empty = |s: [usize; 2]| Tensor::new(s, Vec::<f32>::new()).unwrap();
        assert_eq!(y.eval(&[&empty([2, 0]), &empty([0, 3])]).unwrap().to_f64s(), [0.0; 6]);
    }
}
