//! Files: tensors by name, written atomically, read without trust.
//!
//! | I want to… | item |
//! |---|---|
//! | save and load named tensors | [`safetensors::save`], [`safetensors::load`] |
//! | the same without a file | [`safetensors::to_bytes`], [`safetensors::from_bytes`] |
//! | save and load a whole run | [`Checkpoint`] |
//! | replace any file in one step | [`atomic::write`] |
//!
//! What is read is data only: nothing in a file is run, names in it are never used as paths, and
//! no size in it is believed before it is checked against the length of the file.
//!
//! ```
//! use std::collections::BTreeMap;
//! use pleach_format::safetensors;
//! use pleach_tensor::Tensor;
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("model.safetensors");
//! let w = Tensor::new([2, 2], vec![1.0f32, 2.0, 3.0, 4.0])?;
//! let about = BTreeMap::from([("step".to_string(), "100".to_string())]);
//! safetensors::save(&path, [("layer.w", &w)], &about)?;
//! let model = safetensors::load(&path)?;
//! assert_eq!((&model.tensors["layer.w"], &model.metadata), (&w, &about));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod atomic;
pub mod checkpoint;
mod error;
pub mod safetensors;

pub use checkpoint::Checkpoint;
pub use error::FormatError;
