//! One body, compiled for several instruction sets, chosen at run time.

use std::sync::OnceLock;

/// A computation that is compiled for each instruction set. `run` must be `#[inline(always)]`, so
/// that its loops are compiled with the features of the function they land in.
///
/// Elementwise bodies contract `a·b + c` nowhere but where they say [`Machine::fma`]: their bits are the
/// same on every instruction set.
pub(crate) trait Body {
    /// The arguments.
    type Args;
    /// Executes it.
    ///
    /// # Safety
    /// As the implementation says.
    unsafe fn run(args: Self::Args);
    /// The same, where a fused multiply-add is one instruction.
    ///
    /// # Safety
    /// As [`run`](Body::run).
    #[inline(always)]
    unsafe fn run_fused(args: Self::Args) {
        // SAFETY: the caller keeps the contract.
        unsafe { Self::run(args) }
    }
}

/// How `a·b + c` is computed with one rounding: the bits are the same.
pub(crate) trait Machine {
    fn fma(a: f32, b: f32, c: f32) -> f32;
}

/// By the instruction.
#[derive(Debug)]
pub(crate) struct Fused;

impl Machine for Fused {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// Without: the sum in `f64`, rounded to odd, which the second rounding does not see.
///
/// **Source** Boldo and Melquiond, IEEE Transactions on Computers 57 (2008), "Emulation of FMA and
/// correctly rounded sums".
#[derive(Debug)]
pub(crate) struct Plain;

impl Machine for Plain {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        // The product of two f32 is an f64.
        let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
        let sum = product + c;
        let part = sum - product;
        let rest = (product - (sum - part)) + (c - part);
        // What the sum lost goes into the last bit of an even one, away from 0 or towards it.
        let bits = sum.to_bits();
        let away = (rest > 0.0) == (sum > 0.0);
        let odd = if away { bits.wrapping_add(1) } else { bits.wrapping_sub(1) };
        let inexact = (rest > 0.0) | (rest < 0.0);
        let bits = if inexact & (bits & 1 == 0) { odd } else { bits };
        f64::from_bits(bits) as f32
    }
}

/// A compiled [`Body`].
pub(crate) type Entry<A> = unsafe fn(A);

/// An instruction set that kernels are compiled for, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What every machine of the target has.
    Portable,
    /// AVX2 and fused multiply-add: 8 numbers in f32 an instruction.
    Avx2,
    /// AVX-512 (F, BW, DQ, VL): 16 numbers in f32 an instruction.
    Avx512,
}

impl Isa {
    /// All that this machine has, weakest first.
    pub fn available() -> impl Iterator<Item = Isa> {
        [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(|isa| isa.is_here())
    }

    /// The one that kernels use: what the environment variable `PLEACH_ISA` names (`portable`,
    /// `avx2` or `avx512`), or, if it names none that this machine has, the strongest.
    pub fn used() -> Isa {
        static USED: OnceLock<Isa> = OnceLock::new();
        *USED.get_or_init(|| {
            let asked = std::env::var("PLEACH_ISA").unwrap_or_default();
            let named = Isa::available().find(|isa| isa.name() == asked);
            named.or_else(|| Isa::available().last()).unwrap_or(Isa::Portable)
        })
    }

    /// As `PLEACH_ISA` names it.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    fn is_here(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return match self {
            Isa::Portable => true,
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Isa::Avx512 => {
                Isa::Avx2.is_here()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
        };
        #[cfg(not(target_arch = "x86_64"))]
        return self == Isa::Portable;
    }
}

unsafe fn portable<B: Body>(args: B::Args) {
    // Machines of this target have the instruction.
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller keeps the contract of the body.
    return unsafe { B::run_fused(args) };
    #[cfg(not(target_arch = "aarch64"))]
    // SAFETY: the caller keeps the contract of the body.
    unsafe {
        B::run(args);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<B: Body>(args: B::Args) {
    // SAFETY: the caller keeps the contract of the body.
    unsafe { B::run_fused(args) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn avx512<B: Body>(args: B::Args) {
    // SAFETY: the caller keeps the contract of the body.
    unsafe { B::run_fused(args) }
}

/// The compilation of a body for an instruction set, which the machine must have when it is called.
pub(crate) fn compiled<B: Body>(isa: Isa) -> Entry<B::Args> {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => avx512::<B>,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2::<B>,
        _ => portable::<B>,
    }
}

/// The compilation of a body for this machine.
pub(crate) fn pick<B: Body>() -> Entry<B::Args> {
    compiled::<B>(Isa::used())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fused_product_and_sum_is_rounded_once_without_the_instruction() {
        let key = pleach_tensor::Key(5);
        let some = |i: u64| f32::from_bits(key.below(i, 1 << 32) as u32);
        let near = |i: u64| 1.0 + key.below(i, 1 << 12) as f32 * f32::EPSILON;
        let same = |a: f32, b: f32, c: f32| {
            let (got, want) = (Plain::fma(a, b, c), a.mul_add(b, c));
            let both = got.is_nan() && want.is_nan();
            assert!(
                both || got.to_bits() == want.to_bits(),
                "{a:e}·{b:e} + {c:e} = {want:e}, not {got:e}"
            );
        };
        // Just beside the middle between two numbers, on the one side or the other: the sum in f64 is
        // the middle.
        let e = f32::EPSILON;
        for (a, c) in [(1.0 - e, 1.0 + e), (e - 1.0, 1.0), (1.0 - e, -1.0), (e - 1.0, -1.0 - e)] {
            same(a * 2f32.powi(-12), (1.0 + e) * 2f32.powi(-12), c);
        }
        for i in (0..300_000).step_by(3) {
            same(some(i), some(i + 1), some(i + 2));
            // Sums that cancel, halves of a digit, subnormal results.
            let (a, b) = (near(i), near(i + 1));
            for c in [-a * b, a * 2f32.powi(24), a * 2f32.powi(-24), -a * 2f32.powi(48)] {
                same(a, b, c);
            }
            let (a, c) = (a * 2f32.powi(-100), some(i + 2) * 2f32.powi(-126));
            same(a, b * 2f32.powi(-40), c);
        }
    }

    #[test]
    fn every_machine_has_one_and_uses_one_it_has() {
        assert_eq!(Isa::available().next(), Some(Isa::Portable));
        assert!(Isa::available().any(|isa| isa == Isa::used()));
    }
}
