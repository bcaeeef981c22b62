//! Activations, softmax, dropout.

use super::super::call::{Build, one};

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[
    ("nn.functional.dropout", |c| match (c.float_or("p", 0.5)?, c.flag_or("training", true)?) {
        (p, training) if p == 0.0 || !training => one(c.x()?.dropout(p)),
        _ => Err("the mask is random".into()),
    }),
    ("nn.functional.relu", |c| one(c.x()?.relu())),
    ("sigmoid", |c| one(c.x()?.sigmoid())),
    ("tanh", |c| one(c.x()?.tanh())),
];
