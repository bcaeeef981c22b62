//! Activations, softmax, dropout.

use super::super::call::{Build, one};

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[
    ("nn.functional.relu", |c| one(c.x()?.relu())),
    ("sigmoid", |c| one(c.x()?.sigmoid())),
    ("tanh", |c| one(c.x()?.tanh())),
];
