//! Checkpoint: a value that is kept, so that what lies between two of them is computed again.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = x`, where the pass `remat` may begin to compute again.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any | |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx = dy`.
/// **Cost** none: it is a view. What is computed from `y` is never shared with what is computed from
/// `x`: with an epoch, that is what keeps values apart that are computed a second time.
/// **Source** Griewank and Walther 2000; Chen, Xu, Zhang and Guestrin 2016, "Training deep nets with
/// sublinear memory cost".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checkpoint {
    /// 0: marked by the user. Else values after it are computed again, by `remat`.
    pub epoch: u32,
}

impl<'g> Var<'g> {
    /// Marks the value as one to keep for the gradient: what lies between two marks, in the order of
    /// recording, is computed again from the first of them when the gradient needs it, instead of
    /// being kept. What lies after the last mark is kept. Values and gradients have the same bits.
    ///
    /// With a mark after every √n of n layers, memory grows with √n, for one more forward
    /// computation. Inside of a loop it does nothing: a loop keeps its carries only.
    ///
    /// ```
    /// # use pleach_ops::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", F64, [2]);
    /// let y = x.tanh().checkpoint().tanh();
    /// let dx = g.grad(y.sum_all(), &[x])[0];
    /// assert_eq!(dx.ty(), x.ty());
    /// ```
    #[track_caller]
    pub fn checkpoint(self) -> Var<'g> {
        self.record(Checkpoint { epoch: 0 }, &[self])
    }
}

impl Primitive<1> for Checkpoint {
    const NAME: &'static str = "checkpoint";
    // The forward rule of an elementwise operator is its gradient rule.
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        Ok(x.clone())
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(x.clone())
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        dy.into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::View(View::Identity)
    }

    fn cost(&self, _: [&Type; 1], _: &Type) -> Cost {
        Cost::FREE
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Checkpoint { epoch: 1 }, [dims.float()])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn what_is_computed_from_it_is_not_shared() {
        let g = Graph::new();
        let x = g.input("x", F64, [2]);
        let kept = x.record(Checkpoint { epoch: 1 }, &[x]);
        assert_ne!(kept.exp().id(), x.exp().id());
        assert_eq!(kept.exp().id(), kept.exp().id());
        assert_ne!(x.checkpoint().id(), kept.id());
    }
}
