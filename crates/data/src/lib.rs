//! Data for training: tables, images, text; named tensors, splits, shuffled batches, normalisation.
//!
//! Stands on `pleach-tensor` alone; what it hands out are plain tensors. Everything random is a
//! pure function of a seed (and an epoch): a run that resumes sees the batches it would have seen.
//!
//! | I want to… | item |
//! |---|---|
//! | read a csv file | [`Csv::read`], [`CsvOptions`] |
//! | read MNIST and its like | [`idx::mnist`], [`idx::read`] |
//! | turn text into numbers and back | [`Vocabulary`], [`read_texts`] |
//! | predict the next symbol of a text | [`Tokens::windows`], [`Tokens::streams`] |
//! | keep inputs and labels together | [`Dataset`] |
//! | hold rows back | [`Dataset::split_by`], [`Dataset::split_random`], [`Dataset::k_folds`] |
//! | keep the classes balanced in that | [`Dataset::split_stratified`], [`Dataset::k_folds_stratified`] |
//! | train by batches | [`Dataset::batches`], [`Order`] |
//! | bring columns to mean 0 and deviation 1 | [`Standardize`] |
//! | divide pixels by 16 | [`scale`] |
//!
//! ```
//! use pleach_data::{Csv, CsvOptions, DataError, Dataset, Order, scale};
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/digits.csv");
//! let table = Csv::read(path, &CsvOptions::default())?;
//! let x = scale(&table.columns::<f32>(0..64)?, 1.0 / 16.0)?; // f32[1797, 64], in 0..=1
//! let y = table.column::<i64>(64)?; // i64[1797]
//! let (test, train) = Dataset::new([("x", x), ("y", y)])?.split_by(|i| i % 5 == 0);
//! assert_eq!((train.len(), test.len()), (1437, 360));
//! for epoch in 0..2 {
//!     for batch in train.batches(64, Order::Shuffled { seed: 1, epoch })? {
//!         let [x, y] = &batch[..] else { unreachable!("two tensors were named") };
//!         assert_eq!((x.shape()[1], x.shape()[0]), (64, y.numel())); // a training step goes here
//!     }
//! }
//! # Ok::<(), DataError>(())
//! ```

mod batches;
mod cell;
mod dataset;
mod error;
pub mod idx;
mod normalize;
mod split;
mod table;
mod text;
mod tokens;

pub use batches::{Batches, Order};
pub use cell::Cell;
pub use dataset::Dataset;
pub use error::DataError;
pub use normalize::{Standardize, scale};
pub use split::Folds;
pub use table::{Csv, CsvOptions};
pub use text::{Vocabulary, read_texts};
pub use tokens::{Streams, Tokens, Windows};
