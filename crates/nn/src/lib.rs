//! Layers: plain structs of [`Param`](pleach_ops::Param) handles with a `call`.
//!
//! | I want to… | item |
//! |---|---|
//! | a linear map | [`Linear`] |
//! | a table of vectors | [`Embedding`] |
//! | noise against overfitting | [`Dropout`] |
//! | initial values | [`init`] |
//!
//! A layer holds no values and no graph: one layer may be called in any number of graphs, and any
//! number of times in one. Calling it twice uses the same parameters: sharing is reusing a node.
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

mod dropout;
mod embedding;
pub mod init;
mod linear;

pub use dropout::Dropout;
pub use embedding::Embedding;
pub use linear::Linear;
