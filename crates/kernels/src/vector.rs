//! One body, compiled for several instruction sets, chosen at run time.

use std::sync::OnceLock;

/// A computation that is compiled for each instruction set. `run` must be `#[inline(always)]`, so
/// that its loops are compiled with the features of the function they land in.
///
/// Elementwise bodies never contract `a·b + c`: their bits are the same on every instruction set.
pub(crate) trait Body {
    /// The arguments.
    type Args;
    /// Executes it.
    ///
    /// # Safety
    /// As the implementation says.
    unsafe fn run(args: Self::Args);
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
    // SAFETY: the caller keeps the contract of the body.
    unsafe { B::run(args) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<B: Body>(args: B::Args) {
    // SAFETY: the caller keeps the contract of the body.
    unsafe { B::run(args) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn avx512<B: Body>(args: B::Args) {
    // SAFETY: the caller keeps the contract of the body.
    unsafe { B::run(args) }
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
    fn every_machine_has_one_and_uses_one_it_has() {
        assert_eq!(Isa::available().next(), Some(Isa::Portable));
        assert!(Isa::available().any(|isa| isa == Isa::used()));
    }
}
