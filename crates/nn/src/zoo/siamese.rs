//! Two things seen by one encoder.

use pleach_ops::prelude::*;

use crate::zoo::Mlp;

/// The distance of what one encoder makes of two inputs: `‖e(a) - e(b)‖²`.
///
/// | | shape |
/// |---|---|
/// | `a`, `b` | `[n, sizes[0]]` |
/// | `y` | `[n]` |
///
/// Parameters: those of one [`Mlp`], which both inputs go through: its gradient is the sum of both
/// sides. `call(a, b)` and `call(b, a)` are equal.
///
/// **Source** Bromley et al., NIPS 1993.
#[derive(Clone, Debug)]
pub struct Siamese {
    /// The encoder.
    pub encoder: Mlp,
}

impl Siamese {
    /// An encoder of these sizes in scope `p`.
    pub fn new(p: &Params, sizes: &[usize]) -> Siamese {
        Siamese { encoder: Mlp::new(p, sizes) }
    }

    /// The squared distances of the rows of `a` and `b`.
    #[track_caller]
    pub fn call<'g>(&self, a: Var<'g>, b: Var<'g>) -> Var<'g> {
        let _at = a.graph().at();
        (self.encoder.call(a) - self.encoder.call(b)).square().sum(1)
    }

    /// The contrastive loss with margin 1: the mean of `d²` where the rows are the `same`, and of
    /// `max(0, 1 - d)²` where they are not, `d` being the distance. `same` is `bool[n]`.
    ///
    /// The slope of `d` is kept finite at 0 by `d = √(d² + 1e-6)` in the second case.
    ///
    /// **Source** Hadsell, Chopra, LeCun, CVPR 2006, eq. 4.
    #[track_caller]
    pub fn loss<'g>(&self, a: Var<'g>, b: Var<'g>, same: Var<'g>) -> Var<'g> {
        let _at = a.graph().at();
        let square = self.call(a, b);
        let apart = (1.0 - (square + 1e-6).sqrt()).relu().square();
        same.select(square, apart).mean()
    }
}
