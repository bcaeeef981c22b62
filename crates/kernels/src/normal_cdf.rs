//! `Φ(x)` of `f32`, without branches, by way of `f64`. At most 1 ulp from the true value, also in the
//! tail, where `1 + erf(x/√2)` has no digits left.
//!
//! `Φ(-a) = exp(-a²/2) · R(a)`, and `(a + 3)·R(a)` is a polynomial in `(a - 3) / (a + 3)`, to about
//! 1e-9 of itself for all `a` whose `Φ(-a)` is an `f32`. `Φ(a) = 1 - Φ(-a)`.
//!
//! **Source** the variable is that of Shepherd and Laframboise 1981, "Chebyshev approximation of
//! (1 + 2x)exp(x²)erfc x in 0 ≤ x < ∞"; the coefficients are those of Chebyshev's interpolation.

use crate::math::{horner, select};
use crate::pow::exp2;

/// From here on, `Φ(-a)` is less than half of the smallest `f32`.
const END: f64 = 14.5;

/// The probability that a standard normal number is below `x`.
#[inline(always)]
pub(crate) fn normal_cdf(x: f32) -> f32 {
    let x = f64::from(x);
    // The comparison lets NaN pass.
    let a = select(x.abs() > END, END, x.abs());
    let d = 1.0 / (a + 3.0);
    let series = horner(
        1.0 - 6.0 * d,
        [
            6.929_717_878_784_66e-6,
            6.701_720_407_963_357e-5,
            1.287_190_361_540_375e-4,
            -2.586_277_513_483_059_6e-4,
            -1.034_588_239_900_17e-3,
            1.030_295_559_592_118_7e-3,
            6.970_456_609_179_884e-3,
            -1.046_345_107_819_194_5e-2,
            -4.726_284_973_504_674e-2,
            2.300_177_578_150_130_7e-1,
            -5.093_319_861_304_147e-1,
            7.290_836_897_667_531e-1,
        ],
    );
    // a² has no more digits than an f64.
    let tail = exp2(a * a * (-0.5 * std::f64::consts::LOG2_E)) * series * d;
    select(x > 0.0, 1.0 - tail, tail) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use pleach_tensor::compare::ulp_f32;

    #[test]
    fn it_is_within_two_ulp() {
        let dense = (0..u32::MAX / 1021).map(|i| f32::from_bits(i * 1021));
        let middle = (0..2_000_000).map(|i| (i as f32 - 1e6) * 1.6e-5);
        let ends = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        let mut worst = 0;
        for x in dense.chain(middle).chain(ends) {
            let want = 0.5 * libm::erfc(-f64::from(x) * std::f64::consts::FRAC_1_SQRT_2);
            let (got, want) = (normal_cdf(x), want as f32);
            let ulp = ulp_f32(got, want);
            assert!(ulp <= 2, "{x:e}: {got:e}, not {want:e}");
            worst = worst.max(ulp);
        }
        println!("normal_cdf: {worst} ulp");
    }
}
