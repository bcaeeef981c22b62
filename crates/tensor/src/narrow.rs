//! The floats of 16 bits: rounding to them and back.
//!
//! Written without branches and intrinsics: a loop over it becomes vector code of every instruction
//! set, with the same bits.

use half::{bf16, f16};

use crate::Element;

/// A float of 16 bits: [`bf16`] or [`f16`]. Every one of them is an `f32`.
pub trait Narrow: Element {
    /// The nearest one, the even one of two.
    fn narrow(x: f32) -> Self;
    /// The same number as `f32`.
    fn widen(self) -> f32;
    /// The nearest one of an `f64`: rounded once.
    #[inline(always)]
    fn narrow_f64(x: f64) -> Self {
        Self::narrow(to_odd(x))
    }
}

impl Narrow for bf16 {
    #[inline(always)]
    fn narrow(x: f32) -> bf16 {
        let bits = x.to_bits();
        let number = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
        bf16::from_bits(if x.is_nan() { bits >> 16 | 0x40 } else { number } as u16)
    }

    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

impl Narrow for f16 {
    #[inline(always)]
    fn narrow(x: f32) -> f16 {
        let (sign, size) = (x.to_bits() >> 16 & 0x8000, x.to_bits() & 0x7fff_ffff);
        // The exponent counts from 15 instead of 127; a carry into it is right, up to infinity.
        let shifted = size.wrapping_sub(112 << 23);
        let normal = shifted.wrapping_add(0xfff + (size >> 13 & 1)) >> 13;
        // Numbers below 2⁻¹⁴ are multiples of 2⁻²⁴, the last digit of what is added.
        let small = (f32::from_bits(size) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
        let finite = if size < 113 << 23 { small } else { normal };
        let number = if size >= 143 << 23 { 0x7c00 } else { finite };
        f16::from_bits((sign | if x.is_nan() { 0x7e00 } else { number }) as u16)
    }

    #[inline(always)]
    fn widen(self) -> f32 {
        let bits = u32::from(self.to_bits());
        let (sign, size) = ((bits & 0x8000) << 16, bits & 0x7fff);
        // Multiples of 2⁻²⁴, the last digit of what is taken away: no subnormal number of f32 arises,
        // for which processors are slow.
        let small = (f32::from_bits(0.5f32.to_bits() + size) - 0.5).to_bits();
        // The exponent counts from 127 instead of 15; that of infinity and NaN is all ones.
        let normal = (size << 13) + (112 << 23);
        let finite = if size < 1 << 10 { small } else { normal };
        f32::from_bits(sign | if size >= 0x7c00 { size << 13 | 0xff << 23 } else { finite })
    }
}

/// Of the two `f32` around `x` the one with an odd last digit, if `x` is none itself: what is rounded
/// from it to half of the digits is as if rounded from `x`.
///
/// **Source** Boldo and Melquiond, IEEE Trans. Computers 57 (2008).
#[inline(always)]
fn to_odd(x: f64) -> f32 {
    let near = x as f32;
    let (bits, back) = (near.to_bits(), f64::from(near));
    let other = if back.abs() > x.abs() { bits.wrapping_sub(1) } else { bits.wrapping_add(1) };
    let exact = back == x || x.is_nan();
    if exact || bits & 1 == 1 { near } else { f32::from_bits(other) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    /// Every number, every tie of two neighbours, and what is next to a tie.
    fn is_nearest<T: Narrow>(from_bits: fn(u16) -> T) {
        for bits in 0..=u16::MAX {
            let x = from_bits(bits);
            let wide = x.widen();
            assert!(T::narrow(wide).to_bits64() == u64::from(bits) || wide.is_nan());
            assert_eq!(wide.is_nan(), T::narrow(wide).widen().is_nan());
            let next = from_bits(bits.wrapping_add(1)).widen();
            if !wide.is_finite() || !next.is_finite() || (wide < 0.0) != (next < 0.0) {
                continue;
            }
            let (low, high) = (f64::from(wide), f64::from(next));
            let tie = low / 2.0 + high / 2.0;
            let even = if bits & 1 == 0 { wide } else { next };
            let beside = (tie.abs() * 1e-13).max(f64::MIN_POSITIVE);
            let toward = |v: f64| if (v < tie) == (low < high) { wide } else { next };
            assert_eq!(T::narrow_f64(tie).widen(), even, "{bits:x}");
            for v in [tie - beside, tie + beside] {
                assert_eq!(T::narrow_f64(v).widen(), toward(v), "{bits:x}");
            }
            let tie = tie as f32;
            assert_eq!(T::narrow(tie).widen(), even, "{bits:x}");
            for v in [tie.next_down(), tie.next_up()] {
                assert_eq!(T::narrow(v).widen(), toward(v.into()), "{bits:x}");
            }
        }
        for x in [f32::MAX, f32::INFINITY] {
            assert_eq!(T::narrow(x).widen(), f32::INFINITY);
            assert_eq!(T::narrow_f64(-f64::from(x) * 2.0).widen(), f32::NEG_INFINITY);
        }
        assert!(T::narrow_f64(f64::NAN).widen().is_nan());
        assert_eq!(T::narrow_f64(-1e-300).to_bits64(), T::narrow(-0.0).to_bits64());
    }

    #[test]
    fn every_number_of_16_bits_is_the_nearest_of_what_is_around_it() {
        is_nearest::<bf16>(bf16::from_bits);
        is_nearest::<f16>(f16::from_bits);
        assert_eq!(f16::narrow(65519.0).widen(), 65504.0);
        assert_eq!(f16::narrow(65520.0).widen(), f32::INFINITY);
    }

    #[test]
    fn conversions_are_those_of_the_library() {
        let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        for bits in 0..=u16::MAX {
            let (b, h) = (bf16::from_bits(bits), f16::from_bits(bits));
            assert!(same(b.widen(), b.to_f32()) && same(h.widen(), h.to_f32()), "{bits:x}");
        }
        for i in 0..100_000 {
            let x = f32::from_bits(Key(1).fold(i).0 as u32);
            assert!(same(bf16::narrow(x).widen(), bf16::from_f32(x).to_f32()), "{x:e}");
            assert!(same(f16::narrow(x).widen(), f16::from_f32(x).to_f32()), "{x:e}");
        }
    }
}
