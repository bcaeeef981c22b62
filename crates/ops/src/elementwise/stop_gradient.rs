//! Stop-gradient: a value that is a constant to differentiation.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y = x`, through which no gradient flows.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any | |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** none: it cuts. A parameter whose only path to the loss leads through here is an
/// error of `minimize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StopGradient;

impl<'g> Var<'g> {
    /// The value as a constant to differentiation, see [`StopGradient`].
    #[track_caller]
    pub fn stop_gradient(self) -> Var<'g> {
        self.record(StopGradient, &[self])
    }
}

impl Primitive<1> for StopGradient {
    const NAME: &'static str = "stop_gradient";
    // The forward rule of an elementwise operator is its gradient rule, which cuts.
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        Ok(x.clone())
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(x.clone())
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    /// Twice is once.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        match node_if(x, |op| matches!(op, Op::StopGradient(_))) {
            Some(_) => Simpler::Existing(x.id()),
            None => Simpler::Same,
        }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::View(View::Identity)
    }

    fn cost(&self, _: [&Type; 1], _: &Type) -> Cost {
        Cost::FREE
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(StopGradient, [dims.float()]).values_only()]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn no_gradient_flows_either_way() {
        let g = Graph::new();
        let x = g.input("x", F64, []);
        let y = x.stop_gradient() * x;
        let three = Tensor::scalar(3.0f64);
        assert_eq!(g.grad(y, &[x])[0].eval(&[&three]).unwrap().item(), Some(3.0));
        let one = g.full(F64, [], 1.0);
        assert_eq!(g.jvp_of(y, &[(x, one)]).eval(&[&three]).unwrap().item(), Some(3.0));
    }
}
