//! `x^y` of `f32`, without branches, by way of `f64`: 2^(y·log₂ x). At most 1 ulp from the true value.
//!
//! **Source** the series of artanh and exp; special values as in IEEE 754-2019, 9.2.1.

use crate::math::{horner, nearest, select};

/// `log₂ x` of a normal positive number, to about 1e-13 of itself.
#[inline(always)]
fn log2(x: f64) -> f64 {
    const SQRT_HALF: i64 = 0x3fe6_a09e_667f_3bcd;
    let bits = (x.to_bits() as i64).wrapping_sub(SQRT_HALF);
    let e = bits >> 52;
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF) as u64);
    // ln m = 2·artanh s.
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = horner(
        z,
        [
            1.0 / 17.0,
            1.0 / 15.0,
            1.0 / 13.0,
            1.0 / 11.0,
            1.0 / 9.0,
            1.0 / 7.0,
            1.0 / 5.0,
            1.0 / 3.0,
        ],
    );
    let ln = 2.0 * (s + s * z * series);
    f64::from(e as i32) + ln * std::f64::consts::LOG2_E
}

/// `2^t` for `-200 ≤ t ≤ 200`, to about 1e-12 of itself.
#[inline(always)]
pub(crate) fn exp2(t: f64) -> f64 {
    let (whole, n) = nearest(t);
    let r = (t - whole) * std::f64::consts::LN_2;
    let series = horner(
        r,
        [
            1.0 / 362_880.0,
            1.0 / 40_320.0,
            1.0 / 5_040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
            1.0,
            1.0,
        ],
    );
    series * f64::from_bits((n.wrapping_add(1023) as u64) << 52)
}

/// `x^y`.
#[inline(always)]
pub(crate) fn pow(x: f32, y: f32) -> f32 {
    let a = f64::from(x.abs());
    let log = select(a == 0.0, f64::NEG_INFINITY, log2(a));
    let log = select(a == f64::INFINITY, a, log);
    let log = select(x.is_nan(), f64::NAN, log);
    // Beyond these the result is 0 or ∞. The comparisons let NaN pass.
    let t = f64::from(y) * log;
    let t = select(t > 200.0, 200.0, t);
    let t = select(t < -200.0, -200.0, t);
    let size = select(a == 1.0 && !y.is_nan(), 1.0, select(t.is_nan(), t, exp2(t)));
    let half = y * 0.5;
    let (whole, odd) = (y.trunc() == y, half.trunc() != half);
    let negative = x.is_sign_negative();
    let size = select(negative && whole && odd, -size, size);
    // A finite negative number has powers with whole exponents only.
    let imaginary = (x < 0.0) & (x > f32::NEG_INFINITY) & !whole;
    let size = select(imaginary, f64::NAN, size);
    select((y == 0.0) | (x == 1.0), 1.0, size) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use pleach_tensor::compare::ulp_f32;

    fn check(x: f32, y: f32) -> u64 {
        let (got, want) = (pow(x, y), libm::pow(f64::from(x), f64::from(y)) as f32);
        let ulp = u64::from(ulp_f32(got, want));
        assert!(ulp <= 2, "{x:e}^{y:e} = {got:e}, not {want:e}: {ulp} ulp");
        let signed = got.is_nan() || got.is_sign_negative() == want.is_sign_negative();
        assert!(signed, "{x:e}^{y:e} = {got:e}, not {want:e}");
        ulp
    }

    const SPECIAL: [f32; 22] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        2.0,
        -2.0,
        3.0,
        -3.0,
        0.5,
        -0.5,
        1.5,
        -1.5,
        16_777_216.0,
        -1e30,
        1e-40,
        -1e-40,
        f32::MAX,
        f32::MIN_POSITIVE,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        0.999_999_94,
    ];

    #[test]
    fn special_values_are_those_of_the_standard() {
        for x in SPECIAL {
            for y in SPECIAL {
                check(x, y);
            }
        }
    }

    #[test]
    fn powers_are_within_two_ulp() {
        let mut worst = 0;
        let exponents =
            [-7.3, -3.0, -2.0, -1.0, -0.5, 0.25, 1.0 / 3.0, 0.5, 0.75, 1.5, 2.0, 2.4, 3.0, 11.0];
        for y in exponents.into_iter().chain(SPECIAL) {
            for i in 0..u32::MAX / 40_009 {
                worst = worst.max(check(f32::from_bits(i * 40_009), y));
            }
        }
        let mut bits = 1u64;
        for _ in 0..2_000_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let [x, y] = [bits >> 32, bits >> 7].map(|b| f32::from_bits(b as u32));
            worst = worst.max(check(x, y));
            // Where results are neither 0 nor ∞.
            let near = f32::from_bits(0x3f00_0000 + (bits >> 40) as u32 % 0x0100_0000);
            worst = worst.max(check(near, (bits >> 20) as u16 as f32 * 2e-3 - 64.0));
        }
        println!("pow: {worst} ulp");
    }
}
