//! Sum over axes.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::reduce::{All, IntoAxes, reduction_samples};

/// `y = Σ x` over `axes`, which are removed.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any number | (C1) number |
/// | `y` | as `x` without `axes` | as `x` | (C2) axes exist, once each, increasing |
///
/// **Gradient** `dx = dy` repeated along `axes`.
/// **Numerics** summed in blocks of a fixed tree: the error grows with the logarithm of the
/// length; the same bits for every number of threads. Of nothing: 0. Integers wrap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sum {
    axes: Box<[usize]>,
}

impl Sum {
    /// The sum over `axes`, increasing.
    pub fn new(axes: &[usize]) -> Sum {
        Sum { axes: axes.into() }
    }

    /// The axes, increasing.
    pub fn axes(&self) -> &[usize] {
        &self.axes
    }
}

impl<'g> Var<'g> {
    /// The sum over axes (`-1` is the last), which are removed; see [`Sum`].
    #[track_caller]
    pub fn sum(self, axes: impl IntoAxes) -> Var<'g> {
        self.reduced("sum", axes, |x, axes| x.record(Sum::new(axes), &[x]))
    }

    /// The sum of all elements.
    #[track_caller]
    pub fn sum_all(self) -> Var<'g> {
        self.sum(All)
    }
}

impl Primitive<1> for Sum {
    const NAME: &'static str = "sum";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_number(0)?; // (C1)
        require_axes(&self.axes, x.rank())?; // (C2)
        Ok(x.with_shape(x.shape().without(&self.axes))?)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        if self.axes.is_empty() {
            return Ok(x.clone()); // Nothing is added: -0 stays.
        }
        Ok(reduce(x, y, &self.axes, (0.0, |a, b| a + b), (0, i64::wrapping_add)))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        dy.unreduce(&self.axes, x).into()
    }

    /// Over no axes it is the operand.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        if self.axes.is_empty() { Simpler::Existing(x.id()) } else { Simpler::Same }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        if self.axes.is_empty() {
            return Lowering::View(View::Reshape); // As in `eval`: a kernel would add -0 to 0.
        }
        Lowering::Reduce { op: ReduceOp::Sum, axes: SmallVec::from_slice(&self.axes) }
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        Cost::reduction(&x, y)
    }

    fn axes(&self, [x]: [&Type; 1], _: &Type) -> AxisRelations {
        AxisRelations::reduced(x.rank(), &self.axes)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        reduction_samples(dims, DType::I64, Sum::new, || dims.float()).map(|s| s.loose(8.0)).into()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn axes_count_from_the_end_and_must_exist() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 3]);
        assert_eq!(x.sum(-1).shape(), [2].into());
        assert_eq!(x.sum([-1, 0]).shape(), Shape::scalar());
        let error = x.sum(2).ok().unwrap_err().reason.to_string(); // (C2)
        assert_eq!(error, "axis 2 is out of range for 2 axes");
        assert!(x.sum([0, 0]).ok().is_err()); // (C2)
        assert!(g.input("b", BOOL, [2]).sum(0).ok().is_err()); // (C1)
    }

    #[test]
    fn the_sum_of_nothing_is_zero() {
        let g = Graph::new();
        let y = g.input("x", F32, [2, 0]).sum(1);
        let x = Tensor::new([2, 0], Vec::<f32>::new()).unwrap();
        assert_eq!(y.eval(&[&x]).unwrap().to_f64s(), [0.0, 0.0]);
    }
}
