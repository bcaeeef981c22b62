//! A path around a layer.

use pleach_ops::prelude::*;

use crate::Layer;

/// `y = x + layer(x)`. The layer must keep the shape.
///
/// **Source** He et al., CVPR 2016, eq. 1.
///
/// ```
/// use pleach_nn::{Linear, Residual, Sequential};
/// use pleach_ops::prelude::*;
/// let p = Params::seeded(1);
/// let block = Sequential::new().then(Linear::new(&p.scope("a"), 8, 8)).map(|x| x.relu());
/// let net = Sequential::new().then(Residual(block)).then(Linear::new(&p.scope("b"), 8, 1));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Residual<L>(pub L);

impl<L: Layer> Residual<L> {
    /// The layer's value at `x`, plus `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        x + self.0.at(x)
    }
}

impl<L: Layer> Layer for Residual<L> {
    fn at<'g>(&self, x: Var<'g>) -> Var<'g> {
        self.call(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dropout, Sequential};

    #[test]
    fn what_goes_in_is_added() {
        let g = Graph::eval();
        let x = g.full(F64, [2], 3.0);
        let twice = Sequential::new().then(Residual(Dropout::new(0.5)));
        assert_eq!(twice.call(x).eval(&[]).unwrap().to_f64s(), [6.0, 6.0]);
    }
}
