//! Shapes: reshape, permute, expand, pad, cat, split, tril.

use super::super::call::{Build, one};

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[("permute", |c| one(c.x()?.permute(&c.ints("dim")?)))];
