//! Running sum along an axis.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::reduce::{axis_samples, scan_lines};

/// `y[i] = Σ x[j], j ≤ i` along `axis`; with `reverse`, `j ≥ i`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any number | (C1) number, (C2) the axis exists |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx` is the running sum of `dy` from the other end.
/// **Numerics** one element after the other; `f32` is accumulated in `f64`. Integers wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CumSum {
    axis: usize,
    reverse: bool,
}

impl CumSum {
    /// Along `axis`, from its beginning or from its end.
    pub fn new(axis: usize, reverse: bool) -> CumSum {
        CumSum { axis, reverse }
    }
}

impl<'g> Var<'g> {
    /// The running sum along an axis (`-1` is the last), see [`CumSum`].
    #[track_caller]
    pub fn cumsum(self, axis: i64) -> Var<'g> {
        match self.axis(axis) {
            Ok(axis) => self.record(CumSum::new(axis, false), &[self]),
            Err(reason) => self.refuse("cumsum", &[self], reason),
        }
    }
}

impl Primitive<1> for CumSum {
    const NAME: &'static str = "cumsum";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        require_axis(self.axis, x.rank())?; // (C2)
        x.require_number(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let lines = scan_lines(x, self.axis, self.reverse);
        Ok(lines.fold(x, y, |a, b| a + b, i64::wrapping_add))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        dy.record(CumSum::new(self.axis, !self.reverse), &[dy]).into()
    }

    /// Of one element it is the operand.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        let one = x.shape().get(self.axis) == Some(&1);
        if one { Simpler::Existing(x.id()) } else { Simpler::Same }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Cumulative { op: CumulativeOp::Sum, axis: self.axis, reverse: self.reverse }
    }

    fn axes(&self, x: [&Type; 1], _: &Type) -> AxisRelations {
        AxisRelations::same_but(&x, self.axis)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let new = |axis| CumSum::new(axis, dims.pick(axis as u64, 2) == 1);
        axis_samples(dims, DType::I32, new).map(|sample| sample.loose(8.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn sums_run_along_the_axis_and_gradients_back() {
        let g = Graph::new();
        let x = g.input("x", F64, [2, 3]);
        let y = x.cumsum(-1);
        let at = Tensor::new([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let value = |y: Var<'_>| y.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(y), [1.0, 3.0, 6.0, 4.0, 9.0, 15.0]);
        assert_eq!(value(g.grad(y, &[x])[0]), [3.0, 2.0, 1.0, 3.0, 2.0, 1.0]);
        assert!(g.input("b", BOOL, [2]).cumsum(0).ok().is_err()); // (C1)
        assert!(x.cumsum(2).ok().is_err()); // (C2)
    }
}
