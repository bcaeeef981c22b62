//! Reductions, statistics, cumulative operators.

use super::super::call::{Build, one};

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[
    ("mean", |c| {
        let (x, axes) = (c.x()?, c.axes("dim", c.x()?)?);
        one(c.keep(x, &axes, x.mean_over(axes.clone()))?)
    }),
    ("sum", |c| {
        let (x, axes) = (c.x()?, c.axes("dim", c.x()?)?);
        one(c.keep(x, &axes, x.sum(axes.clone()))?)
    }),
];
