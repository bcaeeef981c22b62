//! Activations and dropout.

use pleach_graph::TypeError;

use crate::{GraphExt, Var};

impl<'g> Var<'g> {
    /// `max(x, 0)`. Subgradient 0 at 0; NaN stays NaN.
    #[track_caller]
    pub fn relu(self) -> Var<'g> {
        let _at = self.graph().at();
        self.less_equal(0.0).select(0.0, self)
    }

    /// `x · Φ(x)`, the Gaussian error linear unit: `x/2 · (1 + erf(x/√2))`.
    ///
    /// **Source** Hendrycks and Gimpel 2016, eq. 2.
    #[track_caller]
    pub fn gelu(self) -> Var<'g> {
        let _at = self.graph().at();
        let phi = (self * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0;
        self * 0.5 * phi
    }

    /// In a graph for training, each element is zero with probability `p`, independently, and the
    /// others are divided by `1 - p`; in a graph for inference, the value itself. Every call
    /// draws its own mask. `p` must be in `[0, 1]`.
    ///
    /// **Source** Srivastava et al., JMLR 15 (2014); inverted scaling.
    #[track_caller]
    pub fn dropout(self, p: f64) -> Var<'g> {
        if !(0.0..=1.0).contains(&p) {
            let why = format!("the probability of dropout must be in [0, 1], got {p}");
            return self.refuse("dropout", &[self], TypeError::Attribute(why));
        }
        if !self.graph().is_training() || p == 0.0 {
            return self;
        }
        let _at = self.graph().at();
        let keep = 1.0 - p;
        let kept = self.graph().key().uniform(self.dtype(), self.shape()).less(keep);
        // With p = 1 nothing is kept, so the scale does not matter, but must not be infinite.
        let scale = if keep > 0.0 { 1.0 / keep } else { 0.0 };
        kept.select(self * scale, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn relu_has_slope_zero_at_zero_and_keeps_nan() {
        let g = Graph::new();
        let x = g.input("x", F32, [4]);
        let at = Tensor::new([4], vec![-1.0, 0.0, 2.0, f32::NAN]).unwrap();
        let y = x.relu();
        let values = y.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(values[..3], [0.0, 0.0, 2.0]);
        assert!(values[3].is_nan());
        assert_eq!(g.grad(y, &[x])[0].eval(&[&at]).unwrap().to_f64s()[..3], [0.0, 0.0, 1.0]);
    }

    #[test]
    fn dropout_is_for_training_only_and_two_calls_differ() {
        let g = Graph::eval();
        let x = g.full(F32, [1000], 1.0);
        assert_eq!(x.dropout(0.5).id(), x.id());
        let g = Graph::train();
        let x = g.full(F32, [1000], 1.0);
        let (a, b) = (x.dropout(0.25).eval(&[]).unwrap(), x.dropout(0.25).eval(&[]).unwrap());
        assert_ne!(a, b);
        let kept = a.to_f64s().iter().filter(|&&v| v != 0.0).count();
        assert!((700..800).contains(&kept), "{kept}");
        assert!((a.to_f64s().iter().sum::<f64>() - kept as f64 / 0.75).abs() < 1e-2);
        assert_eq!(x.dropout(1.0).eval(&[]).unwrap().splat(), Some(0.0));
        assert!(x.dropout(1.5).ok().is_err());
    }
}
