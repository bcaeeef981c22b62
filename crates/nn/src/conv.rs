//! Convolutions as layers.

use pleach_ops::prelude::*;
use pleach_ops::{ConvOptions, Init};

use crate::init;

/// `y = conv(x, w) + b` over any number of spatial axes; see [`Var::conv`].
///
/// | | shape | dtype |
/// |---|---|---|
/// | `x` | `[N, C, L..]`, or `[C, L..]` | as `w` |
/// | `w` | `[O, C / groups, K..]` | that of the [`Params`] |
/// | `b` | `[O]` | as `w` |
/// | `y` | `[N, O, P..]`, or `[O, P..]` | as `w` |
///
/// Begins as PyTorch's `nn.Conv1d`, `2d`, `3d`: weight and bias uniform in `±1/√(C / groups · K)`.
///
/// ```
/// use pleach_nn::Conv;
/// use pleach_ops::{ConvOptions, prelude::*};
/// let p = Params::seeded(1);
/// let stem = Conv::new(&p.scope("stem"), 3, 16, [3, 3], ConvOptions::default().padding(1));
/// let g = Graph::eval();
/// let y = stem.call(g.input("x", F32, [8, 3, 32, 32]));
/// assert_eq!(y.ok()?.shape(), [8, 16, 32, 32].into());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// The weight, `[O, C / groups, K..]`.
    pub w: Param,
    /// The bias, `[O]`.
    pub b: Option<Param>,
    /// How it walks.
    pub options: ConvOptions,
}

/// PyTorch's start for a weight of this shape and its bias: the fan is that of all axes but the first.
fn start(shape: &[usize]) -> Init {
    let fan = shape[1..].iter().fold(1usize, |p, &n| p.saturating_mul(n));
    init::default_uniform(fan)
}

impl Conv {
    /// A layer with weight `w` and bias `b` in scope `p`: windows of lengths `size`, one for every
    /// spatial axis.
    pub fn new<const N: usize>(
        p: &Params,
        inputs: usize,
        outputs: usize,
        size: [usize; N],
        options: ConvOptions,
    ) -> Conv {
        let layer = Conv::without_bias(p, inputs, outputs, size, options);
        let b = p.param("b", [outputs], start(layer.w.ty().shape()));
        Conv { b: Some(b), ..layer }
    }

    /// A layer with weight `w` alone in scope `p`: what comes before a normalization.
    pub fn without_bias<const N: usize>(
        p: &Params,
        inputs: usize,
        outputs: usize,
        size: [usize; N],
        options: ConvOptions,
    ) -> Conv {
        // Channels that cannot be cut are refused where the layer is called.
        let shape = [&[outputs, inputs / options.groups.max(1)][..], &size].concat();
        let w = p.param("w", shape.clone(), start(&shape));
        Conv { path: p.path().into(), w, b: None, options }
    }

    /// The layer's value at `x`. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let g = x.graph();
        let _at = g.at_layer(&self.path);
        x.conv(g.param(&self.w), self.b.as_ref().map(|b| g.param(b)), &self.options)
    }
}

/// `y = conv_transpose(x, w) + b` over any number of spatial axes; see [`Var::conv_transpose`].
///
/// | | shape | dtype |
/// |---|---|---|
/// | `x` | `[N, C, L..]`, or `[C, L..]` | as `w` |
/// | `w` | `[C, O / groups, K..]` | that of the [`Params`] |
/// | `b` | `[O]` | as `w` |
/// | `y` | `[N, O, P..]`, or `[O, P..]` | as `w` |
///
/// Begins as PyTorch's `nn.ConvTranspose1d`, `2d`, `3d`: weight and bias uniform in
/// `±1/√(O / groups · K)`.
#[derive(Clone, Debug)]
pub struct ConvTranspose {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// The weight, `[C, O / groups, K..]`.
    pub w: Param,
    /// The bias, `[O]`.
    pub b: Option<Param>,
    /// How it walks.
    pub options: ConvOptions,
}

impl ConvTranspose {
    /// A layer with weight `w` and bias `b` in scope `p`: windows of lengths `size`, one for every
    /// spatial axis.
    pub fn new<const N: usize>(
        p: &Params,
        inputs: usize,
        outputs: usize,
        size: [usize; N],
        options: ConvOptions,
    ) -> ConvTranspose {
        let layer = ConvTranspose::without_bias(p, inputs, outputs, size, options);
        let b = p.param("b", [outputs], start(layer.w.ty().shape()));
        ConvTranspose { b: Some(b), ..layer }
    }

    /// A layer with weight `w` alone in scope `p`.
    pub fn without_bias<const N: usize>(
        p: &Params,
        inputs: usize,
        outputs: usize,
        size: [usize; N],
        options: ConvOptions,
    ) -> ConvTranspose {
        let shape = [&[inputs, outputs / options.groups.max(1)][..], &size].concat();
        let w = p.param("w", shape.clone(), start(&shape));
        ConvTranspose { path: p.path().into(), w, b: None, options }
    }

    /// The layer's value at `x`. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let g = x.graph();
        let _at = g.at_layer(&self.path);
        x.conv_transpose(g.param(&self.w), self.b.as_ref().map(|b| g.param(b)), &self.options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_one_two_and_three_axes_begin_in_pytorchs_bounds() {
        let p = Params::seeded(3);
        let options = ConvOptions::default().groups(2);
        let one = Conv::new(&p.scope("one"), 8, 64, [9], options.clone());
        assert_eq!(one.w.ty().to_string(), "f32[64, 4, 9]");
        for x in [one.w.initial(), one.b.unwrap().initial()] {
            let largest = x.to_f64s().iter().fold(0f64, |m, v| m.max(v.abs()));
            assert!((0.15..=1.0 / 6.0).contains(&largest), "{largest}");
        }
        let back = ConvTranspose::new(&p.scope("back"), 64, 8, [3, 3], options.clone());
        assert_eq!(back.w.ty().to_string(), "f32[64, 4, 3, 3]");
        let three = Conv::without_bias(&p.scope("three"), 2, 4, [1, 2, 3], options);
        let g = Graph::eval();
        let y = three.call(g.input("x", F32, [5, 2, 4, 4, 4]));
        assert_eq!(y.ok().unwrap().shape(), [5, 4, 4, 3, 2].into());
        let y = back.call(g.input("y", F32, [64, 5, 5]));
        assert_eq!(y.ok().unwrap().shape(), [8, 7, 7].into());
    }

    #[test]
    fn an_error_names_the_layer() {
        let p = Params::seeded(3);
        let layer = Conv::new(&p.scope("stem"), 3, 4, [3, 3], ConvOptions::default());
        let g = Graph::eval();
        let error = layer.call(g.input("x", F32, [1, 2, 8, 8])).ok().unwrap_err().to_string();
        let want = "stem: conv(f32[1, 2, 8, 8], f32[4, 3, 3, 3], f32[4]): channels of operand and \
                    weight differ, 2 and 3";
        assert!(error.starts_with(want), "{error}");
    }
}
