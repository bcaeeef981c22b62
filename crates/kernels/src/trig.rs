//! sin and cos of `f32`, by way of `f64`, without branches for arguments below [`LIMIT`]. At most 1 ulp
//! from the true value, everywhere.
//!
//! **Source** Cody and Waite's reduction by ½π in two parts; the series of sin and cos.

use crate::math::{horner, nearest};
use crate::tile_fn::TileArgs;
use crate::vector::Body;

/// From here on the reduction would lose digits, and the standard library is asked.
const LIMIT: f32 = 1_048_576.0;

/// `sin(x + quarter·½π)` for `abs x < LIMIT`; any number for others, NaN for NaN.
#[inline(always)]
fn below_limit(x: f32, quarter: i64) -> f32 {
    // The first 33 bits of ½π: its product with a number of turns is exact. Then the rest.
    const HIGH: f64 = 1.570_796_326_734_125_6;
    const LOW: f64 = 6.077_100_506_506_192e-11;
    let x = f64::from(x);
    let (n, turns) = nearest(x * std::f64::consts::FRAC_2_PI);
    let turns = turns.wrapping_add(quarter);
    let r = x - n * HIGH - n * LOW;
    let z = r * r;
    let s = horner(
        z,
        [-1.0 / 39_916_800.0, 1.0 / 362_880.0, -1.0 / 5_040.0, 1.0 / 120.0, -1.0 / 6.0, 1.0],
    );
    let sin = r * s;
    let c = horner(
        z,
        [
            1.0 / 479_001_600.0,
            -1.0 / 3_628_800.0,
            1.0 / 40_320.0,
            -1.0 / 720.0,
            1.0 / 24.0,
            -0.5,
            1.0,
        ],
    );
    let y = if turns & 1 == 0 { sin } else { c };
    // Two quarters change the sign.
    f64::from_bits(y.to_bits() ^ ((turns as u64) << 62 & 1 << 63)) as f32
}

#[inline(always)]
fn turned(x: f32, quarter: i64) -> f32 {
    match (x.abs() < LIMIT, quarter) {
        (true, _) => below_limit(x, quarter),
        (false, 0) => f64::sin(f64::from(x)) as f32,
        (false, _) => f64::cos(f64::from(x)) as f32,
    }
}

/// `sin x`.
pub(crate) fn sin(x: f32) -> f32 {
    turned(x, 0)
}

/// `cos x`.
pub(crate) fn cos(x: f32) -> f32 {
    turned(x, 1)
}

/// The loop of sin (`QUARTER` 0) or cos (1): all elements without branches, then those beyond the
/// limit once more.
pub(crate) struct Turned<const QUARTER: i64>;

impl<const QUARTER: i64> Body for Turned<QUARTER> {
    type Args = TileArgs;
    #[inline(always)]
    unsafe fn run(t: TileArgs) {
        let (x, y) = (t.args[0].cast::<f32>(), t.dst.cast::<f32>());
        let mut beyond = 0u32;
        for at in 0..t.n {
            // SAFETY: the contract of `TileArgs`.
            unsafe {
                let x = *x.add(at);
                beyond |= u32::from(x.abs() >= LIMIT);
                y.add(at).write(below_limit(x, QUARTER));
            }
        }
        for at in 0..if beyond == 0 { 0 } else { t.n } {
            // SAFETY: the contract of `TileArgs`; the result is apart from the operand.
            unsafe { y.add(at).write(turned(*x.add(at), QUARTER)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pleach_tensor::compare::ulp_f32;

    #[test]
    fn sine_and_cosine_are_within_two_ulp() {
        let dense = (0..u32::MAX / 1021).map(|i| f32::from_bits(i * 1021));
        let turns = (0..1_000_000).map(|i| (f64::from(i) * std::f64::consts::FRAC_PI_2) as f32);
        let mut worst = [0; 2];
        for x in dense.chain(turns).chain([0.0, -0.0, LIMIT, -LIMIT, f32::NAN, f32::INFINITY]) {
            let (got, want) = ([sin(x), cos(x)], [libm::sin(x.into()), libm::cos(x.into())]);
            for i in 0..2 {
                let want = want[i] as f32;
                let ulp = ulp_f32(got[i], want);
                assert!(ulp <= 2, "{i} at {x:e}: {:e}, not {want:e}", got[i]);
                worst[i] = worst[i].max(ulp);
            }
            assert!(x != 0.0 || got[0].to_bits() == x.to_bits());
        }
        println!("sin, cos: {worst:?} ulp");
    }
}
