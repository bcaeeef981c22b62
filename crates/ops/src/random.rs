//! Random numbers: pure functions of a key and an element's index.

pub mod fold_in;
pub mod normal;
pub mod uniform;
