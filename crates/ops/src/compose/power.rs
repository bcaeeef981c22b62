//! Powers, roots and logarithms that are made of others.

use pleach_tensor::F64;

use crate::{Operand, Pow, Var};

impl<'g> Var<'g> {
    /// `selfⁿ`, broadcast; see [`Pow`]. A number among -2, -1, -½, ½, 1, 2 and 3 becomes products,
    /// quotients and roots: those are faster, and within an ulp.
    ///
    /// For a number to the power of a variable write `base.like(n).pow(n)`.
    #[track_caller]
    pub fn pow(self, exponent: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let exponent = exponent.like(self);
        match self.number_power(exponent) {
            Some(power) => power,
            None => self.binary(Pow, exponent),
        }
    }

    /// The power for an exponent that is one of a few numbers.
    #[track_caller]
    fn number_power(self, exponent: Var<'g>) -> Option<Var<'g>> {
        let n = crate::prelude::rules::splat(exponent)?;
        let fits = self.shape().broadcast(&exponent.shape()) == Some(self.shape());
        let ty = self.ty()?;
        if !fits || self.dtype() != exponent.dtype() || !ty.dtype().is_float() {
            return None;
        }
        let power = match n {
            -2.0 => (self * self).reciprocal(),
            -1.0 => self.reciprocal(),
            -0.5 => self.rsqrt(),
            0.5 => self.sqrt(),
            1.0 => self,
            2.0 => self * self,
            3.0 => self * self * self,
            _ => return None,
        };
        Some(power)
    }

    /// The power computed in f64, whatever the operands are.
    #[track_caller]
    pub fn float_power(self, exponent: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let double = |v: Var<'g>| if v.dtype() == F64 { v } else { v.cast(F64) };
        match exponent.var() {
            Some(exponent) => double(self).pow(double(exponent)),
            None => double(self).pow(exponent),
        }
    }

    /// `x²`.
    #[track_caller]
    pub fn square(self) -> Var<'g> {
        self * self
    }

    /// `xⁿ` by repeated squaring; `x⁰ = 1`.
    #[track_caller]
    pub fn powi(self, n: u32) -> Var<'g> {
        let _at = self.graph().at();
        let (mut power, mut square, mut rest) = (None::<Var<'g>>, self, n);
        while rest > 0 {
            if rest & 1 == 1 {
                power = Some(power.map_or(square, |p| p * square));
            }
            rest >>= 1;
            if rest > 0 {
                square = square * square;
            }
        }
        power.unwrap_or_else(|| self.full_like(1.0))
    }

    /// `1 / x`.
    #[track_caller]
    pub fn reciprocal(self) -> Var<'g> {
        let _at = self.graph().at();
        1.0 / self
    }

    /// `1 / √x`.
    #[track_caller]
    pub fn rsqrt(self) -> Var<'g> {
        let _at = self.graph().at();
        1.0 / self.sqrt()
    }

    /// `self · ln y`, broadcast; 0 where `self` is 0, unless `y` is NaN. There the gradient by
    /// `self` is `ln y` for a positive `y`, and 0 for any other.
    #[track_caller]
    pub fn xlogy(self, y: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let [x, y] = match self.broadcast_with("xlogy", y.like(self)) {
            Ok(both) => both,
            Err(poisoned) => return poisoned,
        };
        let odd = y.less_equal(0.0).or(y.equal(f64::INFINITY));
        x * x.equal(0.0).and(odd).select(1.0, y).ln()
    }

    /// `ln(x / (1 - x))`, the inverse of [`sigmoid`](Var::sigmoid): ±∞ at 1 and 0, NaN beyond.
    #[track_caller]
    pub fn logit(self) -> Var<'g> {
        let _at = self.graph().at();
        self.ln() - (-self).ln_1p()
    }

    /// [`logit`](Var::logit) of the value brought into `[eps, 1 - eps]`. The gradient is 0 outside
    /// of that, and flows at its ends.
    #[track_caller]
    pub fn logit_within(self, eps: f64) -> Var<'g> {
        let _at = self.graph().at();
        let high = self.greater(1.0 - eps).select(1.0 - eps, self);
        self.less(eps).select(eps, high).logit()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn at(v: Var<'_>, x: &[f64]) -> Vec<f64> {
        v.eval(&[&Tensor::new([x.len()], x.to_vec()).unwrap()]).unwrap().to_f64s()
    }

    #[test]
    fn powers_with_numbers() {
        let g = Graph::new();
        let x = g.input("x", F64, [3]);
        let at = |v: Var<'_>| at(v, &[-2.0, 1.0, 3.0]);
        assert_eq!(at(x.pow(2)), [4.0, 1.0, 9.0]);
        assert_eq!(at(x.pow(3.0)), [-8.0, 1.0, 27.0]);
        assert_eq!(at(x.pow(-2)), [0.25, 1.0, 1.0 / 9.0]);
        assert_eq!(at(x.pow(5)), [-32.0, 1.0, 243.0]);
        assert_eq!(at(x.powi(5)), [-32.0, 1.0, 243.0]);
        assert_eq!(at(x.powi(0)), [1.0; 3]);
        assert_eq!(at(2.like(x).pow(x)), [0.25, 2.0, 8.0]);
        assert_eq!(at(g.grad(x.pow(0), &[x])[0]), [0.0; 3]);
        assert_eq!(at(g.grad(x.pow(4), &[x])[0]), [-32.0, 4.0, 108.0]);
        assert_eq!(x.pow(0.5).id(), x.sqrt().id());
        assert_eq!(x.cast(F32).float_power(2).dtype(), F64);
        assert!(x.pow(g.input("b", BOOL, [3])).ok().is_err());
        assert!(x.pow(g.input("y", F64, [2])).ok().is_err());
    }

    #[test]
    fn xlogy_is_zero_at_zero() {
        let g = Graph::new();
        let (x, y) = (g.input("x", F64, [4]), g.input("y", F64, [4]));
        let a = Tensor::new([4], vec![0.0, 0.0, 0.0, 2.0]).unwrap();
        let b = Tensor::new([4], vec![0.0, f64::INFINITY, 1f64.exp(), 1f64.exp()]).unwrap();
        let at = |v: Var<'_>| v.eval(&[&a, &b]).unwrap().to_f64s();
        let [dx, dy] = g.grad(x.xlogy(y), &[x, y])[..] else { unreachable!() };
        assert_eq!(at(x.xlogy(y)), [0.0, 0.0, 0.0, 2.0]);
        assert_eq!(at(dx), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(at(dy)[..3], [0.0; 3]);
    }

    #[test]
    fn logit_is_infinite_at_the_ends() {
        let g = Graph::new();
        let x = g.input("x", F64, [4]);
        let y = at(x.logit(), &[0.0, 0.5, 1.0, 1.5]);
        assert_eq!(y[..3], [f64::NEG_INFINITY, 0.0, f64::INFINITY]);
        assert!(y[3].is_nan());
        let within = x.logit_within(0.25);
        let y = at(within, &[-1.0, 0.5, 1.0, 2.0]);
        assert!(y[1] == 0.0 && y[2] == y[3] && (y[3] - 3f64.ln()).abs() < 1e-15, "{y:?}");
        let slopes = at(g.grad(within, &[x])[0], &[0.0, 0.25, 0.5, 1.0]);
        assert_eq!((slopes[0], slopes[2], slopes[3]), (0.0, 4.0, 0.0));
        assert!((slopes[1] - 16.0 / 3.0).abs() < 1e-14, "{slopes:?}");
    }
}
