//! Initial values that keep the scale of signals from layer to layer.
//!
//! `fan_in` and `fan_out` are the numbers of inputs and outputs of one unit.

use pleach_ops::Init;

/// Xavier's uniform: `U(±gain · √(6 / (fan_in + fan_out)))`.
///
/// **Source** Glorot and Bengio, AISTATS 2010, eq. 16.
pub fn xavier_uniform(fan_in: usize, fan_out: usize, gain: f64) -> Init {
    let bound = gain * (6.0 / (fan_in + fan_out).max(1) as f64).sqrt();
    Init::uniform(-bound, bound)
}

/// Xavier's normal: `N(0, gain² · 2 / (fan_in + fan_out))`.
///
/// **Source** Glorot and Bengio, AISTATS 2010, eq. 12.
pub fn xavier_normal(fan_in: usize, fan_out: usize, gain: f64) -> Init {
    Init::normal(0.0, gain * (2.0 / (fan_in + fan_out).max(1) as f64).sqrt())
}

/// He's uniform: `U(±gain · √(3 / fan_in))`; the gain of ReLU is √2.
///
/// **Source** He et al., ICCV 2015, eq. 10.
pub fn he_uniform(fan_in: usize, gain: f64) -> Init {
    let bound = gain * (3.0 / fan_in.max(1) as f64).sqrt();
    Init::uniform(-bound, bound)
}

/// He's normal: `N(0, gain² / fan_in)`; the gain of ReLU is √2.
///
/// **Source** He et al., ICCV 2015, eq. 10.
pub fn he_normal(fan_in: usize, gain: f64) -> Init {
    Init::normal(0.0, gain / (fan_in.max(1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pleach_ops::prelude::*;

    /// Bounds and deviations for a weight of 20 inputs and 30 outputs, by the formulas of
    /// PyTorch's documentation.
    #[test]
    fn scales_are_those_of_the_formulas() {
        let root2 = 2f64.sqrt();
        assert_eq!(xavier_uniform(20, 30, 1.0), Init::uniform(-0.12f64.sqrt(), 0.12f64.sqrt()));
        assert_eq!(xavier_normal(20, 30, 1.0), Init::normal(0.0, 0.2));
        assert_eq!(he_normal(20, root2), Init::normal(0.0, root2 / 20f64.sqrt()));
        let Init::Uniform { high, .. } = he_uniform(20, root2) else { panic!() };
        assert!((high.0 - 0.3f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn draws_have_the_stated_moments() {
        let ty = Type::new(F64, [200, 300]).unwrap();
        for (init, std) in [
            (xavier_uniform(200, 300, 1.0), (2.0f64 / 500.0).sqrt()),
            (xavier_normal(200, 300, 1.0), (2.0f64 / 500.0).sqrt()),
            (he_uniform(200, 1.0), (1.0f64 / 200.0).sqrt()),
            (he_normal(200, 1.0), (1.0f64 / 200.0).sqrt()),
        ] {
            let x = init.draw(&ty, Key(1)).to_f64s();
            let n = x.len() as f64;
            let mean = x.iter().sum::<f64>() / n;
            let measured = (x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
            assert!((measured / std - 1.0).abs() < 0.02, "{init:?}: {measured} {std}");
        }
    }
}
