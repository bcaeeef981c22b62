//! The counter-based random stream: Philox 4×32-10.
//!
//! A random number is a pure function of a key and an index: there is no state to save, so
//! resuming, sharing, recomputing and the number of threads cannot change a draw.
//!
//! **Source** Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

use serde::{Deserialize, Serialize};

use crate::DType;

const M0: u32 = 0xD251_1F53;
const M1: u32 = 0xCD9E_8D57;
const W0: u32 = 0x9E37_79B9;
const W1: u32 = 0xBB67_AE85;

/// Ten rounds of Philox on a 128-bit counter (little-endian words) under a 64-bit key.
///
/// Bit-compatible with Random123's `philox4x32` with 10 rounds.
#[inline]
pub fn philox4x32_10(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    let [mut k0, mut k1] = key;
    let mut c = counter;
    for round in 0..10 {
        if round > 0 {
            k0 = k0.wrapping_add(W0);
            k1 = k1.wrapping_add(W1);
        }
        let p0 = u64::from(M0) * u64::from(c[0]);
        let p1 = u64::from(M1) * u64::from(c[2]);
        c = [(p1 >> 32) as u32 ^ c[1] ^ k0, p1 as u32, (p0 >> 32) as u32 ^ c[3] ^ k1, p0 as u32];
    }
    c
}

/// A 64-bit key of the random stream. In a graph it is a value of type `i64[]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key(pub u64);

/// Third counter word: draws and derived keys come from disjoint parts of the stream.
const DRAW: u32 = 0;
const FOLD: u32 = 1;

impl Key {
    /// The key as the bits of an `i64`, the form in which graphs carry it.
    #[inline]
    pub fn to_i64(self) -> i64 {
        self.0 as i64
    }

    /// The key from the bits of an `i64`.
    #[inline]
    pub fn from_i64(bits: i64) -> Self {
        Key(bits as u64)
    }

    #[inline]
    fn at(self, index: u64, part: u32) -> [u32; 4] {
        philox4x32_10(
            [self.0 as u32, (self.0 >> 32) as u32],
            [index as u32, (index >> 32) as u32, part, 0],
        )
    }

    /// A key that depends on this key and on `n`: a child for a layer, a step, an iteration.
    #[inline]
    pub fn fold(self, n: u64) -> Key {
        let [lo, hi, ..] = self.at(n, FOLD);
        Key(u64::from(lo) | u64::from(hi) << 32)
    }

    /// A key that depends on this key and on the bytes of `name`.
    pub fn fold_str(self, name: &str) -> Key {
        // FNV-1a: a fixed hash, for the std hasher may change between releases.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        self.fold(hash)
    }

    /// Four random words: block `index` of the stream.
    #[inline]
    pub fn block(self, index: u64) -> [u32; 4] {
        self.at(index, DRAW)
    }

    /// Element `index` of a uniform `f32` tensor, in `[0, 1)`, a multiple of 2⁻²⁴.
    #[inline]
    pub fn uniform_f32(self, index: u64) -> f32 {
        unit_f32(self.block(index / 4)[(index % 4) as usize])
    }

    /// Element `index` of a uniform `f64` tensor, in `[0, 1)`, a multiple of 2⁻⁵³.
    #[inline]
    pub fn uniform_f64(self, index: u64) -> f64 {
        let block = self.block(index / 2);
        let at = 2 * (index % 2) as usize;
        unit_f64(block[at], block[at + 1])
    }

    /// Element `index` of a uniform tensor of this float type, in `[0, 1)`. With 16 bits it is that of
    /// `f32`, cut after as many bits as the type has: 1 cannot come of rounding.
    #[inline]
    pub fn uniform(self, dtype: DType, index: u64) -> f64 {
        match dtype {
            DType::F32 => f64::from(self.uniform_f32(index)),
            DType::F16 | DType::Bf16 => {
                let steps = 2.0 / dtype.epsilon();
                (f64::from(self.uniform_f32(index)) * steps).floor() / steps
            }
            _ => self.uniform_f64(index),
        }
    }

    /// Element `index` of a standard normal tensor (Box and Muller 1958).
    ///
    /// The same number serves narrower tensors, rounded. Its largest magnitude is about 8.6.
    #[inline]
    pub fn normal_f64(self, index: u64) -> f64 {
        let [a, b, c, d] = self.block(index);
        let radius = (-2.0 * (1.0 - unit_f64(a, b)).ln()).sqrt();
        radius * (std::f64::consts::TAU * unit_f64(c, d)).cos()
    }

    /// A uniform integer below `n` (0 when `n` is 0), for shuffling; bias below `n`·2⁻⁶⁴.
    pub fn below(self, index: u64, n: u64) -> u64 {
        let [lo, hi, ..] = self.block(index);
        let bits = u64::from(lo) | u64::from(hi) << 32;
        ((u128::from(bits) * u128::from(n)) >> 64) as u64
    }

    /// A permutation of `0..n` (Fisher and Yates), a pure function of the key.
    pub fn permutation(self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i as u64, i as u64 + 1) as usize);
        }
        order
    }
}

/// `[0, 1)` from 32 random bits: the upper 24 of them.
#[inline]
fn unit_f32(bits: u32) -> f32 {
    (bits >> 8) as f32 * (1.0 / (1 << 24) as f32)
}

/// `[0, 1)` from 64 random bits: the upper 53 of them.
#[inline]
fn unit_f64(lo: u32, hi: u32) -> f64 {
    let bits = u64::from(lo) | u64::from(hi) << 32;
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer vectors that Random123 publishes (`kat_vectors`, philox4x32 10).
    #[test]
    fn published_vectors_are_reproduced() {
        let cases = [
            ([0; 2], [0; 4], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]),
            ([u32::MAX; 2], [u32::MAX; 4], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]),
            (
                [0xa4093822, 0x299f31d0],
                [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
            ),
        ];
        for (key, counter, want) in cases {
            assert_eq!(philox4x32_10(key, counter), want);
        }
    }

    #[test]
    fn uniform_draws_have_the_moments_of_the_uniform_distribution() {
        let n = 100_000;
        for key in [Key(0), Key(42).fold(7)] {
            let f32s: Vec<f64> = (0..n).map(|i| f64::from(key.uniform_f32(i))).collect();
            let f64s: Vec<f64> = (0..n).map(|i| key.uniform_f64(i)).collect();
            for draws in [f32s, f64s] {
                assert!(draws.iter().all(|u| (0.0..1.0).contains(u)));
                let mean = draws.iter().sum::<f64>() / n as f64;
                let var = draws.iter().map(|u| (u - mean).powi(2)).sum::<f64>() / n as f64;
                assert!((mean - 0.5).abs() < 4e-3, "{mean}");
                assert!((var - 1.0 / 12.0).abs() < 2e-3, "{var}");
            }
        }
    }

    #[test]
    fn normal_draws_have_the_moments_of_the_normal_distribution() {
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|i| Key(3).normal_f64(i)).collect();
        let moment = |k: i32| draws.iter().map(|x| x.powi(k)).sum::<f64>() / n as f64;
        assert!(draws.iter().all(|x| x.is_finite()));
        for (k, want, tol) in [(1, 0.0, 0.015), (2, 1.0, 0.02), (3, 0.0, 0.06), (4, 3.0, 0.15)] {
            assert!((moment(k) - want).abs() < tol, "moment {k}: {}", moment(k));
        }
    }

    #[test]
    fn derived_keys_differ_from_each_other_and_from_draws() {
        let mut seen = std::collections::HashSet::new();
        for n in 0..1000 {
            assert!(seen.insert(Key(1).fold(n).0));
            let [lo, hi, ..] = Key(1).block(n);
            assert!(seen.insert(u64::from(lo) | u64::from(hi) << 32));
        }
        assert_ne!(Key(1).fold_str("a"), Key(1).fold_str("b"));
    }

    #[test]
    fn permutation_holds_every_index_once() {
        for n in [0, 1, 2, 17, 1000] {
            let mut order = Key(9).permutation(n);
            if n == 1000 {
                assert_ne!(order, (0..n).collect::<Vec<_>>());
            }
            order.sort_unstable();
            assert_eq!(order, (0..n).collect::<Vec<_>>());
        }
    }
}
