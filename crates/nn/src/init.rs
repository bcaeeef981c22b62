//! Initial values that keep the scale of signals from layer to layer.
//!
//! `fan_in` and `fan_out` are the numbers of inputs and outputs of one unit; those of a
//! convolution are channels times the size of the window. A gain is how much the activation
//! after the layer shrinks a signal; a linear layer has gain 1.
//!
//! | I want… | item |
//! |---|---|
//! | equal variance both ways, before `tanh` | [`xavier_uniform`], [`xavier_normal`] |
//! | equal variance forward, before `relu` | [`he_uniform`], [`he_normal`] with [`RELU_GAIN`] |
//! | equal variance backward, before `relu` | the same with `fan_out` for `fan_in` |
//! | the gain of an activation | [`Nonlinearity::gain`] |
//! | the same by the names of activations | [`kaiming_uniform`], [`kaiming_normal`] |
//! | what PyTorch's layers begin with | [`default_uniform`] |
//! | equal lengths of signals exactly | [`orthogonal`] |
//! | no outliers | [`trunc_normal`] |
//! | to begin as the identity | [`eye`], [`dirac`] |
//! | plain numbers | [`zeros`], [`ones`], [`constant`], [`uniform`], [`normal`], [`sparse`] |
//! | the fans of PyTorch's weights | [`fans`] |
//!
//! Every initializer is a value, [`Init`]: what it draws follows from the parameter's key, which
//! is a function of the model's seed and the parameter's name.

use std::f64::consts::SQRT_2;

use pleach_ops::{Init, Real};

/// All zeros.
pub fn zeros() -> Init {
    Init::zeros()
}

/// All ones.
pub fn ones() -> Init {
    Init::ones()
}

/// Every element `value`.
pub fn constant(value: f64) -> Init {
    Init::full(value)
}

/// Uniform in `[low, high)`.
pub fn uniform(low: f64, high: f64) -> Init {
    Init::uniform(low, high)
}

/// Normal with this mean and standard deviation.
pub fn normal(mean: f64, std: f64) -> Init {
    Init::normal(mean, std)
}

/// Normal, given that it is in `[low, high]`. Mean and deviation are those of the whole normal.
/// PyTorch's defaults: 0, 1, -2, 2.
pub fn trunc_normal(mean: f64, std: f64, low: f64, high: f64) -> Init {
    Init::TruncatedNormal { mean: Real(mean), std: Real(std), low: Real(low), high: Real(high) }
}

/// A random matrix with orthonormal rows or columns, whichever are fewer, times `gain`. Axes after
/// the first count as one.
///
/// **Source** Saxe, McClelland and Ganguli, ICLR 2014.
pub fn orthogonal(gain: f64) -> Init {
    Init::Orthogonal { gain: Real(gain) }
}

/// A matrix, `N(0, std²)` but for zeros: a fraction `sparsity` of each column, rounded up. (Each
/// column along axis 0: for PyTorch's weights, of the units that one input goes to.)
///
/// **Source** Martens, ICML 2010.
pub fn sparse(sparsity: f64, std: f64) -> Init {
    Init::Sparse { sparsity: Real(sparsity), std: Real(std) }
}

/// A matrix with ones on its diagonal.
pub fn eye() -> Init {
    Init::Eye
}

/// Weights `[outputs, inputs, window..]` of a convolution that gives its input back, in `groups`
/// of outputs.
pub fn dirac(groups: usize) -> Init {
    Init::Dirac { groups }
}

/// `fan_in` and `fan_out` of a weight `[outputs, inputs, window..]`, as convolutions and PyTorch's
/// linear layers have it. A [`Linear`](crate::Linear) of this crate has `[inputs, outputs]`.
pub fn fans(shape: &[usize]) -> (usize, usize) {
    let [outputs, inputs, ref window @ ..] = *shape else { return (1, 1) };
    let window: usize = window.iter().product();
    (inputs * window, outputs * window)
}

/// What comes after a layer, as far as its start is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nonlinearity {
    /// Nothing, or a convolution.
    Linear,
    /// The logistic function.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// A ReLU with this slope below 0; PyTorch's default is 0.01.
    LeakyRelu(f64),
    /// The scaled exponential unit.
    Selu,
}

impl Nonlinearity {
    /// PyTorch's `calculate_gain`.
    pub fn gain(self) -> f64 {
        match self {
            Nonlinearity::Linear | Nonlinearity::Sigmoid => 1.0,
            Nonlinearity::Tanh => TANH_GAIN,
            Nonlinearity::Relu => RELU_GAIN,
            Nonlinearity::LeakyRelu(slope) => leaky_relu_gain(slope),
            Nonlinearity::Selu => SELU_GAIN,
        }
    }
}

/// [`he_uniform`] with the gain of what comes after: PyTorch's `kaiming_uniform_`, whose `a` is the
/// slope of [`Nonlinearity::LeakyRelu`] and whose `mode` says which of [`fans`] is given.
pub fn kaiming_uniform(fan: usize, after: Nonlinearity) -> Init {
    he_uniform(fan, after.gain())
}

/// [`he_normal`] with the gain of what comes after: PyTorch's `kaiming_normal_`.
pub fn kaiming_normal(fan: usize, after: Nonlinearity) -> Init {
    he_normal(fan, after.gain())
}

/// Gain of ReLU, which kills half of the variance: √2.
pub const RELU_GAIN: f64 = SQRT_2;
/// Gain of tanh: 5/3, as PyTorch recommends.
pub const TANH_GAIN: f64 = 5.0 / 3.0;
/// Gain of SELU: 3/4, as PyTorch recommends.
pub const SELU_GAIN: f64 = 0.75;

/// Gain of a leaky ReLU with this slope below 0: `√(2 / (1 + slope²))`.
///
/// **Source** He et al., ICCV 2015, eq. 15.
pub fn leaky_relu_gain(slope: f64) -> f64 {
    (2.0 / (1.0 + slope * slope)).sqrt()
}

/// Xavier's uniform: `U(±gain · √(6 / (fan_in + fan_out)))`.
///
/// **Source** Glorot and Bengio, AISTATS 2010, eq. 16.
pub fn xavier_uniform(fan_in: usize, fan_out: usize, gain: f64) -> Init {
    let bound = gain * (6.0 / xavier_fan(fan_in, fan_out)).sqrt();
    Init::uniform(-bound, bound)
}

/// Xavier's normal: `N(0, gain² · 2 / (fan_in + fan_out))`.
///
/// **Source** Glorot and Bengio, AISTATS 2010, eq. 12.
pub fn xavier_normal(fan_in: usize, fan_out: usize, gain: f64) -> Init {
    Init::normal(0.0, gain * (2.0 / xavier_fan(fan_in, fan_out)).sqrt())
}

/// He's uniform: `U(±gain · √(3 / fan))`, Kaiming's in PyTorch.
///
/// **Source** He et al., ICCV 2015, eq. 10.
pub fn he_uniform(fan: usize, gain: f64) -> Init {
    let bound = gain * (3.0 / fan.max(1) as f64).sqrt();
    Init::uniform(-bound, bound)
}

/// He's normal: `N(0, gain² / fan)`, Kaiming's in PyTorch.
///
/// **Source** He et al., ICCV 2015, eq. 10.
pub fn he_normal(fan: usize, gain: f64) -> Init {
    Init::normal(0.0, gain / (fan.max(1) as f64).sqrt())
}

/// `U(±1/√fan_in)`: weights and biases of PyTorch's linear and convolution layers. It is
/// [`he_uniform`] with gain 1/√3, so its variance is a third of what keeps a linear signal.
pub fn default_uniform(fan_in: usize) -> Init {
    let bound = (fan_in.max(1) as f64).sqrt().recip();
    Init::uniform(-bound, bound)
}

/// A layer without inputs and outputs has no values to draw, but an initializer all the same.
fn xavier_fan(fan_in: usize, fan_out: usize) -> f64 {
    (fan_in as f64 + fan_out as f64).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pleach_ops::prelude::*;

    /// Fans, bound and deviation as PyTorch 2.15.0 has them (BSD-3-Clause).
    #[test]
    fn bounds_and_deviations_are_pytorchs() {
        let (fans, third) = ([(128, 256), (288, 576), (80, 480)], 3f64.sqrt().recip());
        type Make = fn(usize, usize, f64) -> Init;
        let he: Make = |fan_in, _, gain| he_uniform(fan_in, gain);
        let he_back: Make = |_, fan_out, gain| he_uniform(fan_out, gain);
        let n_he: Make = |fan_in, _, gain| he_normal(fan_in, gain);
        let n_he_back: Make = |_, fan_out, gain| he_normal(fan_out, gain);
        let default: Make = |fan_in, _, _| default_uniform(fan_in);
        let bounds: [(Make, f64, [f64; 3]); 6] = [
            (xavier_uniform, 1.0, [0.12499999999999999, 0.08333333333333333, 0.10350983390135313]),
            (
                xavier_uniform,
                TANH_GAIN,
                [0.20833333333333331, 0.1388888888888889, 0.17251638983558854],
            ),
            (he, RELU_GAIN, [0.21650635094610965, 0.14433756729740646, 0.27386127875258304]),
            (he, third, [0.08838834764831842, 0.05892556509887896, 0.11180339887498947]),
            (default, 1.0, [0.08838834764831842, 0.05892556509887896, 0.11180339887498947]),
            (he_back, RELU_GAIN, [0.15309310892394865, 0.10206207261596575, 0.1118033988749895]),
        ];
        let stds: [(Make, f64, [f64; 3]); 4] = [
            (xavier_normal, 1.0, [0.07216878364870322, 0.048112522432468816, 0.05976143046671968]),
            (n_he, RELU_GAIN, [0.125, 0.08333333333333334, 0.15811388300841897]),
            (n_he_back, RELU_GAIN, [0.08838834764831845, 0.05892556509887897, 0.06454972243679029]),
            (
                n_he,
                leaky_relu_gain(0.2),
                [0.12257258446136501, 0.08171505630757668, 0.15504341823651055],
            ),
        ];
        for (make, gain, want) in bounds.into_iter().chain(stds) {
            for ((fan_in, fan_out), want) in fans.into_iter().zip(want) {
                let got = match make(fan_in, fan_out, gain) {
                    Init::Uniform { low, high } if low.0 == -high.0 => high.0,
                    Init::Normal { mean, std } if mean.0 == 0.0 => std.0,
                    other => panic!("{other:?}"),
                };
                assert!((got / want - 1.0).abs() < 1e-14, "{got} {want}");
            }
        }
    }

    #[test]
    fn gains_are_pytorchs() {
        assert_eq!((leaky_relu_gain(0.0), TANH_GAIN), (RELU_GAIN, 1.6666666666666667));
        assert_eq!(leaky_relu_gain(0.01), 1.4141428569978354);
        assert_eq!(leaky_relu_gain(0.2), 1.3867504905630728);
        assert_eq!((leaky_relu_gain(1.0), SELU_GAIN), (1.0, 0.75));
        use Nonlinearity::*;
        let gains = [Linear, Sigmoid, Tanh, Relu, LeakyRelu(0.2), Selu].map(Nonlinearity::gain);
        assert_eq!(gains, [1.0, 1.0, 5.0 / 3.0, SQRT_2, 1.3867504905630728, 0.75]);
        assert_eq!(kaiming_uniform(3, Relu), he_uniform(3, RELU_GAIN));
        assert_eq!(kaiming_normal(3, Tanh), he_normal(3, TANH_GAIN));
        assert_eq!(
            (fans(&[64, 32, 3, 3]), fans(&[5]), fans(&[4, 0])),
            ((288, 576), (1, 1), (0, 4))
        );
    }

    #[test]
    fn draws_have_the_stated_moments() {
        let ty = Type::new(F64, [200, 300]).unwrap();
        for (init, std) in [
            (xavier_uniform(200, 300, 1.0), (2.0f64 / 500.0).sqrt()),
            (xavier_normal(200, 300, 1.0), (2.0f64 / 500.0).sqrt()),
            (he_uniform(200, 1.0), (1.0f64 / 200.0).sqrt()),
            (he_normal(200, 1.0), (1.0f64 / 200.0).sqrt()),
            (default_uniform(200), (1.0f64 / 600.0).sqrt()),
        ] {
            let x = init.draw(&ty, Key(1)).to_f64s();
            let n = x.len() as f64;
            let mean = x.iter().sum::<f64>() / n;
            let measured = (x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
            assert!((measured / std - 1.0).abs() < 0.02, "{init:?}: {measured} {std}");
        }
    }

    #[test]
    fn no_inputs_make_no_infinite_bound() {
        for init in [xavier_uniform(0, 0, 1.0), he_uniform(0, 1.0), default_uniform(0)] {
            let Init::Uniform { high, .. } = init else { panic!("{init:?}") };
            assert!(high.0.is_finite());
        }
    }
}
