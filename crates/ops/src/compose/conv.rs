//! Convolution and its transpose, of any number of spatial axes.
//!
//! Both are one matrix product. Convolution reads windows of `x` as a matrix `[C·K, N·P]` (of `N`
//! images with `P` windows of `K` elements in `C` channels) and multiplies it by the weight
//! `[O, C·K]` from the left: so windows are copied in runs along the last spatial axis, the result
//! needs no transpose within an image, and the gradient of the weight is one product too. With few
//! channels the matrix is `[C·K, P·N]`, of images that lie side by side: no window is copied at all.
//! The transpose multiplies first and adds up overlapping windows after.

use pleach_graph::TypeError;

use crate::compose::spatial::{product, reach};
use crate::{Padding, PerAxis, Var, Window};

/// How a convolution walks.
///
/// ```
/// use pleach_ops::{ConvOptions, prelude::*};
/// let g = Graph::new();
/// let (x, w) = (g.input("x", F32, [8, 3, 32, 32]), g.input("w", F32, [16, 3, 5, 5]));
/// let y = x.conv(w, None, &ConvOptions::default().stride(2).padding([2, 2]));
/// assert_eq!(y.shape(), [8, 16, 16, 16].into());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvOptions {
    /// Distance of two windows. 1 if nothing is said.
    pub stride: PerAxis,
    /// Zeros around the value. None if nothing is said.
    pub padding: Padding,
    /// Distance of two elements of a window. 1 if nothing is said.
    pub dilation: PerAxis,
    /// Parts of the channels that are convolved apart. 1 if nothing is said.
    pub groups: usize,
    /// Of a transposed convolution: elements more at the end of every axis. 0 if nothing is said.
    pub output_padding: PerAxis,
}

impl Default for ConvOptions {
    fn default() -> ConvOptions {
        ConvOptions {
            stride: 1.into(),
            padding: Padding::valid(),
            dilation: 1.into(),
            groups: 1,
            output_padding: 0.into(),
        }
    }
}

impl ConvOptions {
    /// Distance of two windows.
    #[must_use]
    pub fn stride(self, stride: impl Into<PerAxis>) -> ConvOptions {
        ConvOptions { stride: stride.into(), ..self }
    }

    /// Zeros around the value: a number, one for each axis, pairs, or [`Padding::Same`].
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> ConvOptions {
        ConvOptions { padding: padding.into(), ..self }
    }

    /// Distance of two elements of a window.
    #[must_use]
    pub fn dilation(self, dilation: impl Into<PerAxis>) -> ConvOptions {
        ConvOptions { dilation: dilation.into(), ..self }
    }

    /// Parts of the channels that are convolved apart.
    #[must_use]
    pub fn groups(self, groups: usize) -> ConvOptions {
        ConvOptions { groups, ..self }
    }

    /// Of a transposed convolution: elements more at the end of every axis.
    #[must_use]
    pub fn output_padding(self, elements: impl Into<PerAxis>) -> ConvOptions {
        ConvOptions { output_padding: elements.into(), ..self }
    }
}

/// The numbers of one convolution, checked.
struct Walk {
    /// Windows along the spatial axes, from axis 2 of a batch.
    windows: Vec<Window>,
    /// Zeros before and after each spatial axis.
    sides: Vec<(usize, usize)>,
    output_padding: Vec<usize>,
    groups: usize,
}

fn wrong<T>(why: String) -> Result<T, TypeError> {
    Err(TypeError::Attribute(why))
}

impl Walk {
    /// `split` is the axis of the weight that is a multiple of `groups`; the other axis of channels
    /// is that of one group.
    fn new(
        x: Var<'_>,
        weight: Var<'_>,
        bias: Option<Var<'_>>,
        options: &ConvOptions,
        transposed: bool,
    ) -> Result<Walk, TypeError> {
        let (x_shape, w) = (x.shape(), weight.shape());
        if w.rank() < 3 {
            return Err(TypeError::Rank { operand: 1, expected: "at least 3", got: w });
        }
        if x_shape.rank() != w.rank() && x_shape.rank() + 1 != w.rank() {
            let expected = "as many as the weight, or one less,";
            return Err(TypeError::Rank { operand: 0, expected, got: x_shape });
        }
        for other in [Some(weight), bias].into_iter().flatten() {
            if other.dtype() != x.dtype() {
                return Err(TypeError::DTypes(x.dtype(), other.dtype()));
            }
        }
        let n = w.rank() - 2;
        let groups = options.groups;
        if groups == 0 || !w[0].is_multiple_of(groups) {
            let what = if transposed { "input" } else { "output" };
            return wrong(format!("{} {what} channels cannot be cut into {groups} groups", w[0]));
        }
        let channels = x_shape[x_shape.rank() - n - 1];
        let (inputs, outputs) = if transposed {
            (Some(w[0]), w[1].checked_mul(groups))
        } else {
            (w[1].checked_mul(groups), Some(w[0]))
        };
        if inputs != Some(channels) {
            let (what, right) = ("channels of operand and weight", inputs.unwrap_or(usize::MAX));
            return Err(TypeError::Sizes { what, left: channels, right });
        }
        if let Some(b) = bias.map(|b| b.shape())
            && (b.rank() != 1 || outputs != Some(b[0]))
        {
            return Err(TypeError::Shapes(b, [outputs.unwrap_or(usize::MAX)].into()));
        }
        let stride = options.stride.numbers("stride", n)?;
        let dilation = options.dilation.numbers("dilation", n)?;
        let window = |i: usize| Window {
            axis: 2 + i,
            size: w[2 + i],
            stride: stride[i],
            dilation: dilation[i],
        };
        let windows: Vec<Window> = (0..n).map(window).collect();
        let reached = windows.iter().map(|w| reach(w.size, w.dilation));
        let reached = reached.collect::<Result<Vec<_>, _>>()?;
        let sides = options.padding.sides(&reached, &stride)?;
        let output_padding = options.output_padding.numbers("output padding", n)?;
        Ok(Walk { windows, sides, output_padding, groups })
    }

    /// The number of windows along every axis of these lengths, zeros around them included.
    fn counts(&self, lengths: &[usize]) -> Result<Vec<usize>, TypeError> {
        let long = || TypeError::Attribute("an axis would be longer than can be counted".into());
        let axes = self.windows.iter().zip(&self.sides).zip(lengths);
        axes.map(|((w, side), &len)| {
            let padded = side.0.checked_add(side.1).and_then(|p| p.checked_add(len));
            w.count(padded.ok_or_else(long)?)
        })
        .collect()
    }

    /// For a transposed convolution of operands of these lengths: the lengths over which windows are
    /// added up, and what is then cut off or put on at the end of every axis.
    fn spread(&self, lengths: &[usize]) -> Result<Vec<Spread>, TypeError> {
        let axes = self.windows.iter().zip(&self.sides).zip(&self.output_padding).zip(lengths);
        axes.map(|(((w, &(before, after)), &more), &len)| {
            if more > 0 && more >= w.stride.max(w.dilation) {
                return wrong(format!(
                    "an output padding of {more} must be less than the stride {} or the dilation {}",
                    w.stride, w.dilation
                ));
            }
            w.count(w.size.saturating_mul(w.dilation))?; // Its numbers are at least 1.
            // An axis with windows may have some elements more before another window fits.
            let inside = more.min(w.stride - 1);
            let full = w.length(len).and_then(|full| full.checked_add(inside));
            let end = |full: usize| full.checked_add(more - inside)?.checked_sub(after);
            match full.and_then(|full| Some((full, end(full)?))) {
                Some((full, end)) if end > before => Ok(Spread {
                    full,
                    kept: before.min(full)..end.min(full),
                    zeros: (before.saturating_sub(full), end.saturating_sub(full)),
                }),
                _ => wrong(format!(
                    "padding ({before}, {after}) leaves nothing of an axis of length {len}"
                )),
            }
        })
        .collect()
    }
}

/// One axis of a transposed convolution.
struct Spread {
    /// Its length as windows are added up.
    full: usize,
    /// The part of it that stays.
    kept: std::ops::Range<usize>,
    /// Zeros before and after that part.
    zeros: (usize, usize),
}

/// Do images lie side by side in the matrix of windows? That takes as many as fill vectors; with many
/// channels other ways are as fast, and what comes next wants them the usual way round.
fn side_by_side(batch: usize, inputs: usize, outputs: usize) -> bool {
    batch > 0 && batch.is_multiple_of(IMAGES) && inputs.max(outputs) <= FEW
}

/// Images that fill a vector of the widest kind.
const IMAGES: usize = 16;
/// Channels that are few.
const FEW: usize = 16;

/// `first`, then axes `from ..= from + n - 1`, …: an order of axes in pieces.
fn order(pieces: &[std::ops::Range<usize>]) -> Vec<i64> {
    pieces.iter().cloned().flatten().map(|axis| axis as i64).collect()
}

impl<'g> Var<'g> {
    /// Convolution (cross-correlation) over the spatial axes:
    /// `y[n, o, p..] = b[o] + Σ_c,k x[n, c, stride·p + dilation·k - padding ..] · w[o, c, k..]`.
    ///
    /// | | shape |
    /// |---|---|
    /// | `self` | `[N, C, L..]`, or `[C, L..]` without a batch; any number of spatial axes `L..` |
    /// | `weight` | `[O, C / groups, K..]` |
    /// | `bias` | `[O]` |
    /// | result | `[N, O, P..]`, with `P = (L + padding - dilation·(K - 1) - 1) / stride + 1` |
    ///
    /// Output channel `o` sees the input channels of its group alone. With `groups = C` it is
    /// depthwise. Layouts are PyTorch's.
    #[track_caller]
    pub fn conv(self, weight: Var<'g>, bias: Option<Var<'g>>, options: &ConvOptions) -> Var<'g> {
        let operands: Vec<Var<'g>> = [self, weight].into_iter().chain(bias).collect();
        if operands.iter().any(|v| v.ty().is_none()) {
            return self.untyped("conv", &operands);
        }
        let (w, rank) = (weight.shape(), weight.shape().rank());
        let checked = Walk::new(self, weight, bias, options, false).and_then(|walk| {
            if walk.output_padding.iter().any(|&p| p > 0) {
                return wrong("output padding is for transposed convolution".into());
            }
            let counts = walk.counts(&self.shape()[self.shape().rank() + 2 - rank..])?;
            Ok((walk, counts))
        });
        let (walk, counts) = match checked {
            Ok(checked) => checked,
            Err(reason) => return self.refuse("conv", &operands, reason),
        };
        let _at = self.graph().at();
        let (x, n) = (self.batched(rank), rank - 2);
        let (batch, groups) = (x.size(0), walk.groups);
        let (depth, area) = (product(&w[1..]), product(&counts).saturating_mul(batch));
        let weight = weight.reshape([groups, w[0] / groups, depth]);
        let y = if side_by_side(batch, x.size(1), w[0]) {
            // [N, C, L..] -> [C, L.., N]; [C, P.., N, K..] -> [C, K.., P.., N] -> [G, C/G·K, P·N]
            let x = x.permute(&order(&[1..rank, 0..1]));
            let zeros = [&[(0, 0)], &walk.sides[..], &[(0, 0)]].concat();
            let along = walk.windows.iter().map(|w| Window { axis: w.axis - 1, ..*w });
            let windows = x.pad(&zeros).windows(&along.collect::<Vec<_>>());
            let patches = windows.permute(&order(&[0..1, rank..rank + n, 1..rank]));
            let y = weight.matmul(patches.reshape([groups, depth, area]));
            // [G, O/G, P·N] -> [O, P.., N] -> [N, O, P..]
            let y = y.reshape([&[w[0]], &counts[..], &[batch]].concat());
            y.permute(&order(&[n + 1..n + 2, 0..n + 1]))
        } else {
            // [N, C, P.., K..] -> [C, K.., N, P..] -> [G, C/G·K, N·P]
            let windows = x.pad_last(&walk.sides).windows(&walk.windows);
            let patches = windows.permute(&order(&[1..2, rank..rank + n, 0..1, 2..rank]));
            let y = weight.matmul(patches.reshape([groups, depth, area]));
            // [G, O/G, N·P] -> [O, N, P..] -> [N, O, P..]
            y.reshape([&[w[0], batch], &counts[..]].concat()).transpose(0, 1)
        };
        y.with_bias(bias, n).unbatched(self, rank)
    }

    /// Transposed convolution: the adjoint of [`Var::conv`] for `self`, with the same weight and
    /// options, and a bias. Every element of `self` puts `w`, times itself, into the result.
    ///
    /// | | shape |
    /// |---|---|
    /// | `self` | `[N, C, L..]`, or `[C, L..]` without a batch; any number of spatial axes `L..` |
    /// | `weight` | `[C, O / groups, K..]` |
    /// | `bias` | `[O]` |
    /// | result | `[N, O, P..]`, with `P = (L - 1)·stride + dilation·(K - 1) + 1 - padding + output_padding` |
    ///
    /// Padding takes elements away here. Several lengths have convolutions of equal length:
    /// `output_padding`, less than the stride or the dilation, says which is meant.
    #[track_caller]
    pub fn conv_transpose(
        self,
        weight: Var<'g>,
        bias: Option<Var<'g>>,
        options: &ConvOptions,
    ) -> Var<'g> {
        let operands: Vec<Var<'g>> = [self, weight].into_iter().chain(bias).collect();
        if operands.iter().any(|v| v.ty().is_none()) {
            return self.untyped("conv_transpose", &operands);
        }
        let (w, rank) = (weight.shape(), weight.shape().rank());
        let checked = Walk::new(self, weight, bias, options, true).and_then(|walk| {
            if options.padding == Padding::Same {
                return wrong("transposed convolution needs its padding in numbers".into());
            }
            let spread = walk.spread(&self.shape()[self.shape().rank() + 2 - rank..])?;
            Ok((walk, spread))
        });
        let (walk, spread) = match checked {
            Ok(checked) => checked,
            Err(reason) => return self.refuse("conv_transpose", &operands, reason),
        };
        let _at = self.graph().at();
        let (x, n) = (self.batched(rank), rank - 2);
        // [N, C, L..] -> [C, N, L..] -> [G, C/G, N·L]
        let (x_shape, groups) = (x.shape(), walk.groups);
        let (batch, lengths) = (x_shape[0], &x_shape[2..]);
        let area = product(lengths).saturating_mul(batch);
        let x = x.transpose(0, 1).reshape([groups, w[0] / groups, area]);
        let depth = product(&w[1..]);
        let patches = weight.reshape([groups, w[0] / groups, depth]).t().matmul(x);
        // [G, O/G·K, N·L] -> [O, K.., N, L..] -> [N, O, L.., K..]
        let shape = [&[w[1] * groups], &w[2..], &[batch], lengths].concat();
        let patches = patches.reshape(shape).permute(&order(&[
            n + 1..n + 2,
            0..1,
            n + 2..2 * n + 2,
            1..n + 1,
        ]));
        let full: Vec<usize> = spread.iter().map(|s| s.full).collect();
        let mut y = patches.windows_add(&walk.windows, &full);
        for (axis, s) in (2..).zip(&spread) {
            y = y.slice(axis, s.kept.clone());
        }
        let zeros: Vec<(usize, usize)> = spread.iter().map(|s| s.zeros).collect();
        y.pad_last(&zeros).with_bias(bias, n).unbatched(self, rank)
    }

    /// Plus a bias for every channel, where `n` spatial axes follow the channels.
    #[track_caller]
    fn with_bias(self, bias: Option<Var<'g>>, n: usize) -> Var<'g> {
        match bias {
            Some(b) => self + b.reshape([&[b.size(0)][..], &vec![1; n]].concat()),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn line(values: &[f64]) -> Tensor {
        Tensor::new([1, 1, values.len()], values.to_vec()).unwrap()
    }

    #[test]
    fn a_line_by_hand() {
        let g = Graph::new();
        let (x, w) = (g.input("x", F64, [1, 1, 4]), g.input("w", F64, [1, 1, 2]));
        let b = g.input("b", F64, [1]);
        let feeds = [
            &line(&[1.0, 2.0, 4.0, 8.0]),
            &line(&[10.0, 1.0]),
            &Tensor::new([1], vec![0.5]).unwrap(),
        ];
        let value = |y: Var<'_>| y.eval(&feeds).unwrap().to_f64s();
        let plain = ConvOptions::default();
        assert_eq!(value(x.conv(w, Some(b), &plain)), [12.5, 24.5, 48.5]);
        assert_eq!(value(x.conv(w, None, &plain.clone().padding(1).stride(2))), [1.0, 24.0, 80.0]);
        assert_eq!(value(x.conv(w, None, &plain.clone().dilation(3))), [18.0]);
        let same = plain.clone().padding(Padding::Same);
        assert_eq!(value(x.conv(w, None, &same)), [12.0, 24.0, 48.0, 80.0]);
        let y = x.conv_transpose(w, Some(b), &plain);
        assert_eq!(value(y), [10.5, 21.5, 42.5, 84.5, 8.5]);
        let wide = plain.clone().stride(2).padding(1).output_padding(1);
        assert_eq!(value(x.conv_transpose(w, None, &wide)), [1.0, 20.0, 2.0, 40.0, 4.0, 80.0, 8.0]);
        let far = plain.dilation(3).output_padding(2);
        let want = [10.0, 20.0, 40.0, 81.0, 2.0, 4.0, 8.0, 0.0, 0.0];
        assert_eq!(value(x.conv_transpose(w, None, &far)), want);
    }

    #[test]
    fn wrong_arguments_are_refused_with_the_name_of_the_method() {
        let g = Graph::new();
        let (x, w) = (g.input("x", F32, [2, 4, 5]), g.input("w", F32, [6, 2, 3]));
        let good = ConvOptions::default().groups(2);
        assert_eq!(x.conv(w, None, &good).ok().unwrap().shape(), [2, 6, 3].into());
        let error = x.conv(w, None, &ConvOptions::default()).ok().unwrap_err().to_string();
        let want =
            "conv(f32[2, 4, 5], f32[6, 2, 3]): channels of operand and weight differ, 4 and 2";
        assert!(error.starts_with(want), "{error}");
        let wrong = |options: ConvOptions| {
            assert!(x.conv(w, None, &options).ok().is_err(), "{options:?}");
        };
        wrong(good.clone().stride(0));
        wrong(good.clone().dilation(0));
        wrong(good.clone().dilation(3));
        wrong(good.clone().groups(0));
        wrong(good.clone().groups(4));
        wrong(good.clone().stride([1, 1]));
        wrong(good.clone().padding(usize::MAX));
        wrong(good.clone().dilation(usize::MAX));
        wrong(good.clone().output_padding(1));
        wrong(good.clone().stride(2).padding(Padding::Same));
        let b = g.input("b", F32, [5]);
        assert!(x.conv(w, Some(b), &good).ok().is_err());
        assert!(x.conv(g.input("v", F64, [6, 2, 3]), None, &good).ok().is_err());
        assert!(x.conv(g.input("m", F32, [6, 2]), None, &good).ok().is_err());
        let t = g.input("t", F32, [4, 3, 3]);
        assert!(x.conv_transpose(t, None, &good).ok().is_ok());
        for options in [
            good.clone().output_padding(1),
            good.clone().padding(4),
            good.clone().padding(Padding::Same),
            good.clone().stride(usize::MAX),
            good.clone().stride(0),
        ] {
            assert!(x.conv_transpose(t, None, &options).ok().is_err(), "{options:?}");
        }
    }

    #[test]
    fn without_a_batch_and_with_an_empty_one() {
        let g = Graph::new();
        let w = g.input("w", F32, [6, 3, 2, 2, 2]);
        let options = ConvOptions::default();
        let single = g.input("x", F32, [3, 4, 5, 6]).conv(w, None, &options);
        assert_eq!(single.ok().unwrap().shape(), [6, 3, 4, 5].into());
        let none = g.input("y", F32, [0, 3, 4, 5, 6]).conv(w, None, &options);
        assert_eq!(none.ok().unwrap().shape(), [0, 6, 3, 4, 5].into());
        let back = single.conv_transpose(w, None, &options);
        assert_eq!(back.ok().unwrap().shape(), [3, 4, 5, 6].into());
    }
}
