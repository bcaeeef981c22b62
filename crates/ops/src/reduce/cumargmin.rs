//! Position of the running minimum along an axis.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::reduce::{axis_samples, scan_lines};

/// `y[i] = argmin x[j], j ≤ i` along `axis`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any number | (C1) number, (C2) the axis exists |
/// | `y` | as `x` | i64 | |
///
/// **Gradient** none: it cuts. What is gathered at these positions has one.
/// **Numerics** the last of equal minima, as PyTorch's `cummin`; NaN counts as the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CumArgMin {
    axis: usize,
}

impl CumArgMin {
    /// Along `axis`.
    pub fn new(axis: usize) -> CumArgMin {
        CumArgMin { axis }
    }
}

impl<'g> Var<'g> {
    /// The smallest element so far along an axis (`-1` is the last), and its position (i64); see
    /// [`CumArgMin`]. The gradient goes to the elements at these positions.
    #[track_caller]
    pub fn cummin(self, axis: i64) -> (Var<'g>, Var<'g>) {
        let _at = self.graph().at();
        self.at_places("cummin", axis, |axis| CumArgMin::new(axis).into())
    }
}

impl Primitive<1> for CumArgMin {
    const NAME: &'static str = "cumargmin";

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        require_axis(self.axis, x.rank())?; // (C2)
        x.require_number(0)?; // (C1)
        Ok(x.with_dtype(DType::I64))
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let lines = scan_lines(x, self.axis, false);
        Ok(lines.last_best(x, y, |a, b| a <= b, |a, b| a <= b))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Cumulative { op: CumulativeOp::ArgMin, axis: self.axis, reverse: false }
    }

    fn axes(&self, x: [&Type; 1], _: &Type) -> AxisRelations {
        AxisRelations::same_but(&x, self.axis)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        axis_samples(dims, DType::U8, CumArgMin::new).map(Sample::values_only).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn the_last_of_equal_ones_wins_and_nan_beats_all() {
        let g = Graph::new();
        let x = g.input("x", F64, [6]);
        let (y, i) = x.cummin(0);
        let at = Tensor::new([6], vec![3.0, 1.0, 2.0, 1.0, f64::NAN, -9.0]).unwrap();
        assert_eq!(i.eval(&[&at]).unwrap().to_i64s(), [0, 1, 1, 3, 4, 4]);
        let dx = g.grad(y, &[x])[0].eval(&[&at]).unwrap();
        assert_eq!(dx.to_f64s(), [1.0, 2.0, 0.0, 1.0, 2.0, 0.0]);
        assert!(g.input("b", BOOL, [2]).cummin(0).0.ok().is_err()); // (C1)
        assert!(x.cummin(1).1.ok().is_err()); // (C2)
    }
}
