//! Norms and distances.

use pleach_graph::TypeError;

use crate::Var;
use crate::reduce::{All, IntoAxes};

impl<'g> Var<'g> {
    /// The `p`-norm over axes, which are removed: `(Σ |x|ᵖ)^(1/p)`. For `p = ∞` the largest and for
    /// `p = -∞` the smallest `|x|`, for `p = 0` the number of elements that are not 0.
    ///
    /// The gradient is 0 where the norm is 0, and in every element that is 0; for `p = ±∞` equal
    /// extremes share it evenly, for `p = 0` it is 0.
    #[track_caller]
    pub fn vector_norm(self, p: f64, axes: impl IntoAxes) -> Var<'g> {
        let _at = self.graph().at();
        if p.is_nan() {
            let why = TypeError::Attribute("the order of a norm is not a number".into());
            return self.refuse("vector_norm", &[self], why);
        }
        let norm = |x: Var<'g>, axes: &[usize]| match p {
            f64::INFINITY => x.abs().max(axes),
            f64::NEG_INFINITY => x.abs().min(axes),
            0.0 => x.not_equal(0.0).cast(x.dtype()).sum(axes),
            1.0 => x.abs().sum(axes),
            2.0 => x.square().sum(axes).sqrt_from_zero(),
            _ => x.magnitudes(p).sum(axes).power_from_zero(1.0 / p),
        };
        self.reduced("vector_norm", axes, |x, axes| x.computed(|x| norm(x, axes)))
    }

    /// The `p`-norm of all elements, see [`Var::vector_norm`].
    #[track_caller]
    pub fn norm(self, p: f64) -> Var<'g> {
        self.vector_norm(p, All)
    }

    /// The `p`-norm of the difference, broadcast: see [`Var::vector_norm`].
    #[track_caller]
    pub fn dist(self, other: Var<'g>, p: f64) -> Var<'g> {
        let _at = self.graph().at();
        (self - other).vector_norm(p, All)
    }

    /// Distances of rows: for `[.., P, M]` and `[.., R, M]`, leading axes broadcast, the `p`-norms
    /// `[.., P, R]` of all differences of a row of one and a row of the other. `p` is at least 0.
    ///
    /// The gradient is that of [`Var::vector_norm`]: 0 between equal rows. The differences take the
    /// memory of `[.., P, R, M]`.
    #[track_caller]
    pub fn cdist(self, other: Var<'g>, p: f64) -> Var<'g> {
        let _at = self.graph().at();
        let (Some(a), Some(b)) = (self.ty(), other.ty()) else {
            return self.untyped("cdist", &[self, other]);
        };
        for (operand, ty) in [&a, &b].into_iter().enumerate() {
            if ty.rank() < 2 {
                let (expected, got) = ("at least 2", ty.shape().clone());
                let reason = TypeError::Rank { operand, expected, got };
                return self.refuse("cdist", &[self, other], reason);
            }
        }
        let (left, right) = (self.size(-1), other.size(-1));
        if left != right {
            let reason = TypeError::Sizes { what: "lengths of the rows", left, right };
            return self.refuse("cdist", &[self, other], reason);
        }
        if p < 0.0 {
            let why = TypeError::Attribute(format!("the order of a distance is {p}"));
            return self.refuse("cdist", &[self, other], why);
        }
        let difference = self.unsqueeze(-2) - other.unsqueeze(-3);
        // Of nothing the largest is -∞, but the distance is 0.
        let p = if left == 0 { 1.0 } else { p };
        difference.vector_norm(p, -1)
    }

    /// `|x|ᵖ`, at 0 without a slope.
    #[track_caller]
    fn magnitudes(self, p: f64) -> Var<'g> {
        self.abs().power_from_zero(p)
    }

    /// `xᵖ` of what is not negative, with the gradient 0 at 0, at every order.
    #[track_caller]
    fn power_from_zero(self, p: f64) -> Var<'g> {
        let zero = self.equal(0.0);
        let at_zero = if p < 0.0 { f64::INFINITY } else { 0.0 };
        let x = zero.select(1.0, self);
        zero.select(at_zero, x.pow(p))
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn close(got: &[f64], want: &[f64]) {
        let near = got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-15);
        assert!(near && got.len() == want.len(), "{got:?} {want:?}");
    }

    #[test]
    fn norms_of_three_and_four() {
        let g = Graph::new();
        let x = g.input("x", F64, [2, 2]);
        let at = Tensor::new([2, 2], vec![3.0, -4.0, 0.0, 0.0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        let slope = |v: Var<'_>| value(g.grad(v, &[x])[0]);
        for (p, norm, grad) in [
            (0.0, [2.0, 0.0], [0.0; 4]),
            (1.0, [7.0, 0.0], [1.0, -1.0, 0.0, 0.0]),
            (2.0, [5.0, 0.0], [0.6, -0.8, 0.0, 0.0]),
            (f64::INFINITY, [4.0, 0.0], [0.0, -1.0, 0.0, 0.0]),
            (f64::NEG_INFINITY, [3.0, 0.0], [1.0, 0.0, 0.0, 0.0]),
        ] {
            let y = x.vector_norm(p, 1);
            assert_eq!(value(y), norm, "{p}");
            close(&slope(y), &grad);
        }
        let y = value(x.vector_norm(3.0, 1));
        assert!((y[0] - 91f64.cbrt()).abs() < 1e-14 && y[1] == 0.0);
        assert!(slope(x.vector_norm(1.5, Keep(1))).iter().all(|s| s.is_finite()));
        assert!(x.norm(f64::NAN).ok().is_err());
    }

    #[test]
    fn distances_of_rows() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F64, [2, 2]), g.input("b", F64, [1, 2]));
        let y = a.cdist(b, 2.0);
        let points = Tensor::new([2, 2], vec![3.0, 4.0, 0.0, 0.0]).unwrap();
        let origin = Tensor::new([1, 2], vec![0.0, 0.0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&points, &origin]).unwrap().to_f64s();
        assert_eq!((y.shape(), value(y)), ([2, 1].into(), vec![5.0, 0.0]));
        close(&value(g.grad(y, &[a])[0]), &[0.6, 0.8, 0.0, 0.0]);
        assert_eq!(value(a.dist(b, 1.0)), [7.0]);
        assert!(a.cdist(a.slice(1, 0..1), 2.0).ok().is_err());
        assert!(a.cdist(b, -1.0).ok().is_err());
    }
}
