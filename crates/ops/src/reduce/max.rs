//! Maximum over axes.

use serde::{Deserialize, Serialize};

use crate::elementwise::maximum::ieee_max;
use crate::prelude::rules::*;
use crate::reduce::{All, IntoAxes, reduction_samples};

/// `y = max x` over `axes`, which are removed.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any number | (C1) number |
/// | `y` | as `x` without `axes` | as `x` | (C2) axes exist, once each, increasing |
///
/// **Gradient** shared evenly among equal maxima, as PyTorch's `amax` does.
/// **Numerics** NaN if there is one. Of nothing: -∞, or the least integer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Max {
    axes: Box<[usize]>,
}

impl Max {
    /// The maximum over `axes`, increasing.
    pub fn new(axes: &[usize]) -> Max {
        Max { axes: axes.into() }
    }
}

impl<'g> Var<'g> {
    /// The maximum over axes (`-1` is the last), which are removed; see [`Max`].
    #[track_caller]
    pub fn max(self, axes: impl IntoAxes) -> Var<'g> {
        self.reduced("max", axes, |x, axes| x.record(Max::new(axes), &[x]))
    }

    /// The maximum of all elements.
    #[track_caller]
    pub fn max_all(self) -> Var<'g> {
        self.max(All)
    }
}

/// Cotangent of a selecting reduction: shared evenly among the elements equal to the result.
pub(crate) fn share<'g>(axes: &[usize], x: Var<'g>, y: Var<'g>, dy: Var<'g>) -> Var<'g> {
    if axes.is_empty() {
        return dy;
    }
    // Nothing is divided by a count of 0, or the derivative by `dy` would be NaN.
    if x.shape().contains(&0) {
        return x.full_like(0.0);
    }
    let hit = x.equal(y.unreduce(axes, x)).cast(x.dtype());
    let count = hit.sum(axes.iter().map(|&a| a as i64).collect::<Vec<_>>());
    hit * (dy / count).unreduce(axes, x)
}

/// The least value of an integer type, where a maximum begins.
pub(crate) fn least(dtype: DType) -> i64 {
    match dtype {
        DType::I32 => i64::from(i32::MIN),
        DType::I64 => i64::MIN,
        _ => 0,
    }
}

impl Primitive<1> for Max {
    const NAME: &'static str = "max";

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_number(0)?; // (C1)
        require_axes(&self.axes, x.rank())?; // (C2)
        Ok(x.with_shape(x.shape().without(&self.axes))?)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let float = (f64::NEG_INFINITY, ieee_max);
        Ok(reduce(x, y, &self.axes, float, (least(y.dtype()), i64::max)))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        share(&self.axes, x, y, dy).into()
    }

    /// Over no axes it is the operand.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        if self.axes.is_empty() { Simpler::Existing(x.id()) } else { Simpler::Same }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Reduce { op: ReduceOp::Max, axes: SmallVec::from_slice(&self.axes) }
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        Cost::reduction(&x, y)
    }

    fn axes(&self, [x]: [&Type; 1], _: &Type) -> AxisRelations {
        AxisRelations::reduced(x.rank(), &self.axes)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        reduction_samples(dims, DType::I32, Max::new, || dims.float().distinct()).into()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn ties_share_the_gradient_evenly() {
        let g = Graph::new();
        let x = g.input("x", F64, [4]);
        let dx = g.grad(x.max(0), &[x])[0];
        let at = Tensor::new([4], vec![1.0, 3.0, 3.0, 0.0]).unwrap();
        assert_eq!(dx.eval(&[&at]).unwrap().to_f64s(), [0.0, 0.5, 0.5, 0.0]);
    }

    #[test]
    fn nan_wins() {
        let g = Graph::new();
        let y = g.input("x", F32, [2]).max(0);
        let at = Tensor::new([2], vec![f32::NAN, 3.0]).unwrap();
        assert!(y.eval(&[&at]).unwrap().item().unwrap().is_nan());
        assert!(g.input("b", BOOL, [2]).max(0).ok().is_err()); // (C1)
        assert!(g.input("c", F32, [2]).max(1).ok().is_err()); // (C2)
    }
}
