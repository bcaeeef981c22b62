//! Running product along an axis.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::reduce::{axis_samples, scan_lines};

/// `y[i] = Π x[j], j ≤ i` along `axis`; with `reverse`, `j ≥ i`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any number | (C1) number, (C2) the axis exists |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx[i] = y[i-1] · r[i]` with `r[i] = dy[i] + x[i+1] · r[i+1]`, a [`LinearScan`] from
/// the other end: exact with zeros among the factors, at any order.
/// **Numerics** one element after the other; `f32` is accumulated in `f64`. Integers wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CumProd {
    axis: usize,
    reverse: bool,
}

impl CumProd {
    /// Along `axis`, from its beginning or from its end.
    pub fn new(axis: usize, reverse: bool) -> CumProd {
        CumProd { axis, reverse }
    }
}

impl<'g> Var<'g> {
    /// The running product along an axis (`-1` is the last), see [`CumProd`].
    #[track_caller]
    pub fn cumprod(self, axis: i64) -> Var<'g> {
        match self.axis(axis) {
            Ok(axis) => self.record(CumProd::new(axis, false), &[self]),
            Err(reason) => self.refuse("cumprod", &[self], reason),
        }
    }
}

impl Primitive<1> for CumProd {
    const NAME: &'static str = "cumprod";

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        require_axis(self.axis, x.rank())?; // (C2)
        x.require_number(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let lines = scan_lines(x, self.axis, self.reverse);
        Ok(lines.fold(x, y, |a, b| a * b, i64::wrapping_mul))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let before = y.delayed(self.axis, self.reverse, 1.0);
        let next = x.delayed(self.axis, !self.reverse, 0.0);
        let rest = dy.record(LinearScan::new(self.axis, !self.reverse), &[next, dy]);
        (before * rest).into()
    }

    fn jvp<'g>(&self, [x]: [Var<'g>; 1], y: Var<'g>, dx: [Option<Var<'g>>; 1]) -> Tangent<'g> {
        let Some(dx) = dx[0] else { return Tangent::Zero };
        let before = y.delayed(self.axis, self.reverse, 1.0);
        Tangent::Flow(x.record(LinearScan::new(self.axis, self.reverse), &[x, before * dx]))
    }

    /// Of one element it is the operand.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        let one = x.shape().get(self.axis) == Some(&1);
        if one { Simpler::Existing(x.id()) } else { Simpler::Same }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Cumulative { op: CumulativeOp::Prod, axis: self.axis, reverse: self.reverse }
    }

    fn axes(&self, x: [&Type; 1], _: &Type) -> AxisRelations {
        AxisRelations::same_but(&x, self.axis)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let new = |axis| CumProd::new(axis, dims.pick(axis as u64, 2) == 1);
        axis_samples(dims, DType::I32, new).map(|sample| sample.loose(8.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn a_zero_leaves_the_gradient_exact() {
        let g = Graph::new();
        let x = g.input("x", F64, [3]);
        let y = x.cumprod(0);
        let at = Tensor::new([3], vec![2.0, 0.0, 5.0]).unwrap();
        let value = |y: Var<'_>| y.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(y), [2.0, 0.0, 0.0]);
        // y = [a, ab, abc]: the sum has slopes 1 + b + bc, a + ac, ab.
        assert_eq!(value(g.grad(y, &[x])[0]), [1.0, 12.0, 0.0]);
        assert!(g.input("b", BOOL, [2]).cumprod(0).ok().is_err()); // (C1)
        assert!(x.cumprod(1).ok().is_err()); // (C2)
    }
}
