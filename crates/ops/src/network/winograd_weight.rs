//! The gradient of the weight of a convolution with windows of 3 × 3, by fewer products.

use serde::{Deserialize, Serialize};

use crate::network::winograd::{around, flops, lengths, sample, small, walk, zeros};
use crate::prelude::rules::*;

/// `dw[o, c, i, j] = Σ_n,p,q dy[o, n, p, q] · x[c, n, p + i - padding, q + j - padding]`: the gradient
/// of the weight of [`Winograd`](crate::Winograd), which is linear in both operands too.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | `[C, N, H, W]` | float | (C1) float, four axes |
/// | `dy` | `[O, N, H + padding - 2, W + padding - 2]` | as `x` | (C2) equal element types, (C3) this shape |
/// | `dw` | `[O, C, 3, 3]` | as `x` | (C4) these lengths are not negative, padding is at most 2 |
///
/// **Gradient** `winograd(dy, flip ddwᵀ)` for `x`, with a padding of `2 - padding`, and
/// `winograd(x, ddw)` for `dy`.
/// **Numerics** the exact adjoint of F(2×2, 3×3), `Gᵀ[Σ (A·dy·Aᵀ) ⊙ (Bᵀ·x·B)]G`; sums over tiles in an
/// order that the shapes give. In `f32` about 1e-6 of the largest element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WinogradWeight {
    padding: [[u8; 2]; 2],
}

impl WinogradWeight {
    /// With zeros before and after rows and columns.
    pub fn new(padding: [[usize; 2]; 2]) -> WinogradWeight {
        WinogradWeight { padding: small(padding) }
    }
}

impl Primitive<2> for WinogradWeight {
    const NAME: &'static str = "winograd_weight";
    const TRAITS: Traits = Traits::MULTILINEAR;

    fn infer(&self, [x, dy]: [&Type; 2]) -> Result<Type, TypeError> {
        let [rows, columns] = lengths(x, zeros(self.padding))?; // (C1) (C4)
        if dy.dtype() != x.dtype() {
            return Err(TypeError::DTypes(x.dtype(), dy.dtype())); // (C2)
        }
        let outputs = dy.shape().first().copied().unwrap_or(0);
        require_shape(dy, &[outputs, x.shape()[1], rows, columns].into())?; // (C3)
        Ok(x.with_shape([outputs, x.shape()[0], 3, 3])?)
    }

    fn eval(&self, [x, dy]: [&Tensor; 2], y: &Type) -> Result<Tensor, EvalError> {
        let mut sums = vec![0.0; y.numel()];
        let (of_x, of_dy) = (x.to_f64s(), dy.to_f64s());
        let shapes = [x.shape(), y.shape(), dy.shape()];
        walk(shapes, zeros(self.padding), |w, x, dy| sums[w] += of_dy[dy] * of_x[x]);
        Ok(Tensor::build(y, |i| sums[i]))
    }

    fn vjp<'g>(&self, slot: usize, [x, dy]: [Var<'g>; 2], _: Var<'g>, ddw: Var<'g>) -> Grad<'g> {
        match slot {
            0 => dy.winograd(ddw.adjoint_weight(), around(zeros(self.padding))).into(),
            _ => x.winograd(ddw, zeros(self.padding)).into(),
        }
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Winograd(WinogradOp::Weight { padding: zeros(self.padding) })
    }

    fn cost(&self, x: [&Type; 2], y: &Type) -> Cost {
        Cost { flops: flops(y, x[1]), bytes: Cost::elementwise(&x, y, 0).bytes }
    }

    fn axes(&self, _: [&Type; 2], _: &Type) -> AxisRelations {
        AxisRelations(vec![
            vec![Axis::Same(1), Axis::Contract, Axis::Opaque, Axis::Opaque],
            vec![Axis::Same(0), Axis::Contract, Axis::Opaque, Axis::Opaque],
        ])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let (x, outputs, padding) = sample(dims);
        let op = WinogradWeight::new(padding);
        let of = |i: usize| x[2 + i] + padding[i][0] + padding[i][1] - 2;
        let dy = dims.float_of([outputs, x[1], of(0), of(1)]);
        vec![Sample::new(op, [dims.float_of(x), dy]).loose(64.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn it_is_the_gradient_of_the_weight() {
        let g = Graph::new();
        let (x, dy) = (g.input("x", F64, [1, 1, 3, 3]), g.input("dy", F64, [1, 1, 2, 1]));
        let dw = x.record(WinogradWeight::new([[1, 0], [0, 0]]), &[x, dy]);
        let line = |shape: &[usize], n: usize| {
            Tensor::new(shape, (1..=n).map(|i| i as f64).collect::<Vec<_>>()).unwrap()
        };
        let got = dw.eval(&[&line(&[1, 1, 3, 3], 9), &line(&[1, 1, 2, 1], 2)]).unwrap();
        assert_eq!(got.to_f64s(), [2.0, 4.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0]);
    }

    #[test]
    fn gradients_of_other_lengths_are_refused() {
        let g = Graph::new();
        let (x, dy) = (g.input("x", F32, [2, 1, 4, 4]), g.input("dy", F32, [5, 1, 3, 2]));
        let weight = |padding| x.record(WinogradWeight::new(padding), &[x, dy]).ok().is_ok();
        assert!(weight([[1, 0], [0, 0]]));
        assert!(!weight([[1, 1], [0, 0]])); // (C3)
    }
}
