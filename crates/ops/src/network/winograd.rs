//! Convolution with windows of 3 × 3, of images whose channels come first, by fewer products.

use serde::{Deserialize, Serialize};

use crate::WinogradWeight;
use crate::prelude::rules::*;

/// `y[o, n, p, q] = Σ_c,i,j w[o, c, i, j] · x[c, n, p + i - padding, q + j - padding]`: a convolution
/// with windows of 3 × 3 that are next to each other, with zeros around the image.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | `[C, N, H, W]` | float | (C1) float, four axes |
/// | `w` | `[O, C, 3, 3]` | as `x` | (C2) equal element types, (C3) this shape |
/// | `y` | `[O, N, H + padding - 2, W + padding - 2]` | as `x` | (C4) these lengths are not negative, padding is at most 2 |
///
/// **Gradient** `dx = winograd(dy, flip wᵀ)` with a padding of `2 - padding`, `dw =
/// winograd_weight(x, dy)`.
/// **Numerics** Winograd's F(2×2, 3×3): 16 products for a tile of four results instead of 36. Sums
/// and differences of elements are multiplied, so all results of a tile share an error: in `f32` some
/// 1e-6 of the largest. An infinite element makes NaN of what is around it.
/// [`Var::conv`] is recorded as a product with windows; the pass `winograd` makes this of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Winograd {
    padding: [[u8; 2]; 2],
}

impl Winograd {
    /// With zeros before and after rows and columns.
    pub fn new(padding: [[usize; 2]; 2]) -> Winograd {
        Winograd { padding: small(padding) }
    }
}

/// Numbers of zeros, as an attribute; those that do not fit are too many.
pub(crate) fn small(padding: [[usize; 2]; 2]) -> [[u8; 2]; 2] {
    padding.map(|axis| axis.map(|zeros| u8::try_from(zeros).unwrap_or(u8::MAX)))
}

/// Numbers of zeros.
pub(crate) fn zeros(padding: [[u8; 2]; 2]) -> [[usize; 2]; 2] {
    padding.map(|axis| axis.map(usize::from))
}

/// Zeros around a gradient, whose convolution is that of the image.
pub(crate) fn around(padding: [[usize; 2]; 2]) -> [[usize; 2]; 2] {
    padding.map(|axis| axis.map(|zeros| 2usize.saturating_sub(zeros)))
}

/// Rows and columns of the results, for images `x`.
pub(crate) fn lengths(x: &Type, padding: [[usize; 2]; 2]) -> Result<[usize; 2], TypeError> {
    x.require_float(0)?; // (C1)
    if x.rank() != 4 {
        let (expected, got) = ("4", x.shape().clone());
        return Err(TypeError::Rank { operand: 0, expected, got }); // (C1)
    }
    let length = |axis: usize| {
        let [before, after] = padding[axis];
        let all = x.shape()[2 + axis].checked_add(before)?.checked_add(after)?;
        (before <= 2 && after <= 2).then_some(())?;
        all.checked_sub(2)
    };
    length(0).zip(length(1)).map(|(rows, columns)| [rows, columns]).ok_or_else(|| {
        let why = format!("windows of 3 × 3 do not fit {} with zeros {padding:?}", x.shape());
        TypeError::Attribute(why) // (C4)
    })
}

/// Multiplications and additions of the products: 16 for every four results, channel and output.
pub(crate) fn flops(w: &Type, y: &Type) -> u64 {
    let [outputs, channels, ..] = w.shape()[..] else { return 0 };
    let [_, images, rows, columns] = y.shape()[..] else { return 0 };
    let tiles = [images, rows.div_ceil(2), columns.div_ceil(2), outputs, channels];
    tiles.iter().fold(32, |n: u64, &len| n.saturating_mul(len as u64))
}

/// Calls `f` with the places, row-major, of every element of the weight, the image and the result that
/// meet in a product.
pub(crate) fn walk(
    [x, w, y]: [&Shape; 3],
    padding: [[usize; 2]; 2],
    mut f: impl FnMut(usize, usize, usize),
) {
    for at in 0..w.iter().product() {
        let i = unravel(at, w);
        let (o, c, window) = (i[0], i[1], [i[2], i[3]]);
        for place in 0..y[1..].iter().product() {
            let p = unravel(place, &y[1..]);
            let from = [0, 1].map(|axis| {
                let at = (p[1 + axis] + window[axis]).checked_sub(padding[axis][0]);
                at.filter(|&at| at < x[2 + axis])
            });
            if let [Some(row), Some(column)] = from {
                let image = ((c * x[1] + p[0]) * x[2] + row) * x[3] + column;
                f(at, image, o * y[1..].iter().product::<usize>() + place);
            }
        }
    }
}

impl<'g> Var<'g> {
    /// Convolution with windows of 3 × 3 of images whose channels come first, see [`Winograd`].
    #[track_caller]
    pub fn winograd(self, w: Var<'g>, padding: [[usize; 2]; 2]) -> Var<'g> {
        self.record(Winograd::new(padding), &[self, w])
    }

    /// The weight of the convolution that is this one's adjoint for the image.
    pub(crate) fn adjoint_weight(self) -> Var<'g> {
        self.permute(&[1, 0, 2, 3]).flip([2, 3])
    }
}

impl Primitive<2> for Winograd {
    const NAME: &'static str = "winograd";
    const TRAITS: Traits = Traits::MULTILINEAR;

    fn infer(&self, [x, w]: [&Type; 2]) -> Result<Type, TypeError> {
        let [rows, columns] = lengths(x, zeros(self.padding))?; // (C1) (C4)
        if w.dtype() != x.dtype() {
            return Err(TypeError::DTypes(x.dtype(), w.dtype())); // (C2)
        }
        let outputs = w.shape().first().copied().unwrap_or(0);
        require_shape(w, &[outputs, x.shape()[0], 3, 3].into())?; // (C3)
        Ok(x.with_shape([outputs, x.shape()[1], rows, columns])?)
    }

    fn eval(&self, [x, w]: [&Tensor; 2], y: &Type) -> Result<Tensor, EvalError> {
        let mut sums = vec![0.0; y.numel()];
        let (of_x, of_w) = (x.to_f64s(), w.to_f64s());
        let shapes = [x.shape(), w.shape(), y.shape()];
        walk(shapes, zeros(self.padding), |w, x, y| sums[y] += of_w[w] * of_x[x]);
        Ok(Tensor::build(y, |i| sums[i]))
    }

    fn vjp<'g>(&self, slot: usize, [x, w]: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        match slot {
            0 => dy.winograd(w.adjoint_weight(), around(zeros(self.padding))).into(),
            _ => x.record(WinogradWeight::new(zeros(self.padding)), &[x, dy]).into(),
        }
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Winograd(WinogradOp::Convolve { padding: zeros(self.padding) })
    }

    fn cost(&self, x: [&Type; 2], y: &Type) -> Cost {
        Cost { flops: flops(x[1], y), bytes: Cost::elementwise(&x, y, 0).bytes }
    }

    fn axes(&self, _: [&Type; 2], _: &Type) -> AxisRelations {
        AxisRelations(vec![
            vec![Axis::Contract, Axis::Same(1), Axis::Opaque, Axis::Opaque],
            vec![Axis::Same(0), Axis::Contract, Axis::Opaque, Axis::Opaque],
        ])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let (x, outputs, padding) = sample(dims);
        let w = dims.float_of([outputs, x[0], 3, 3]);
        vec![Sample::new(Winograd::new(padding), [dims.float_of(x), w]).loose(64.0)]
    }
}

/// Lengths of images, a number of outputs, and padding of a sample.
pub(crate) fn sample(dims: &Dims) -> ([usize; 4], usize, [[usize; 2]; 2]) {
    let pick = |salt, n| dims.pick(salt, n);
    let padding = [[pick(0, 3), pick(1, 3)], [pick(2, 3), pick(3, 3)]];
    let least = padding.map(|[before, after]| 3usize.saturating_sub(before + after));
    let x = [1 + pick(4, 3), 1 + pick(5, 2), least[0] + pick(6, 3), least[1] + pick(7, 4)];
    (x, 1 + pick(8, 3), padding)
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::{ConvOptions, Window};

    #[test]
    fn it_is_the_convolution() {
        let g = Graph::new();
        let (x, w) = (g.input("x", F64, [2, 3, 5, 4]), g.input("w", F64, [6, 3, 3, 3]));
        let options = ConvOptions::default().padding([1, 1]);
        let want = x.conv(w, None, &options);
        let y = x.transpose(0, 1).winograd(w, [[1, 1]; 2]).transpose(0, 1);
        assert_eq!(y.shape(), want.shape());
        let random = |shape: &[usize], key| {
            let ty = Type::new(F64, shape).unwrap();
            Tensor::build(&ty, |i| Key(key).uniform_f64(i as u64) - 0.5)
        };
        let feeds = [&random(&[2, 3, 5, 4], 1), &random(&[6, 3, 3, 3], 2)];
        let differ = (y - want).abs().sum(All).eval(&feeds).unwrap().to_f64s()[0];
        assert!(differ < 1e-12, "{differ}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let g = Graph::new();
        let (x, w) = (g.input("x", F32, [2, 1, 4, 1]), g.input("w", F32, [5, 2, 3, 3]));
        assert_eq!(x.winograd(w, [[0, 0], [1, 1]]).shape(), [5, 1, 2, 1].into());
        assert_eq!(x.winograd(w, [[0, 0], [1, 0]]).shape(), [5, 1, 2, 0].into());
        assert!(x.winograd(w, [[1, 1], [0, 0]]).ok().is_err()); // (C4)
        assert!(x.winograd(w, [[0, 3], [1, 1]]).ok().is_err()); // (C4)
        assert!(x.winograd(x, [[1, 1]; 2]).ok().is_err()); // (C3)
        assert!(x.winograd(g.input("d", F64, [5, 2, 3, 3]), [[1, 1]; 2]).ok().is_err()); // (C2)
        let flat = x.windows(&[Window::new(2, 3)]);
        assert!(flat.winograd(w, [[1, 1]; 2]).ok().is_err()); // (C1)
        let ints = g.input("i", I32, [2, 1, 4, 4]);
        assert!(ints.winograd(g.input("j", I32, [5, 2, 3, 3]), [[1, 1]; 2]).ok().is_err()); // (C1)
    }
}
