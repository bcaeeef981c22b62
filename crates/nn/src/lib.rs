//! Layers: plain structs of [`Param`](pleach_ops::Param) handles with a `call`.
//!
//! | I want to… | item |
//! |---|---|
//! | a linear map | [`Linear`] |
//! | a table of vectors | [`Embedding`] |
//! | a convolution, its transpose | [`Conv`], [`ConvTranspose`] |
//! | pooling | [`MaxPool`], [`AvgPool`], [`AdaptiveAvgPool`], [`AdaptiveMaxPool`], [`Flatten`] |
//! | normalization | [`BatchNorm`], [`LayerNorm`], [`RmsNorm`], [`GroupNorm`], [`InstanceNorm`] |
//! | noise against overfitting | [`Dropout`] |
//! | sequences | [`Rnn`], [`Lstm`], [`Gru`], your own [`Cell`] in [`Recurrent`] |
//! | attention | [`MultiHeadAttention`] with [`Masks`], [`TransformerEncoder`] |
//! | positions | [`SinusoidalEncoding`], [`LearnedEncoding`] |
//! | scores by the table of words | [`TiedHead`] |
//! | layers in a row, a path around one | [`Sequential`], [`Residual`] |
//! | initial values | [`init`] |
//! | a whole model | [`zoo`] |
//!
//! A layer's parameters are named in the scope it is given, and begin at a pure function of the
//! model's seed and their name. A layer holds no values and no graph: one layer may be called in
//! any number of graphs, and any number of times in one. Calling it twice uses the same parameters,
//! and so does a second layer made of the same [`Param`](pleach_ops::Param)s: sharing is reusing a
//! node. What a layer records comes from the caller's line in the layer's path, so an error reads
//! `hidden: matmul(…) (built at …)`.
//!
//! ```
//! use pleach_nn::Linear;
//! use pleach_ops::prelude::*;
//! let p = Params::seeded(1);
//! let layer = Linear::new(&p.scope("hidden"), 3, 2);
//! let g = Graph::eval();
//! let y = layer.call(g.input("x", F32, [5, 3]));
//! assert_eq!(y.shape(), [5, 2].into());
//! ```

mod attention;
mod cell;
mod conv;
mod dropout;
mod embedding;
pub mod init;
mod linear;
mod norm;
mod pool;
mod position;
mod recurrent;
mod residual;
mod sequential;
mod tied_head;
mod transformer;
pub mod zoo;

pub use attention::{Masks, MultiHeadAttention, Projection};
pub use cell::{Cell, ElmanCell, Gru, GruCell, Lstm, LstmCell, ReluCell, ReluRnn, Rnn};
pub use conv::{Conv, ConvTranspose};
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use linear::Linear;
pub use norm::{BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RmsNorm};
pub use pool::{AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, Flatten, MaxPool};
pub use position::{LearnedEncoding, SinusoidalEncoding};
pub use recurrent::{Layout, Recurrent, Weights};
pub use residual::Residual;
pub use sequential::{Layer, Sequential};
pub use tied_head::TiedHead;
pub use transformer::{Activation, Transformer, TransformerEncoder, TransformerEncoderLayer};
