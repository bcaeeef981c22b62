//! Linear algebra: inverses, determinants, factorizations.

use super::super::call::Build;

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[];
