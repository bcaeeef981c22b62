//! Dropout as a layer.

use pleach_ops::prelude::*;

/// Zeroes each element with probability `p` in graphs for training; see [`Var::dropout`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The probability, in `[0, 1]`; anything else is an error of the graph that calls it.
    pub p: f64,
}

impl Dropout {
    /// With probability `p`.
    pub fn new(p: f64) -> Dropout {
        Dropout { p }
    }

    /// The layer's value at `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.dropout(self.p)
    }
}
