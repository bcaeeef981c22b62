//! Indexing: gather, scatter, index-select, embedding, getitem, sort.

use super::super::call::{Build, one};

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] =
    &[("nn.functional.embedding", |c| one(c.x()?.take(0, c.var("idx")?)))];
