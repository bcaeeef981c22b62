//! Running `ln Σ exp` along an axis.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::reduce::scan_lines;

/// `y[i] = ln Σ exp(x[j]), j ≤ i` along `axis`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | float | (C1) float, (C2) the axis exists |
/// | `y` | as `x` | as `x` | |
///
/// **Gradient** `dx[i] = exp(x[i] - y[i]) · r[i]` with `r[i] = dy[i] + exp(y[i] - y[i+1]) · r[i+1]`:
/// no exponent is positive, so nothing overflows. 0 where the result is infinite.
/// **Numerics** `y[i] = max + ln_1p(exp(min - max))` of `y[i-1]` and `x[i]`, accumulated in `f64`:
/// never overflows, `-∞` adds nothing, `+∞` stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogCumSumExp {
    axis: usize,
}

impl LogCumSumExp {
    /// Along `axis`.
    pub fn new(axis: usize) -> LogCumSumExp {
        LogCumSumExp { axis }
    }

    /// `exp(x[i] - y[i])` and `exp(y[i-1] - y[i])`: what is new, and what stays.
    fn weights<'g>(&self, x: Var<'g>, y: Var<'g>) -> [Var<'g>; 2] {
        let finite = y.abs().less(f64::INFINITY);
        let weight = |from: Var<'g>| finite.select(from - y, f64::NEG_INFINITY).exp();
        [weight(x), weight(y.delayed(self.axis, false, f64::NEG_INFINITY))]
    }
}

impl<'g> Var<'g> {
    /// `ln Σ exp` of the elements so far along an axis (`-1` is the last), see [`LogCumSumExp`].
    #[track_caller]
    pub fn logcumsumexp(self, axis: i64) -> Var<'g> {
        match self.axis(axis) {
            Ok(axis) => self.record(LogCumSumExp::new(axis), &[self]),
            Err(reason) => self.refuse("logcumsumexp", &[self], reason),
        }
    }
}

/// `ln(exp(a) + exp(b))`.
fn log_add(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if high.is_infinite() { high } else { high + (low - high).exp().ln_1p() }
}

impl Primitive<1> for LogCumSumExp {
    const NAME: &'static str = "logcumsumexp";

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        require_axis(self.axis, x.rank())?; // (C2)
        x.require_float(0) // (C1)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        Ok(scan_lines(x, self.axis, false).fold(x, y, log_add, |_, b| b))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let [new, stays] = self.weights(x, y);
        let next = stays.delayed(self.axis, true, 0.0);
        (new * dy.record(LinearScan::new(self.axis, true), &[next, dy])).into()
    }

    fn jvp<'g>(&self, [x]: [Var<'g>; 1], y: Var<'g>, dx: [Option<Var<'g>>; 1]) -> Tangent<'g> {
        let Some(dx) = dx[0] else { return Tangent::Zero };
        let [new, stays] = self.weights(x, y);
        Tangent::Flow(x.record(LinearScan::new(self.axis, false), &[stays, new * dx]))
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Cumulative { op: CumulativeOp::LogSumExp, axis: self.axis, reverse: false }
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        Cost::elementwise(&x, y, 4)
    }

    fn axes(&self, x: [&Type; 1], _: &Type) -> AxisRelations {
        AxisRelations::same_but(&x, self.axis)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        (0..dims.shape.rank())
            .map(|axis| Sample::new(LogCumSumExp::new(axis), [dims.float()]).loose(8.0))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn infinite_terms_and_large_ones() {
        let g = Graph::new();
        let x = g.input("x", F64, [4]);
        let at = Tensor::new([4], vec![f64::NEG_INFINITY, 1000.0, 1000.0, -1000.0]).unwrap();
        let value = |y: Var<'_>| y.eval(&[&at]).unwrap().to_f64s();
        let (y, two) = (x.logcumsumexp(0), 1000.0 + 2f64.ln());
        assert_eq!(value(y), [f64::NEG_INFINITY, 1000.0, two, two]);
        let dx = value(g.grad(y, &[x])[0]);
        for (got, want) in dx.iter().zip([0.0, 2.0, 1.0, 0.0]) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
        assert!(g.input("i", I64, [2]).logcumsumexp(0).ok().is_err()); // (C1)
        assert!(x.logcumsumexp(1).ok().is_err()); // (C2)
    }
}
