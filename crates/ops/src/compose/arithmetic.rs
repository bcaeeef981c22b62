//! Arithmetic of more than one operator: quotients of integers, remainders, mixtures.

use crate::{Operand, Var};

impl<'g> Var<'g> {
    /// `self - floor(self / other) · other`, exactly: the remainder that has the sign of `other`.
    /// [`fmod`](Var::fmod) has that of `self`. Gradient `dy` and `-dy · floor(self / other)`.
    #[track_caller]
    pub fn remainder(self, other: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let [a, b] = match self.broadcast_with("remainder", other.like(self)) {
            Ok(both) => both,
            Err(poisoned) => return poisoned,
        };
        let rest = a.fmod(b);
        a.crosses(b, rest).select(rest + b, rest)
    }

    /// Has a remainder another sign than the divisor, so that the quotient was truncated up?
    #[track_caller]
    fn crosses(self, divisor: Var<'g>, rest: Var<'g>) -> Var<'g> {
        let apart = rest.less(0.0).not_equal(divisor.less(0.0));
        // By 0 an integer leaves itself, which is no remainder.
        rest.not_equal(0.0).and(apart).and(divisor.not_equal(0.0))
    }

    /// `⌊self / other⌋`, rounded once, broadcast; for floats `(self - remainder) / other`, which
    /// `(self / other).floor()` is not where the quotient rounds up to an integer. An integer by 0
    /// is 0. It cuts the gradient as [`floor`](Var::floor) does.
    #[track_caller]
    pub fn floor_divide(self, other: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let [a, b] = match self.broadcast_with("floor_divide", other.like(self)) {
            Ok(both) => both,
            Err(poisoned) => return poisoned,
        };
        let rest = a.fmod(b);
        if !a.dtype().is_float() {
            let quotient = a / b;
            return a.crosses(b, rest).select(quotient - 1, quotient);
        }
        let whole = (a - rest) / b;
        let below = a.crosses(b, rest).select(whole - 1.0, whole);
        // `whole` is an integer but for rounding.
        let quotient = (below + 0.5).floor();
        let divided = (a / b).stop_gradient();
        let quotient = below.equal(0.0).select(divided * 0.0, quotient);
        b.equal(0.0).select(divided, quotient)
    }

    /// `trunc(self / other)`, broadcast: the quotient rounded toward zero.
    #[track_caller]
    pub fn trunc_divide(self, other: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let quotient = self / other;
        if quotient.dtype().is_float() { quotient.trunc() } else { quotient }
    }

    /// The fractional part `x - trunc(x)`, of the sign of `x`. Gradient `dy`.
    #[track_caller]
    pub fn frac(self) -> Var<'g> {
        let _at = self.graph().at();
        self - self.trunc()
    }

    /// `self + weight · (end - self)`, broadcast; from the nearer end, so that weights 0 and 1 give
    /// both ends exactly.
    #[track_caller]
    pub fn lerp(self, end: impl Operand<'g>, weight: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let (end, weight) = (end.like(self), weight.like(self));
        let way = end - self;
        let near = self + weight * way;
        let far = end - way * (1.0 - weight);
        match crate::prelude::rules::splat(weight) {
            Some(weight) if weight.abs() < 0.5 => near,
            Some(_) => far,
            None => weight.abs().less(0.5).select(near, far),
        }
    }

    /// `self + scale · a · b`, broadcast.
    #[track_caller]
    pub fn addcmul(self, a: impl Operand<'g>, b: impl Operand<'g>, scale: f64) -> Var<'g> {
        let _at = self.graph().at();
        self + a.like(self) * scale * b
    }

    /// `self + scale · a / b`, broadcast.
    #[track_caller]
    pub fn addcdiv(self, a: impl Operand<'g>, b: impl Operand<'g>, scale: f64) -> Var<'g> {
        let _at = self.graph().at();
        self + a.like(self) * scale / b
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn quotients_and_remainders_go_down() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F64, [6]), g.input("b", F64, [6]));
        let x = Tensor::new([6], vec![5.5, -5.5, 5.5, -5.5, 4.0, 1.0]).unwrap();
        let y = Tensor::new([6], vec![2.0, 2.0, -2.0, -2.0, -2.0, 0.1]).unwrap();
        let at = |v: Var<'_>| v.eval(&[&x, &y]).unwrap().to_f64s();
        assert_eq!(at(a.remainder(b))[..5], [1.5, 0.5, -0.5, -1.5, 0.0]);
        // The double 0.1 is a little more than a tenth: it goes 9 times into 1.
        assert_eq!(at(a.floor_divide(b)), [2.0, -3.0, -3.0, 2.0, -2.0, 9.0]);
        assert_eq!(at(a.trunc_divide(b))[..5], [2.0, -2.0, -2.0, 2.0, -2.0]);
        assert_eq!(at(g.grad(a.remainder(b), &[b])[0])[..5], [-2.0, 3.0, 3.0, -2.0, 2.0]);
        assert_eq!(at(g.grad(a.floor_divide(b), &[a])[0]), [0.0; 6]);
        assert_eq!(at(a.frac())[..2], [0.5, -0.5]);
        assert_eq!(at(1.like(a).floor_divide(a.full_like(0.0))), [f64::INFINITY; 6]);
    }

    #[test]
    fn integers_divide_down_and_by_zero_give_zero() {
        let g = Graph::new();
        let (a, b) = (g.input("a", I32, [4]), g.input("b", I32, [4]));
        let x = Tensor::new([4], vec![7, -7, 7, -7]).unwrap();
        let y = Tensor::new([4], vec![2, 2, -2, 0]).unwrap();
        let at = |v: Var<'_>| v.eval(&[&x, &y]).unwrap().to_i64s();
        assert_eq!(at(a.floor_divide(b)), [3, -4, -4, 0]);
        assert_eq!(at(a.remainder(b)), [1, 1, -1, -7]);
        assert_eq!(at(a.trunc_divide(b)), [3, -3, -3, 0]);
    }

    #[test]
    fn mixtures() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F64, [2]), g.input("b", F64, [2]));
        let x = Tensor::new([2], vec![1.0, 1e16]).unwrap();
        let y = Tensor::new([2], vec![3.0, 1.0]).unwrap();
        let at = |v: Var<'_>| v.eval(&[&x, &y]).unwrap().to_f64s();
        assert_eq!(at(a.lerp(b, 0.25))[0], 1.5);
        assert_eq!(at(a.lerp(b, 1.0)), [3.0, 1.0]);
        assert_eq!(at(a.lerp(b, a.full_like(0.75)))[0], 2.5);
        assert_eq!(at(a.lerp(b, b))[1], 1.0);
        assert_eq!(at(a.addcmul(b, b, 2.0))[0], 19.0);
        assert_eq!(at(a.addcdiv(b, 2, 2.0))[0], 4.0);
    }
}
