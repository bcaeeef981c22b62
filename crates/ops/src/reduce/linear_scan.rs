//! Linear recurrence along an axis.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::reduce::scan_lines;

/// `y[i] = a[i] · y[i-1] + b[i]` along `axis`, beginning with `y[0] = b[0]`; with `reverse` from the
/// other end, `y[i] = a[i] · y[i+1] + b[i]`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `a` | any | any number | (C1) number, (C2) the axis exists |
/// | `b` | as `a` | as `a` | (C3) equal types |
/// | `y` | as `a` | as `a` | |
///
/// The first `a` is not read. Discounted sums, moving averages and diagonal state spaces are of
/// this form, and so is the gradient of a running product.
///
/// **Gradient** `db[i] = dy[i] + a[i+1] · db[i+1]`, `da[i] = db[i] · y[i-1]`.
/// **Numerics** one element after the other; `f32` is accumulated in `f64`. Integers wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LinearScan {
    axis: usize,
    reverse: bool,
}

impl LinearScan {
    /// Along `axis`, from its beginning or from its end.
    pub fn new(axis: usize, reverse: bool) -> LinearScan {
        LinearScan { axis, reverse }
    }
}

impl<'g> Var<'g> {
    /// `y[i] = factor[i] · y[i-1] + self[i]` along an axis (`-1` is the last), from `y[0] =
    /// self[0]`; see [`LinearScan`]. The shapes are broadcast.
    #[track_caller]
    pub fn linear_scan(self, factor: impl Operand<'g>, axis: i64) -> Var<'g> {
        let [factor, x] = match factor.like(self).broadcast_with("linear_scan", self) {
            Ok(both) => both,
            Err(poisoned) => return poisoned,
        };
        match x.axis(axis) {
            Ok(axis) => x.record(LinearScan::new(axis, false), &[factor, x]),
            Err(reason) => x.refuse("linear_scan", &[factor, x], reason),
        }
    }
}

impl Primitive<2> for LinearScan {
    const NAME: &'static str = "linear_scan";

    fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
        require_axis(self.axis, a.rank())?; // (C2)
        a.require_number(0)?; // (C1)
        b.require_same(a) // (C3)
    }

    fn eval(&self, [a, b]: [&Tensor; 2], y: &Type) -> Result<Tensor, EvalError> {
        let lines = scan_lines(a, self.axis, self.reverse);
        if y.dtype().is_float() {
            let (a, b) = (a.to_f64s(), b.to_f64s());
            let next = |y: Option<f64>, i: usize| y.map_or(b[i], |y| a[i] * y + b[i]);
            let values = lines.scan(y.numel(), next);
            return Ok(Tensor::build(y, |i| values[i]));
        }
        let (a, b) = (a.to_i64s(), b.to_i64s());
        let next =
            |y: Option<i64>, i: usize| y.map_or(b[i], |y| a[i].wrapping_mul(y).wrapping_add(b[i]));
        let values = lines.scan(y.numel(), next);
        Ok(Tensor::build_i64(y, |i| values[i]))
    }

    fn vjp<'g>(&self, slot: usize, [a, _]: [Var<'g>; 2], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let next = a.delayed(self.axis, !self.reverse, 0.0);
        let db = dy.record(LinearScan::new(self.axis, !self.reverse), &[next, dy]);
        if slot == 1 {
            return db.into();
        }
        (db * y.delayed(self.axis, self.reverse, 0.0)).into()
    }

    fn jvp<'g>(&self, [a, _]: [Var<'g>; 2], y: Var<'g>, dx: [Option<Var<'g>>; 2]) -> Tangent<'g> {
        let by_a = dx[0].map(|da| da * y.delayed(self.axis, self.reverse, 0.0));
        let added = match (by_a, dx[1]) {
            (Some(a), Some(b)) => a + b,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return Tangent::Zero,
        };
        Tangent::Flow(a.record(*self, &[a, added]))
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::Cumulative { op: CumulativeOp::Linear, axis: self.axis, reverse: self.reverse }
    }

    fn cost(&self, x: [&Type; 2], y: &Type) -> Cost {
        Cost::elementwise(&x, y, 2)
    }

    fn axes(&self, x: [&Type; 2], _: &Type) -> AxisRelations {
        AxisRelations::same_but(&x, self.axis)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        (0..dims.shape.rank())
            .map(|axis| {
                let op = LinearScan::new(axis, dims.pick(axis as u64, 2) == 1);
                Sample::new(op, [dims.float(), dims.float()]).loose(16.0)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn a_discounted_sum() {
        let g = Graph::new();
        let x = g.input("x", F64, [3]);
        let at = Tensor::new([3], vec![1.0, 2.0, 3.0]).unwrap();
        let value = |y: Var<'_>| y.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(x.linear_scan(0.5, 0)), [1.0, 2.5, 4.25]);
        assert_eq!(value(g.grad(x.linear_scan(0.5, 0), &[x])[0]), [1.75, 1.5, 1.0]);
        let b = g.input("b", BOOL, [3]);
        assert!(b.linear_scan(b, 0).ok().is_err()); // (C1)
        assert!(x.linear_scan(x, 1).ok().is_err()); // (C2)
        assert!(x.linear_scan(g.input("i", I64, [3]), 0).ok().is_err()); // (C3)
    }
}
