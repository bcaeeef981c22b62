//! Minimum over axes.

use serde::{Deserialize, Serialize};

use crate::elementwise::minimum::ieee_min;
use crate::prelude::rules::*;
use crate::reduce::max::share;
use crate::reduce::{All, IntoAxes, reduction_samples};

/// `y = min x` over `axes`, which are removed.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any number | (C1) number |
/// | `y` | as `x` without `axes` | as `x` | (C2) axes exist, once each, increasing |
///
/// **Gradient** shared evenly among equal minima, as PyTorch's `amin` does.
/// **Numerics** NaN if there is one. Of nothing: ∞, or the largest integer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Min {
    axes: Box<[usize]>,
}

impl Min {
    /// The minimum over `axes`, increasing.
    pub fn new(axes: &[usize]) -> Min {
        Min { axes: axes.into() }
    }
}

impl<'g> Var<'g> {
    /// The minimum over axes (`-1` is the last), which are removed; see [`Min`].
    #[track_caller]
    pub fn min(self, axes: impl IntoAxes) -> Var<'g> {
        self.reduced("min", axes, |x, axes| x.record(Min::new(axes), &[x]))
    }

    /// The minimum of all elements.
    #[track_caller]
    pub fn min_all(self) -> Var<'g> {
        self.min(All)
    }
}

/// The largest value of an integer type, where a minimum begins.
fn largest(dtype: DType) -> i64 {
    match dtype {
        DType::I32 => i64::from(i32::MAX),
        DType::I64 => i64::MAX,
        _ => i64::from(u8::MAX),
    }
}

impl Primitive<1> for Min {
    const NAME: &'static str = "min";

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_number(0)?; // (C1)
        require_axes(&self.axes, x.rank())?; // (C2)
        Ok(x.with_shape(x.shape().without(&self.axes))?)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let float = (f64::INFINITY, ieee_min);
        Ok(reduce(x, y, &self.axes, float, (largest(y.dtype()), i64::min)))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        share(&self.axes, x, y, dy).into()
    }

    /// Over no axes it is the operand.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        if self.axes.is_empty() { Simpler::Existing(x.id()) } else { Simpler::Same }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Reduce { op: ReduceOp::Min, axes: SmallVec::from_slice(&self.axes) }
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        Cost::reduction(&x, y)
    }

    fn axes(&self, [x]: [&Type; 1], _: &Type) -> AxisRelations {
        AxisRelations::reduced(x.rank(), &self.axes)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        reduction_samples(dims, DType::I32, Min::new, || dims.float().distinct()).into()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn ties_share_the_gradient_evenly() {
        let g = Graph::new();
        let x = g.input("x", F64, [4]);
        let dx = g.grad(x.min(0), &[x])[0];
        let at = Tensor::new([4], vec![1.0, 0.5, 0.5, 2.0]).unwrap();
        assert_eq!(dx.eval(&[&at]).unwrap().to_f64s(), [0.0, 0.5, 0.5, 0.0]);
    }

    #[test]
    fn nan_wins() {
        let g = Graph::new();
        let y = g.input("x", F32, [2]).min(0);
        let at = Tensor::new([2], vec![f32::NAN, 3.0]).unwrap();
        assert!(y.eval(&[&at]).unwrap().item().unwrap().is_nan());
        assert!(g.input("b", BOOL, [2]).min(0).ok().is_err()); // (C1)
        assert!(g.input("c", F32, [2]).min(1).ok().is_err()); // (C2)
    }
}
