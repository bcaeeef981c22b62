//! Products: matmul, addmm, outer, einsum.

use super::super::call::{Build, one};

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[("mm", |c| one(c.x()?.matmul(c.var("mat2")?)))];
