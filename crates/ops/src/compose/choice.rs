//! Choices between values, and questions about them.

use crate::{Operand, Var};

impl<'g> Var<'g> {
    /// Is it different? NaN differs from everything.
    #[track_caller]
    pub fn not_equal(self, other: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        self.equal(other).not()
    }

    /// Exclusive or of booleans, broadcast.
    #[track_caller]
    pub fn xor(self, other: Var<'g>) -> Var<'g> {
        let _at = self.graph().at();
        // `and` refuses what is not boolean; two booleans are different if they are not equal.
        let both = self.and(other);
        if both.ty().is_none() { both } else { self.not_equal(other) }
    }

    /// Is it NaN?
    #[track_caller]
    pub fn isnan(self) -> Var<'g> {
        let _at = self.graph().at();
        self.not_equal(self)
    }

    /// Is it ∞ or -∞?
    #[track_caller]
    pub fn isinf(self) -> Var<'g> {
        let _at = self.graph().at();
        if !self.dtype().is_float() {
            return self.not_equal(self);
        }
        self.abs().equal(f64::INFINITY)
    }

    /// Is it neither NaN nor infinite?
    #[track_caller]
    pub fn isfinite(self) -> Var<'g> {
        let _at = self.graph().at();
        if !self.dtype().is_float() {
            return self.equal(self);
        }
        self.abs().less(f64::INFINITY)
    }

    /// `value` where `mask` (boolean) holds, broadcast.
    #[track_caller]
    pub fn masked_fill(self, mask: Var<'g>, value: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        mask.select(value.like(self), self)
    }

    /// `nan` for NaN, `positive` for ∞, `negative` for -∞. There the gradient is 0.
    #[track_caller]
    pub fn nan_to_num(self, nan: f64, positive: f64, negative: f64) -> Var<'g> {
        let _at = self.graph().at();
        if !self.dtype().is_float() {
            return self;
        }
        let y = self.equal(f64::INFINITY).select(positive, self);
        let y = self.equal(f64::NEG_INFINITY).select(negative, y);
        self.isnan().select(nan, y)
    }

    /// `low` below `low`, `high` above `high`, and `high` where they cross; bounds broadcast. The
    /// gradient by the value is 0 at the bounds and beyond, where it goes to the bound. NaN stays
    /// NaN. With one bound only: [`clamp_min`](Var::clamp_min), [`clamp_max`](Var::clamp_max).
    #[track_caller]
    pub fn clamp(self, low: impl Operand<'g>, high: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        self.clamp_min(low).clamp_max(high)
    }

    /// `low` below `low`; see [`clamp`](Var::clamp).
    #[track_caller]
    pub fn clamp_min(self, low: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let low = low.like(self);
        self.less_equal(low).select(low, self)
    }

    /// `high` above `high`; see [`clamp`](Var::clamp).
    #[track_caller]
    pub fn clamp_max(self, high: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let high = high.like(self);
        self.greater_equal(high).select(high, self)
    }

    /// The larger of two; of a number and NaN the number. At a tie the gradient goes to `self`.
    #[track_caller]
    pub fn fmax(self, other: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let other = other.like(self);
        self.greater_equal(other).or(other.isnan()).select(self, other)
    }

    /// The smaller of two; of a number and NaN the number. At a tie the gradient goes to `self`.
    #[track_caller]
    pub fn fmin(self, other: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let other = other.like(self);
        self.less_equal(other).or(other.isnan()).select(self, other)
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    const NAN: f64 = f64::NAN;
    const INF: f64 = f64::INFINITY;

    #[test]
    fn bounds_take_the_gradient() {
        let g = Graph::new();
        let (x, low) = (g.input("x", F64, [3]), g.input("low", F64, [3]));
        let a = Tensor::new([3], vec![-2.0, 1.0, 3.0]).unwrap();
        let b = Tensor::new([3], vec![0.0, 1.0, 0.0]).unwrap();
        let at = |v: Var<'_>| v.eval(&[&a, &b]).unwrap().to_f64s();
        assert_eq!(at(x.clamp(-1.0, 2.0)), [-1.0, 1.0, 2.0]);
        assert_eq!(at(g.grad(x.clamp(-1.0, 1.0), &[x])[0]), [0.0; 3]);
        assert_eq!(at(x.clamp(5.0, 2)), [2.0; 3]);
        let y = x.clamp_min(low);
        assert_eq!(at(y), [0.0, 1.0, 3.0]);
        let [dx, dlow] = g.grad(y, &[x, low])[..] else { unreachable!() };
        assert_eq!((at(dx), at(dlow)), (vec![0.0, 0.0, 1.0], vec![1.0, 1.0, 0.0]));
    }

    #[test]
    fn numbers_win_over_nan() {
        let g = Graph::new();
        let (x, y) = (g.input("x", F64, [4]), g.input("y", F64, [4]));
        let a = Tensor::new([4], vec![NAN, 1.0, 2.0, NAN]).unwrap();
        let b = Tensor::new([4], vec![1.0, NAN, 2.0, NAN]).unwrap();
        let at = |v: Var<'_>| v.eval(&[&a, &b]).unwrap().to_f64s();
        assert_eq!(at(x.fmax(y))[..3], [1.0, 1.0, 2.0]);
        assert_eq!(at(x.fmin(y))[..3], [1.0, 1.0, 2.0]);
        assert!(at(x.fmax(y))[3].is_nan());
        assert_eq!(at(g.grad(x.fmax(y), &[x])[0]), [0.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn what_is_not_finite_is_found_and_replaced() {
        let g = Graph::new();
        let x = g.input("x", F64, [4]);
        let a = Tensor::new([4], vec![NAN, INF, -INF, 2.0]).unwrap();
        let at = |v: Var<'_>| v.cast(F64).eval(&[&a]).unwrap().to_f64s();
        assert_eq!(at(x.isnan()), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(at(x.isinf()), [0.0, 1.0, 1.0, 0.0]);
        assert_eq!(at(x.isfinite()), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(at(x.not_equal(2.0)), [1.0, 1.0, 1.0, 0.0]);
        let y = x.nan_to_num(0.0, 9.0, -9.0);
        assert_eq!(at(y), [0.0, 9.0, -9.0, 2.0]);
        assert_eq!(at(g.grad(y, &[x])[0]), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(at(x.masked_fill(x.isnan(), 5)), [5.0, INF, -INF, 2.0]);
        assert_eq!(at(x.isnan().xor(x.isfinite())), [1.0, 0.0, 0.0, 1.0]);
        assert!(x.xor(x).ok().is_err());
        let i = g.input("i", I64, [4]);
        assert_eq!((i.isinf().dtype(), i.isfinite().dtype()), (BOOL, BOOL));
    }
}
