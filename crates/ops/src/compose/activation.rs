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

    /// `x · Φ(x)`, the Gaussian error linear unit, see [`normal_cdf`](Var::normal_cdf).
    ///
    /// **Numerics** ≤ 2 ulp in f32, also left of 0, where it goes to 0.
    ///
    /// **Source** Hendrycks and Gimpel 2016, eq. 2.
    #[track_caller]
    pub fn gelu(self) -> Var<'g> {
        let _at = self.graph().at();
        self * self.normal_cdf()
    }

    /// [`gelu`](Var::gelu) by a hyperbolic tangent:
    /// `x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³)))`.
    #[track_caller]
    pub fn gelu_tanh(self) -> Var<'g> {
        let _at = self.graph().at();
        let rate = (2.0 / std::f64::consts::PI).sqrt();
        let inner = (self + self * self * self * 0.044_715) * rate;
        self * 0.5 * (inner.tanh() + 1.0)
    }

    /// `x · sigmoid(x)`. **Source** Hendrycks and Gimpel 2016; Ramachandran et al. 2017 (swish).
    #[track_caller]
    pub fn silu(self) -> Var<'g> {
        let _at = self.graph().at();
        self * self.sigmoid()
    }

    /// `x · tanh(softplus(x))`. **Source** Misra 2019.
    #[track_caller]
    pub fn mish(self) -> Var<'g> {
        let _at = self.graph().at();
        self * self.softplus().tanh()
    }

    /// `softplus(beta · x) / beta`, and `x` itself where `beta · x` is above `threshold`: PyTorch's
    /// parameters, 1 and 20 if not given. [`softplus`](Var::softplus) needs no threshold.
    #[track_caller]
    pub fn softplus_above(self, beta: f64, threshold: f64) -> Var<'g> {
        let _at = self.graph().at();
        let scaled = self * beta;
        scaled.greater(threshold).select(self, scaled.softplus() / beta)
    }

    /// `ln sigmoid(x)`, without overflow.
    #[track_caller]
    pub fn logsigmoid(self) -> Var<'g> {
        let _at = self.graph().at();
        -(-self).softplus()
    }

    /// `x / (1 + |x|)`.
    #[track_caller]
    pub fn softsign(self) -> Var<'g> {
        let _at = self.graph().at();
        self / (self.abs() + 1.0)
    }

    /// `x - tanh(x)`.
    #[track_caller]
    pub fn tanhshrink(self) -> Var<'g> {
        let _at = self.graph().at();
        self - self.tanh()
    }

    /// `a · sigmoid(b)`, where `a` and `b` are the halves of `axis` (`-1` is the last), whose
    /// length must be even. **Source** Dauphin et al. 2017.
    #[track_caller]
    pub fn glu(self, axis: i64) -> Var<'g> {
        let _at = self.graph().at();
        let at = match self.axis(axis) {
            Ok(at) => at,
            Err(reason) => return self.refuse("glu", &[self], reason),
        };
        let length = self.shape()[at];
        if length % 2 == 1 {
            let why = format!("glu halves an axis of even length, got {length}");
            return self.refuse("glu", &[self], TypeError::Attribute(why));
        }
        let halves = self.split(axis, &[length / 2, length / 2]);
        halves[0] * halves[1].sigmoid()
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
        let kept = self.graph().key().uniform(self.dtype().compute(), self.shape()).less(keep);
        // With p = 1 nothing is kept, so the scale does not matter, but must not be infinite.
        let scale = if keep > 0.0 { 1.0 / keep } else { 0.0 };
        kept.select(self * scale, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn smooth_activations_at_known_points() {
        let g = Graph::new();
        let x = g.input("x", F64, [3]);
        let at = Tensor::new([3], vec![0.0, 1.0, -1000.0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        let close = |v: Var<'_>, want: [f64; 3]| {
            let got = value(v);
            let near = got.iter().zip(want).all(|(a, b)| (a - b).abs() <= 1e-15 * b.abs());
            assert!(near, "{got:?} {want:?}");
        };
        close(x.silu(), [0.0, 0.731_058_578_630_004_9, 0.0]);
        close(x.mish(), [0.0, 0.865_098_388_267_310_3, 0.0]);
        close(x.gelu_tanh(), [0.0, 0.841_191_990_608_276_7, 0.0]);
        close(x.logsigmoid(), [-2f64.ln(), -0.313_261_687_518_222_8, -1000.0]);
        close(x.softsign(), [0.0, 0.5, -1000.0 / 1001.0]);
        close(x.softplus_above(2.0, 1.0), [2f64.ln() / 2.0, 1.0, 0.0]);
        assert_eq!(value(g.grad(x.softsign(), &[x])[0])[..2], [1.0, 0.25]);
        assert!(x.glu(0).ok().is_err());
        assert!(x.glu(1).ok().is_err());
        assert_eq!(x.unsqueeze(0).broadcast_to([4, 3]).glu(0).shape(), [2, 3].into());
    }

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
