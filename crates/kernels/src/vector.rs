//! One body, compiled for several instruction sets, chosen at run time.

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

pub(crate) unsafe fn portable<B: Body>(args: B::Args) {
    // SAFETY: the caller keeps the contract of the body.
    unsafe { B::run(args) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<B: Body>(args: B::Args) {
    // SAFETY: the caller keeps the contract of the body.
    unsafe { B::run(args) }
}

/// The compilation of a body for AVX2 and FMA, if this machine has them. Looked up once and cached by
/// the standard library.
pub(crate) fn fused<B: Body>() -> Option<Entry<B::Args>> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        return Some(avx2::<B>);
    }
    None
}

/// The compilation of a body for this machine.
pub(crate) fn pick<B: Body>() -> Entry<B::Args> {
    fused::<B>().unwrap_or(portable::<B>)
}
