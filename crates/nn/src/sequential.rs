//! Layers in a row.

use std::fmt;

use pleach_ops::prelude::*;

use crate::{
    AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, BatchNorm, Conv, ConvTranspose, Dropout, Embedding,
    Flatten, GroupNorm, InstanceNorm, LayerNorm, LearnedEncoding, Linear, MaxPool,
    MultiHeadAttention, RmsNorm, SinusoidalEncoding, TiedHead, TransformerEncoder,
    TransformerEncoderLayer,
};

/// A function of one value: what [`Sequential`] is made of. Every layer of this crate is one.
/// It can be sent to other threads, as models are when several are tried at once.
pub trait Layer: Send + Sync {
    /// The layer's value at `x`.
    #[track_caller]
    fn at<'g>(&self, x: Var<'g>) -> Var<'g>;
}

macro_rules! layers {
    ($($layer:ty)*) => {$(
        impl Layer for $layer {
            fn at<'g>(&self, x: Var<'g>) -> Var<'g> {
                self.call(x)
            }
        }
    )*};
}

layers! {
    Linear Embedding Dropout Sequential
    Conv ConvTranspose
    MaxPool AvgPool AdaptiveAvgPool AdaptiveMaxPool Flatten
    BatchNorm LayerNorm RmsNorm GroupNorm InstanceNorm
    MultiHeadAttention TransformerEncoder TransformerEncoderLayer
    SinusoidalEncoding LearnedEncoding TiedHead
}

/// A function as a layer.
struct Function<F>(F);

impl<F: for<'g> Fn(Var<'g>) -> Var<'g> + Send + Sync> Layer for Function<F> {
    fn at<'g>(&self, x: Var<'g>) -> Var<'g> {
        (self.0)(x)
    }
}

/// `y = layerₙ(… layer₁(x))`: layers in a row. Without layers, `y = x`.
///
/// For models that are such a row. A model with branches or shared layers is a struct of layers
/// with a `call` of its own, which is as short.
///
/// ```
/// use pleach_nn::{Dropout, Linear, Sequential};
/// use pleach_ops::prelude::*;
/// let p = Params::seeded(1);
/// let net = Sequential::new()
///     .then(Linear::new(&p.scope("hidden"), 784, 128))
///     .map(|x| x.relu())
///     .then(Dropout::new(0.2))
///     .then(Linear::new(&p.scope("out"), 128, 10));
/// let g = Graph::train();
/// let logits = net.call(g.input("x", F32, [64, 784]));
/// assert_eq!(logits.ok()?.shape(), [64, 10].into());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Sequential {
    layers: Vec<Box<dyn Layer>>,
}

impl Sequential {
    /// No layers yet.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// With this layer after the others.
    #[must_use]
    pub fn then(mut self, layer: impl Layer + 'static) -> Sequential {
        self.layers.push(Box::new(layer));
        self
    }

    /// With a function such as `|x| x.relu()` after the others.
    #[must_use]
    pub fn map(self, f: impl for<'g> Fn(Var<'g>) -> Var<'g> + Send + Sync + 'static) -> Sequential {
        self.then(Function(f))
    }

    /// The value of the last layer.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        self.layers.iter().fold(x, |x, layer| layer.at(x))
    }
}

impl fmt::Debug for Sequential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequential").field("layers", &self.layers.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_composition() {
        let p = Params::seeded(1);
        let (a, b) = (Linear::new(&p.scope("a"), 3, 4), Linear::new(&p.scope("b"), 4, 2));
        let net = Sequential::new().then(a.clone()).map(|x| x.relu()).then(b.clone());
        let g = Graph::eval();
        let x = g.input("x", F32, [5, 3]);
        assert_eq!(net.call(x).id(), b.call(a.call(x).relu()).id());
        assert_eq!(Sequential::new().then(net).call(x).id(), b.call(a.call(x).relu()).id());
        assert_eq!(Sequential::new().call(x).id(), x.id());
    }
}
