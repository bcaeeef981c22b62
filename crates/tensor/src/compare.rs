//! How far apart two values are: units in the last place and relative error.

use std::fmt;

use crate::{DType, Element, Tensor, for_dtype};

/// What two elements may differ by: `|a - b| ≤ atol + rtol·|b|`. NaN agrees with NaN, an infinity
/// with the same infinity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Relative part.
    pub rtol: f64,
    /// Absolute part.
    pub atol: f64,
}

impl Tolerance {
    /// Equal numbers only (`-0` equals `0`).
    pub const EXACT: Tolerance = Tolerance { rtol: 0.0, atol: 0.0 };

    /// A few units in the last place of this float type: how far a fast engine may be from the
    /// interpreter, which rounds once. What is computed in `f32` and rounded to 16 bits differs by one.
    pub fn of(dtype: DType) -> Tolerance {
        let rtol = match dtype {
            DType::F64 => 1e-14,
            DType::F32 => 1e-6,
            _ => 1.01 * dtype.epsilon(),
        };
        Tolerance { rtol, atol: rtol }
    }

    /// Does `got` agree with `want`?
    pub fn allows(self, got: f64, want: f64) -> bool {
        got == want
            || (got.is_nan() && want.is_nan())
            || (got - want).abs() <= self.atol + self.rtol * want.abs() && want.is_finite()
    }
}

/// The first disagreement of two tensors.
#[derive(Clone, Debug, PartialEq)]
pub enum Mismatch {
    /// The types differ.
    Type {
        /// Type found.
        got: crate::Type,
        /// Type expected.
        want: crate::Type,
    },
    /// An element differs by more than the tolerance.
    Element {
        /// Its index, axis by axis.
        index: Vec<usize>,
        /// Value found.
        got: f64,
        /// Value expected.
        want: f64,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::Type { got, want } => write!(f, "got type {got}, expected {want}"),
            Mismatch::Element { index, got, want } => {
                write!(f, "element {index:?}: got {got:e}, expected {want:e}")
            }
        }
    }
}

/// The index, axis by axis, of the element at row-major position `flat`.
pub fn unravel(flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = flat;
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&n| {
            let i = rest % n.max(1);
            rest /= n.max(1);
            i
        })
        .collect();
    index.reverse();
    index
}

/// The first element of `got` that differs from `want` by more than `tolerance`.
pub fn mismatch(got: &Tensor, want: &Tensor, tolerance: Tolerance) -> Option<Mismatch> {
    if got.ty() != want.ty() {
        return Some(Mismatch::Type { got: got.ty().clone(), want: want.ty().clone() });
    }
    let (g, w) = (got.to_f64s(), want.to_f64s());
    // f64 does not hold every i64: integers are compared by bits.
    let exact = (!got.dtype().is_float()).then(|| (got.to_i64s(), want.to_i64s()));
    (0..g.len())
        .find(|&i| match &exact {
            Some((a, b)) => a[i] != b[i],
            None => !tolerance.allows(g[i], w[i]),
        })
        .map(|i| Mismatch::Element { index: unravel(i, got.shape()), got: g[i], want: w[i] })
}

/// The first element whose bits differ; all NaNs count as one value.
pub fn bit_mismatch(got: &Tensor, want: &Tensor) -> Option<Mismatch> {
    if got.ty() != want.ty() {
        return Some(Mismatch::Type { got: got.ty().clone(), want: want.ty().clone() });
    }
    for_dtype!(got.dtype(), T => {
        let (g, w) = (got.as_slice::<T>().ok()?, want.as_slice::<T>().ok()?);
        let same = |(a, b): (&T, &T)| {
            a.to_bits64() == b.to_bits64() || (a.to_f64().is_nan() && b.to_f64().is_nan())
        };
        let i = g.iter().zip(w).position(|pair| !same(pair))?;
        let index = unravel(i, got.shape());
        Some(Mismatch::Element { index, got: g[i].to_f64(), want: w[i].to_f64() })
    })
}

/// Distance of two floats of one type in units in the last place: how many floats lie between them,
/// plus one. NaN against NaN is 0, against a number `u64::MAX`.
pub fn ulp<T: Element>(a: T, b: T) -> u64 {
    let [nan_a, nan_b] = [a, b].map(|x| x.to_f64().is_nan());
    if nan_a || nan_b {
        return if nan_a && nan_b { 0 } else { u64::MAX };
    }
    let sign = 1i128 << (8 * size_of::<T>() - 1);
    let line = |x: T| {
        let bits = i128::from(x.to_bits64());
        if bits >= sign { sign - bits } else { bits }
    };
    line(a).abs_diff(line(b)) as u64
}

/// [`ulp`] of two `f32`; `u32::MAX` for NaN against a number.
pub fn ulp_f32(a: f32, b: f32) -> u32 {
    u32::try_from(ulp(a, b)).unwrap_or(u32::MAX)
}

/// Largest `|got - want|` over the largest `|want|` (or 1 if that is 0); NaN if only one is NaN.
pub fn relative_error(got: &Tensor, want: &Tensor) -> f64 {
    let (g, w) = (got.to_f64s(), want.to_f64s());
    let scale = w.iter().filter(|x| x.is_finite()).fold(0.0f64, |m, x| m.max(x.abs()));
    let mut worst = 0.0f64;
    for (a, b) in g.iter().zip(&w) {
        if a == b || (a.is_nan() && b.is_nan()) {
            continue;
        }
        let d = (a - b).abs();
        if d.is_nan() {
            return f64::NAN;
        }
        worst = worst.max(d);
    }
    worst / if scale == 0.0 { 1.0 } else { scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulp_counts_floats() {
        assert_eq!(ulp_f32(1.0, 1.0 + f32::EPSILON), 1);
        assert_eq!(ulp_f32(0.0, -0.0), 0);
        assert_eq!(ulp_f32(f32::from_bits(1), -f32::from_bits(1)), 2);
        assert_eq!(ulp_f32(f32::NAN, f32::NAN), 0);
        assert_eq!(ulp_f32(f32::MAX, f32::INFINITY), 1);
        let [a, b] = [0x3f80, 0x3f83].map(crate::bf16::from_bits);
        assert_eq!((ulp(a, b), ulp(f64::MIN, f64::NEG_INFINITY)), (3, 1));
        assert_eq!(ulp(crate::f16::NAN, crate::f16::ONE), u64::MAX);
    }

    #[test]
    fn the_first_bad_element_is_named() {
        let a = Tensor::new([2, 2], vec![1.0f32, 2.0, 3.0, 4.0]).unwrap();
        let b = Tensor::new([2, 2], vec![1.0f32, 2.0, 3.5, 4.0]).unwrap();
        let m = mismatch(&a, &b, Tolerance { rtol: 1e-3, atol: 0.0 }).unwrap();
        assert_eq!(m.to_string(), "element [1, 0]: got 3e0, expected 3.5e0");
        assert_eq!(mismatch(&a, &b, Tolerance { rtol: 0.2, atol: 0.0 }), None);
        assert!(bit_mismatch(&a, &b).is_some());
    }

    #[test]
    fn nan_agrees_with_nan_only() {
        let t = Tolerance { rtol: 1.0, atol: 1.0 };
        assert!(t.allows(f64::NAN, f64::NAN));
        assert!(!t.allows(f64::NAN, 0.0));
        assert!(!t.allows(f64::MAX, f64::INFINITY));
    }
}
