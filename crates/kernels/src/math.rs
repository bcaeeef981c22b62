//! exp, exp(x) - 1, ln, ln(1 + x), tanh and erf of `f32`: polynomials without branches, so that loops over them
//! become vector code. At most 2 ulp from the true value, everywhere.
//!
//! They use `+ − × ÷`, the fused multiply-add of a [`Machine`], comparisons and bit patterns only: every
//! instruction set gives the same bits.
//!
//! **Source** Moshier, Cephes (`expf`, `logf`, `tanhf`); erf after N. Juffa's minimax polynomials.

use std::ops::{Add, Mul};

use crate::vector::Machine;

/// Evaluates a polynomial, highest coefficient first.
#[inline(always)]
pub(crate) fn horner<T, const N: usize>(x: T, c: [T; N]) -> T
where
    T: Copy + Mul<Output = T> + Add<Output = T>,
{
    let mut y = c[0];
    let mut i = 1;
    while i < N {
        y = y * x + c[i];
        i += 1;
    }
    y
}

/// The same with fused multiply-adds.
#[inline(always)]
fn fused<M: Machine, const N: usize>(x: f32, c: [f32; N]) -> f32 {
    let mut y = c[0];
    let mut i = 1;
    while i < N {
        y = M::fma(y, x, c[i]);
        i += 1;
    }
    y
}

/// `if c { a } else { b }`, both computed.
#[inline(always)]
pub(crate) fn select<T>(c: bool, a: T, b: T) -> T {
    if c { a } else { b }
}

/// The integer next to a number below 2^51 in size, as a number and as an integer.
#[inline(always)]
pub(crate) fn nearest(x: f64) -> (f64, i64) {
    // Adding 1.5·2⁵² rounds to an integer and leaves it in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let shifted = x + ROUND;
    (shifted - ROUND, (shifted.to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64))
}

/// 2^n for `-126 ≤ n ≤ 127`.
#[inline(always)]
fn pow2(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `e^x`.
#[inline(always)]
pub(crate) fn exp<M: Machine>(x: f32) -> f32 {
    // The largest number whose result is finite. NaN is not below it either, and stays.
    select(x <= 88.722_83, exp_finite::<M>(x), x + f32::INFINITY)
}

/// `e^x` for `x ≤ 88.72283`.
#[inline(always)]
fn exp_finite<M: Machine>(x: f32) -> f32 {
    // Zeros are not computed: an underflow takes some machines a hundred cycles, and masks of
    // attention are full of them.
    let none = x < -104.5;
    let x = select(none, 0.0, x);
    // Numbers that may be subnormal are 2^64 times as large until the last product, which rounds.
    let low = x < -87.0;
    let (shift, scale) = (select(low, 64 << 23, 0), select(low, 5.421_011e-20, 1.0));
    let y = f32::from_bits(exp_bits::<M>(x).wrapping_add(shift)) * scale;
    select(none, 0.0, y)
}

/// The bits of `e^x`, if it is a normal number; of one of them times `2^64`, if 64 is added to the
/// exponent.
#[inline(always)]
fn exp_bits<M: Machine>(x: f32) -> u32 {
    let (shifted, r) = reduce::<M>(x);
    let y = M::fma(M::fma(exp_tail::<M>(r), r, 1.0), r, 1.0);
    // The low bits of `shifted` are n.
    y.to_bits().wrapping_add(shifted.to_bits() << 23)
}

/// `x = n·ln 2 + r` with a small r; n is in the low bits of the first result.
#[inline(always)]
fn reduce<M: Machine>(x: f32) -> (f32, f32) {
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low bits.
    let shifted = M::fma(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    (shifted, M::fma(n, 2.121_944_4e-4, M::fma(n, -0.693_359_4, x)))
}

const ROUND: f32 = 12_582_912.0;

/// `(e^r - 1 - r) / r²` for a reduced r.
#[inline(always)]
fn exp_tail<M: Machine>(r: f32) -> f32 {
    fused::<M, 6>(
        r,
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5],
    )
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<M: Machine>(x: f32) -> f32 {
    // exp of a number that is not positive: no overflow, no lost digits on either side. Left of 0
    // this is e/(1 + e), to which the rounding of the sum and of the quotient would add up.
    let e = exp_finite::<M>(-x.abs());
    let y = M::fma(-(e / (1.0 + e)), e, e);
    select(x.is_nan(), x, select(x < 0.0, y, 1.0 - y))
}

/// `e^x - 1`.
#[inline(always)]
pub(crate) fn expm1<M: Machine>(x: f32) -> f32 {
    // e^r·2^n with 1 taken away before the last factor: 2^a·(2^b·(e^r - 1) + 2^b - 2^-a).
    let x = select(x > 89.0, 89.0, x);
    let x = select(x < -104.5, -104.5, x);
    let (shifted, r) = reduce::<M>(x);
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let p = M::fma(exp_tail::<M>(r), r * r, r);
    let half = n >> 1;
    let rest = n.wrapping_sub(half);
    let y = M::fma(p, pow2(half), pow2(half) - pow2(0i32.wrapping_sub(rest))) * pow2(rest);
    // The sign of -0.
    y.abs().copysign(x)
}

/// `ln(m·2^e)` for `m = 1 + f` between √½ and √2.
#[inline(always)]
fn ln_parts<M: Machine>(f: f32, e: f32) -> f32 {
    let z = f * f;
    let p = fused::<M, 9>(
        f,
        [
            7.037_683_6e-2,
            -0.115_146_1,
            0.116_769_98,
            -0.124_201_41,
            0.142_493_23,
            -0.166_680_58,
            0.200_007_15,
            -0.249_999_94,
            0.333_333_3,
        ],
    );
    let y = M::fma(-0.5, z, M::fma(e, -2.121_944_4e-4, p * f * z));
    M::fma(e, 0.693_359_4, f + y)
}

/// Bits of x as (m, e): x = m·2^e with m between √½ and √2; x normal and positive.
#[inline(always)]
fn split(x: f32) -> (f32, i32) {
    const SQRT_HALF: i32 = 0x3f35_04f3;
    let bits = (x.to_bits() as i32).wrapping_sub(SQRT_HALF);
    let e = bits >> 23;
    let m = (bits & 0x007f_ffff).wrapping_add(SQRT_HALF);
    (f32::from_bits(m as u32), e)
}

/// The values of ln at the ends of its domain: 0, ∞, NaN and negative numbers.
#[inline(always)]
fn ln_ends(x: f32, y: f32) -> f32 {
    let y = select(x == 0.0, f32::NEG_INFINITY, y);
    let y = select(x == f32::INFINITY, x, y);
    select(x < 0.0, f32::NAN, select(x.is_nan(), x, y))
}

/// Natural logarithm.
#[inline(always)]
pub(crate) fn ln<M: Machine>(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = select(tiny, x * 8_388_608.0, x);
    let (m, e) = split(scaled);
    let e = e as f32 - select(tiny, 23.0, 0.0);
    ln_ends(x, ln_parts::<M>(m - 1.0, e))
}

/// `ln(1 + x)`.
#[inline(always)]
pub(crate) fn ln_1p<M: Machine>(x: f32) -> f32 {
    // u = 1 + x is rounded; `lost` is what the rounding took away.
    let u = 1.0 + x;
    let lost = select(x > 1.0, 1.0 - (u - x), x - (u - 1.0));
    let (m, e) = split(u);
    let scale = pow2(0i32.wrapping_sub(e).max(-126));
    let y = ln_parts::<M>(M::fma(lost, scale, m - 1.0), e as f32);
    // Below 2^-25 the result is x, of its own sign.
    let y = select(x.abs() < 2.980_232_2e-8, x, y);
    ln_ends(u, y)
}

/// Hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh<M: Machine>(x: f32) -> f32 {
    let a = x.abs();
    let z = x * x;
    let p = fused::<M, 5>(
        z,
        [-5.704_988_7e-3, 2.063_909e-2, -5.373_971_6e-2, 0.133_314_42, -0.333_332_8],
    );
    let small = M::fma(p * z, x, x);
    // From here on the result is 1.
    let b = select(a > 9.1, 9.1, a);
    let large = 1.0 - 2.0 / (f32::from_bits(exp_bits::<M>(b + b)) + 1.0);
    // NaN is not above the bound, and stays; the sign is that of x, also of -0.
    select(a >= 0.625, large, small).copysign(x)
}

/// Error function.
#[inline(always)]
pub(crate) fn erf<M: Machine>(x: f32) -> f32 {
    let a = x.abs();
    let t = select(a > 4.0, 4.0, a);
    let s = t * t;
    let p = fused::<M, 6>(
        s,
        [
            -5.967_617e-4,
            4.991_194_2e-3,
            -2.676_813_5e-2,
            0.112_819_925,
            -0.376_125_34,
            0.128_379_17,
        ],
    );
    let small = M::fma(p, x, x);
    let q = fused::<M, 7>(
        t,
        [
            -1.728_534_7e-5,
            3.831_971_3e-4,
            -3.883_964_4e-3,
            2.425_462_2e-2,
            -0.106_777_88,
            -0.634_846_87,
            -0.128_717_51,
        ],
    );
    let large = (1.0 - exp::<M>(M::fma(q, t, -t))).copysign(x);
    select(a > 0.927_734_4, large, small)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::Fused;
    use pleach_tensor::compare::ulp_f32;

    /// A dense sample of all floats: every exponent and sign, subnormals, ends, NaN.
    fn sample() -> impl Iterator<Item = f32> {
        let special = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MIN_POSITIVE]
            .into_iter()
            .chain([88.72283, 88.72284, -87.33655, -103.97208, -103.97209, -1.0, 1.0, f32::MAX]);
        let dense = (0..u32::MAX / 613).map(|i| f32::from_bits(i * 613));
        let middle = (0..2_000_000).map(|i| (i as f32 - 1e6) * 1.1e-5);
        let ends = (0..2000).flat_map(|i| {
            [f32::from_bits(88.7f32.to_bits() + i * 8), f32::from_bits((-103.9f32).to_bits() + i)]
        });
        special.chain(dense).chain(middle).chain(ends)
    }

    fn check(name: &str, f: fn(f32) -> f32, exact: fn(f64) -> f64) {
        let (mut worst, mut at) = (0, 0.0);
        for x in sample() {
            let (got, want) = (f(x), exact(f64::from(x)) as f32);
            let ulp = ulp_f32(got, want);
            if ulp > worst {
                (worst, at) = (ulp, x);
            }
            if want == 0.0 && x == 0.0 {
                assert_eq!(got.to_bits(), want.to_bits(), "{name}({x:e}) = {got:e}");
            }
        }
        println!("{name}: {worst} ulp at {at:e}");
        assert!(worst <= 2, "{name}({at:e}) = {:e}: {worst} ulp", f(at));
    }

    #[test]
    fn exp_is_within_two_ulp() {
        check("exp", exp::<Fused>, f64::exp);
    }
    #[test]
    fn expm1_is_within_two_ulp() {
        check("expm1", expm1::<Fused>, libm::expm1);
    }
    #[test]
    fn ln_is_within_two_ulp() {
        check("ln", ln::<Fused>, f64::ln);
    }
    #[test]
    fn ln_1p_is_within_two_ulp() {
        check("ln_1p", ln_1p::<Fused>, f64::ln_1p);
    }
    #[test]
    fn tanh_is_within_two_ulp() {
        check("tanh", tanh::<Fused>, f64::tanh);
    }
    #[test]
    fn erf_is_within_two_ulp() {
        check("erf", erf::<Fused>, libm::erf);
    }
}
