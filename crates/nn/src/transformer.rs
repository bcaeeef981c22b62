//! Layers of a transformer's encoder. With a causal mask they are those of a decoder alone.

use pleach_ops::prelude::*;

use crate::{Dropout, LayerNorm, Linear, Masks, MultiHeadAttention};

/// A function of every element, such as `|x| x.relu()`.
pub type Activation = for<'g> fn(Var<'g>) -> Var<'g>;

/// The sizes of a [`TransformerEncoderLayer`], and what varies between papers.
///
/// ```
/// use pleach_nn::Transformer;
/// let gpt = Transformer::new(64, 4, 256).norm_first().activation(|x| x.gelu()).dropout(0.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Transformer {
    /// Width of what goes in and out.
    pub width: usize,
    /// Number of heads; divides the width.
    pub heads: usize,
    /// Width between the two linear maps.
    pub hidden: usize,
    /// Probability of dropout, in graphs for training.
    pub dropout: f64,
    /// Is it normalized before attention and linear maps, not after the sums?
    pub norm_first: bool,
    /// What stands between the linear maps.
    pub activation: Activation,
    /// What the normalizations add to a variance.
    pub eps: f64,
}

impl Transformer {
    /// PyTorch's defaults for the rest: dropout 0.1, normalized after the sums, ReLU.
    pub fn new(width: usize, heads: usize, hidden: usize) -> Transformer {
        let activation: Activation = |x| x.relu();
        Transformer { width, heads, hidden, dropout: 0.1, norm_first: false, activation, eps: 1e-5 }
    }

    /// With this probability of dropout.
    #[must_use]
    pub fn dropout(self, dropout: f64) -> Transformer {
        Transformer { dropout, ..self }
    }

    /// Normalized before attention and linear maps.
    #[must_use]
    pub fn norm_first(self) -> Transformer {
        Transformer { norm_first: true, ..self }
    }

    /// With this between the linear maps.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Transformer {
        Transformer { activation, ..self }
    }
}

/// Self-attention and two linear maps, each with a path around it.
///
/// With `f(x) = W₂ · act(W₁ · x + b₁) + b₂`, and dropout after `act` and before both sums:
///
/// - normalized after: `x ← norm₁(x + attention(x))`, `y = norm₂(x + f(x))`
/// - normalized before: `x ← x + attention(norm₁(x))`, `y = x + f(norm₂(x))`
///
/// `x` and `y` are `[.., L, width]`. Parameters `self_attn`, `linear1`, `linear2`, `norm1`,
/// `norm2`, as in PyTorch's layer of this name: `4·w² + 2·w·h + 9·w + h`.
///
/// **Source** Vaswani et al., NeurIPS 2017, section 3.1; before: Xiong et al., ICML 2020.
#[derive(Clone, Debug)]
pub struct TransformerEncoderLayer {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// The attention.
    pub self_attn: MultiHeadAttention,
    /// The first map, to the hidden width.
    pub linear1: Linear,
    /// The second map, back.
    pub linear2: Linear,
    /// The normalization of the attention.
    pub norm1: LayerNorm,
    /// The normalization of the linear maps.
    pub norm2: LayerNorm,
    /// Sizes and options.
    pub options: Transformer,
}

impl TransformerEncoderLayer {
    /// A layer in scope `p`.
    pub fn new(p: &Params, options: Transformer) -> TransformerEncoderLayer {
        let Transformer { width, heads, hidden, dropout, eps, .. } = options;
        let self_attn = MultiHeadAttention::new(&p.scope("self_attn"), width, heads);
        let norm = |name: &str| LayerNorm { eps, ..LayerNorm::new(&p.scope(name), [width]) };
        TransformerEncoderLayer {
            path: p.path().into(),
            self_attn: self_attn.dropout(dropout),
            linear1: Linear::new(&p.scope("linear1"), width, hidden),
            linear2: Linear::new(&p.scope("linear2"), hidden, width),
            norm1: norm("norm1"),
            norm2: norm("norm2"),
            options,
        }
    }

    /// The layer's value at `x`, every position attending to every other.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        self.masked(x, Masks::default())
    }

    /// The layer's value at `x` with masks. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn masked<'g>(&self, x: Var<'g>, masks: Masks<'g>) -> Var<'g> {
        let _at = x.graph().at_layer(&self.path);
        let drop = Dropout::new(self.options.dropout);
        let attend = |x| drop.call(self.self_attn.attend(x, x, x, masks));
        let feed = |x| {
            let h = drop.call((self.options.activation)(self.linear1.call(x)));
            drop.call(self.linear2.call(h))
        };
        if self.options.norm_first {
            let x = x + attend(self.norm1.call(x));
            x + feed(self.norm2.call(x))
        } else {
            let x = self.norm1.call(x + attend(x));
            self.norm2.call(x + feed(x))
        }
    }
}

/// [`TransformerEncoderLayer`]s one after the other, `layers.0`, `layers.1`, …; and if they are
/// normalized before, as is usual, a last normalization `norm`.
#[derive(Clone, Debug)]
pub struct TransformerEncoder {
    /// The layers. The same one several times shares its parameters.
    pub layers: Vec<TransformerEncoderLayer>,
    /// The normalization of the last layer's value.
    pub norm: Option<LayerNorm>,
}

impl TransformerEncoder {
    /// An encoder of `depth` layers in scope `p`.
    pub fn new(p: &Params, depth: usize, options: Transformer) -> TransformerEncoder {
        let layer = |i| TransformerEncoderLayer::new(&p.scope(&format!("layers.{i}")), options);
        let layers = (0..depth).map(layer).collect();
        let norm =
            || LayerNorm { eps: options.eps, ..LayerNorm::new(&p.scope("norm"), [options.width]) };
        TransformerEncoder { layers, norm: options.norm_first.then(norm) }
    }

    /// The value at `x`, every position attending to every other.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        self.masked(x, Masks::default())
    }

    /// The value at `x` with the same masks in every layer.
    #[track_caller]
    pub fn masked<'g>(&self, x: Var<'g>, masks: Masks<'g>) -> Var<'g> {
        let _at = x.graph().at();
        let y = self.layers.iter().fold(x, |x, layer| layer.masked(x, masks));
        self.norm.as_ref().map_or(y, |norm| norm.call(y))
    }
}
