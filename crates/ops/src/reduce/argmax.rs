//! Position of the maximum along an axis.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::reduce::{IntoAxes, axis_samples, first_best};

/// `y = argmax x` along `axis`, which is removed.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any number | (C1) number, (C2) the axis exists and is not empty |
/// | `y` | as `x` without `axis` | i64 | |
///
/// **Gradient** none: it cuts.
/// **Numerics** the first of equal maxima; NaN counts as the largest, the first NaN wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArgMax {
    axis: usize,
}

impl ArgMax {
    /// The position along `axis`.
    pub fn new(axis: usize) -> ArgMax {
        ArgMax { axis }
    }
}

impl<'g> Var<'g> {
    /// The position of the maximum along an axis (`-1` is the last); see [`ArgMax`]. Over several
    /// axes, the position among their elements in row-major order.
    #[track_caller]
    pub fn argmax(self, axes: impl IntoAxes) -> Var<'g> {
        self.along("argmax", axes, |x, axis| x.record(ArgMax::new(axis), &[x]))
    }
}

impl Primitive<1> for ArgMax {
    const NAME: &'static str = "argmax";

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_number(0)?; // (C1)
        require_axis(self.axis, x.rank())?; // (C2)
        if x.shape()[self.axis] == 0 && x.shape().without(&[self.axis]).iter().all(|&n| n > 0) {
            return Err(TypeError::Attribute("an empty axis has no maximum".into()));
        }
        Ok(Type::new(DType::I64, x.shape().without(&[self.axis]))?)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        Ok(first_best(x, y, self.axis, |a, b| a > b, |a, b| a > b))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::ArgMax { axis: self.axis }
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        Cost::reduction(&x, y)
    }

    fn axes(&self, [x]: [&Type; 1], _: &Type) -> AxisRelations {
        AxisRelations::reduced(x.rank(), &[self.axis])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        axis_samples(dims, DType::U8, ArgMax::new)
            .map(Sample::values_only)
            .filter(|sample| sample.inputs.iter().all(|x| x.ty.numel() > 0))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn the_first_of_equal_ones_and_the_first_nan_win() {
        let g = Graph::new();
        let y = g.input("x", F32, [2, 3]).argmax(-1);
        let x = Tensor::new([2, 3], vec![1.0, 2.0, 2.0, 5.0, f32::NAN, f32::NAN]).unwrap();
        assert_eq!(y.eval(&[&x]).unwrap().to_i64s(), [1, 1]);
        assert!(g.input("b", BOOL, [2]).argmax(0).ok().is_err()); // (C1)
        assert!(g.input("e", F32, [0]).argmax(0).ok().is_err()); // (C2)
    }
}
