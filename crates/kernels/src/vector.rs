//! One body, compiled for several instruction sets, chosen at run time.

/// A computation that is compiled for each instruction set. `run` must be `#[inline(always)]`, so
/// that its loops are compiled with the features of the function they land in.
///
/// Elementwise bodies never contract `a·b + c`: their bits are the same on every instruction set.
pub(crate) trait Body {
    /// The arguments.
    type Args;
    /// Executes it. `FMA` says that the machine has a fused multiply-add.
    ///
    /// # Safety
    /// As the implementation says.
    unsafe fn run<const FMA: bool>(args: Self::Args);
}

/// A compiled [`Body`].
pub(crate) type Entry<A> = unsafe fn(A);

unsafe fn portable<B: Body>(args: B::Args) {
    // SAFETY: the caller keeps the contract of the body.
    unsafe { B::run::<false>(args) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<B: Body>(args: B::Args) {
    // SAFETY: the caller keeps the contract of the body.
    unsafe { B::run::<true>(args) }
}

/// The compilation of a body for this machine. The instruction set is looked up once and cached by
/// the standard library.
pub(crate) fn pick<B: Body>() -> Entry<B::Args> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        return avx2::<B>;
    }
    portable::<B>
}
