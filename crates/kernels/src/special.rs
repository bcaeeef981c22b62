//! Special functions of `f64` that no library has: what kernels run, and what the reference
//! evaluation of their operators says. `f32` is computed in `f64` and rounded once.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, PI};

/// `ln(eᵃ + eᵇ)` without overflow.
pub fn logaddexp(a: f64, b: f64) -> f64 {
    if a == b {
        return a + LN_2; // also of two infinities, whose difference is NaN
    }
    let high = if a > b { a } else { b };
    high + (-(a - b).abs()).exp().ln_1p()
}

/// The inverse of the error function: ±∞ at ±1, NaN beyond. At most 4 ulp.
///
/// A first value, good to 7 digits in the middle and to 2 at the ends, and three steps of Halley's
/// method. **Source** M. Giles, "Approximating the erfinv function", GPU Computing Gems 2 (2011).
pub fn erfinv(x: f64) -> f64 {
    let rest = 1.0 - x.abs();
    if rest <= 0.0 || x.is_nan() {
        return if rest == 0.0 { f64::INFINITY.copysign(x) } else { f64::NAN };
    }
    let w = -(rest * (1.0 + x.abs())).ln();
    let p = if w < 5.0 {
        const MIDDLE: [f64; 9] = [
            2.810_226_36e-08,
            3.432_739_39e-07,
            -3.523_387_7e-06,
            -4.391_506_54e-06,
            0.000_218_580_87,
            -0.001_253_725_03,
            -0.004_177_681_640,
            0.246_640_727,
            1.501_409_41,
        ];
        MIDDLE.iter().fold(0.0, |p, c| p * (w - 2.5) + c)
    } else {
        const ENDS: [f64; 9] = [
            -0.000_200_214_257,
            0.000_100_950_558,
            0.001_349_343_22,
            -0.003_673_428_44,
            0.005_739_507_73,
            -0.007_622_461_3,
            0.009_438_870_47,
            1.001_674_06,
            2.832_976_82,
        ];
        ENDS.iter().fold(0.0, |p, c| p * (w.sqrt() - 3.0) + c)
    };
    let mut y = p * x;
    if w > 16.0 {
        // Beyond the reach of f32: the first term of the asymptotic series of erfc.
        let mut far = w.sqrt();
        for _ in 0..4 {
            far = (-(rest * far / (FRAC_2_SQRT_PI / 2.0)).ln()).sqrt();
        }
        y = far.copysign(x);
    }
    for _ in 0..3 {
        // Beyond ½ the complement has the digits.
        let error = if rest < 0.5 {
            let error = rest - libm::erfc(y.abs());
            if x < 0.0 { -error } else { error }
        } else {
            libm::erf(y) - x
        };
        let step = error / (FRAC_2_SQRT_PI * (-y * y).exp());
        y -= step / (1.0 + y * step);
    }
    y
}

/// `B₂ₖ / (2k)!` for k = 1, 2, …: Euler and Maclaurin's coefficients.
const BERNOULLI: [f64; 12] = [
    1.0 / 12.0,
    -1.0 / 720.0,
    1.0 / 30_240.0,
    -1.0 / 1_209_600.0,
    1.0 / 47_900_160.0,
    -691.0 / 1_307_674_368_000.0,
    1.0 / 74_724_249_600.0,
    -3617.0 / 10_670_622_842_880_000.0,
    43_867.0 / 5_109_094_217_170_944_000.0,
    -174_611.0 / 802_857_662_698_291_200_000.0,
    77_683.0 / 14_101_100_039_391_805_440_000.0,
    -236_364_091.0 / 1_693_824_136_731_743_669_452_800_000.0,
];

/// Hurwitz's zeta function `Σ (q + k)⁻ˢ`, k = 0, 1, …, for s ≥ 2 and q > 0.
fn zeta(s: f64, mut q: f64) -> f64 {
    let mut sum = 0.0;
    while q < s + 10.0 {
        let term = libm::pow(q, -s);
        sum += term;
        q += 1.0;
    }
    let mut power = libm::pow(q, -s);
    sum += power * q / (s - 1.0) + power / 2.0;
    power /= q;
    let mut rising = s;
    for (k, b) in BERNOULLI.iter().enumerate() {
        sum += b * rising * power;
        let i = s + 2.0 * k as f64 + 1.0;
        rising *= i * (i + 1.0);
        power /= q * q;
    }
    sum
}

/// The logarithmic derivative of the gamma function. ∓∞ at ±0, NaN at negative integers and -∞.
pub fn digamma(mut x: f64) -> f64 {
    if x == 0.0 {
        return -f64::INFINITY.copysign(x);
    }
    if x < 0.0 {
        // Reflection; the distance to the nearest integer is exact.
        let rest = x - x.round();
        return match rest {
            _ if x > -0.5 => digamma(x + 1.0) - 1.0 / x,
            0.0 => f64::NAN,
            _ => digamma(1.0 - x) - PI / libm::tan(PI * rest),
        };
    }
    let mut sum = 0.0;
    while x < 10.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    if x == f64::INFINITY {
        return x;
    }
    let square = 1.0 / (x * x);
    let (mut power, mut factorial, mut series) = (square, 1.0, 0.0);
    for (k, b) in BERNOULLI.iter().take(9).enumerate() {
        // B₂ₖ / 2k = (B₂ₖ / (2k)!) · (2k - 1)!
        series += b * factorial * power;
        let n = 2.0 * k as f64 + 2.0;
        factorial *= n * (n + 1.0);
        power *= square;
    }
    sum + x.ln() - 0.5 / x - series
}

/// The derivative of order `n` of [`digamma`], for n = 0, 1, …, 170, whose factorial is finite;
/// NaN for any other order. `n` is rounded to an integer.
///
/// `(-1)ⁿ⁺¹ · n! · ζ(n + 1, x)`. Left of zero the terms of the series before the one nearest to
/// zero are another such series, backwards.
pub fn polygamma(n: f64, x: f64) -> f64 {
    let n = n.round_ties_even();
    if n == 0.0 {
        return digamma(x);
    }
    if !(0.0..=170.0).contains(&n) || x.is_nan() {
        return f64::NAN;
    }
    let s = n + 1.0;
    let odd = libm::fmod(n, 2.0) == 1.0;
    let sum = if x == f64::INFINITY {
        0.0
    } else if x > 0.0 {
        zeta(s, x)
    } else {
        let fraction = x - x.floor();
        let other = x.ceil() - x;
        // s is even if n is odd: all terms are positive.
        let sign = if odd { 1.0 } else { -1.0 };
        match fraction {
            0.0 if odd => f64::INFINITY,
            f if other > 0.0 => zeta(s, f) + sign * (zeta(s, other) - zeta(s, 1.0 - x)),
            _ => f64::NAN,
        }
    };
    let value = libm::tgamma(s) * sum;
    if odd { value } else { -value }
}

/// `aᵇ` of integers, wrapping. A negative exponent truncates the quotient `1 / a⁻ᵇ` to zero.
pub fn powi(a: i64, b: i64) -> i64 {
    if b < 0 {
        return match a {
            1 => 1,
            -1 => 1 - 2 * (b & 1),
            _ => 0,
        };
    }
    let (mut base, mut left, mut power) = (a, b, 1i64);
    while left > 0 {
        if left & 1 == 1 {
            power = power.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        left >>= 1;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64, ulps: f64) {
        let good = got == want || (got - want).abs() <= ulps * f64::EPSILON * want.abs();
        assert!(good, "{got:e}, expected {want:e}");
    }

    #[test]
    fn erfinv_has_the_digits_of_mpmath() {
        for (x, want) in ERFINV {
            close(erfinv(x), want, 4.0);
            close(erfinv(-x), -want, 4.0);
        }
        assert_eq!(erfinv(1.0), f64::INFINITY);
        assert!(erfinv(1.5).is_nan() && erfinv(f64::NAN).is_nan());
        assert!(erfinv(-0.0).is_sign_negative());
    }

    #[test]
    fn polygamma_has_the_digits_of_mpmath() {
        for (n, x, want) in POLYGAMMA {
            close(polygamma(n, x), want, 40.0);
        }
        assert_eq!(polygamma(1.0, 0.0), f64::INFINITY);
        assert_eq!(polygamma(0.0, 0.0), f64::NEG_INFINITY);
        assert_eq!(polygamma(0.0, f64::INFINITY), f64::INFINITY);
        assert_eq!(polygamma(2.0, f64::INFINITY), 0.0);
        for (n, x) in
            [(0.0, -2.0), (2.0, -2.0), (-1.0, 1.0), (171.0, 1.0), (1.0, f64::NEG_INFINITY)]
        {
            assert!(polygamma(n, x).is_nan(), "{n} {x}");
        }
    }

    #[test]
    fn integers_to_powers_wrap() {
        let cases = [(3, 4, 81), (-2, 3, -8), (0, 0, 1), (2, 64, 0), (5, -1, 0), (-1, -3, -1)];
        for (a, b, want) in cases {
            assert_eq!(powi(a, b), want, "{a} {b}");
        }
        assert_eq!(powi(-1, i64::MIN), 1);
    }

    const ERFINV: [(f64, f64); 15] = [
        (1e-300, 8.86226925452758e-301),
        (1e-09, 8.86226925452758e-10),
        (0.1, 0.08885599049425769),
        (0.25, 0.2253120550121781),
        (0.499, 0.47582428088309237),
        (0.5, 0.4769362762044699),
        (0.501, 0.4780494522745675),
        (0.75, 0.8134198475976185),
        (0.9, 1.1630871536766743),
        (0.9965, 2.0647715607126025),
        (0.999, 2.3267537655135246),
        (0.9999999, 3.7665625816384707),
        (0.9999999990686774, 4.328028275800946),
        (0.9999999999999716, 5.377767781541279),
        (0.9999999999999999, 5.8635847487551676),
    ];
    const POLYGAMMA: [(f64, f64, f64); 28] = [
        (0.0, 1.0, -0.5772156649015329),
        (0.0, 0.5, -1.9635100260214235),
        (0.0, 2.5, 0.7031566406452432),
        (0.0, 10.0, 2.251752589066721),
        (0.0, 0.001, -1000.5755719318103),
        (0.0, 10000000000.0, 23.025850929890456),
        (0.0, -0.3, 2.113309779635399),
        (0.0, -7.25, 5.189977214956288),
        (0.0, -100.7, 2.334602156719901),
        (0.0, -1e-20, 1e20),
        (1.0, -1e-20, 1e40),
        (1.0, 1.0, 1.6449340668482264),
        (1.0, 0.1, 101.43329915079275),
        (1.0, 5.5, 0.19934238698962767),
        (1.0, 300.0, 0.0033388950617146778),
        (1.0, -0.5, 8.934802200544679),
        (1.0, -3.3, 14.817739525515929),
        (1.0, -1000.125, 67.39287502760575),
        (2.0, 1.0, -2.4041138063191885),
        (2.0, 0.01, -2000002.340398677),
        (2.0, 33.0, -0.0009465216039640907),
        (2.0, -2.6, -22.377796580409246),
        (3.0, 0.7, 25.879149678427737),
        (3.0, -1.5, 194.59427621918763),
        (5.0, 2.0, 2.081167438133897),
        (8.0, 12.0, -1.6110901962769792e-05),
        (8.0, -0.25, 10569108819.622774),
        (20.0, 3.0, -233141556.11225682),
    ];
}
