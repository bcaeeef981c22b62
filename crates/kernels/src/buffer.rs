//! Aligned memory.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::any::TypeId;
use std::ptr::NonNull;

use pleach_tensor::{DType, Element, for_dtype};

/// Alignment of buffers: a cache line, and the widest vector.
pub(crate) const ALIGN: usize = 64;

/// A large page. Memory of several of them is asked for in such pages: arrays that are walked in
/// strides take a few places of the table of pages then, and not one a row.
const PAGE: usize = 2 << 20;

/// Is `T` one of the element types of this project? They have no padding, and all but `bool`
/// admit every bit pattern. (`Element` is an open trait: others could claim anything.)
pub(crate) fn is_plain<T: Element>() -> bool {
    for_dtype!(T::DTYPE, U => TypeId::of::<T>() == TypeId::of::<U>())
}

/// Owned bytes, aligned to 64 and zero at first.
///
/// ```
/// let mut buf = pleach_kernels::AlignedBuf::new(8);
/// buf.as_mut_slice::<f32>().unwrap()[1] = 2.5;
/// assert_eq!(buf.as_slice::<f32>(), Some(&[0.0f32, 2.5][..]));
/// ```
#[derive(Debug)]
pub struct AlignedBuf {
    ptr: NonNull<u8>,
    len: usize,
}

// SAFETY: the buffer owns its bytes, and hands them out by the rules of `&` and `&mut`.
unsafe impl Send for AlignedBuf {}
// SAFETY: as above.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// `bytes` zero bytes.
    ///
    /// # Panics
    /// If `bytes` is beyond what a machine can address.
    pub fn new(bytes: usize) -> AlignedBuf {
        if bytes == 0 {
            return AlignedBuf { ptr: NonNull::<Line>::dangling().cast(), len: 0 };
        }
        let layout = layout(bytes);
        // SAFETY: the layout has a size above 0.
        let ptr = NonNull::new(unsafe { alloc(layout) });
        let ptr = ptr.unwrap_or_else(|| handle_alloc_error(layout));
        if layout.align() == PAGE {
            // SAFETY: whole pages of the memory that was just allocated.
            unsafe { ask_for_large_pages(ptr, bytes / PAGE * PAGE) };
        }
        // SAFETY: `bytes` bytes were allocated.
        unsafe { ptr.write_bytes(0, bytes) };
        AlignedBuf { ptr, len: bytes }
    }

    /// The bytes of `data`, copied.
    pub fn from_slice<T: Element>(data: &[T]) -> AlignedBuf {
        assert!(is_plain::<T>(), "an element type of its own");
        let buf = AlignedBuf::new(size_of_val(data));
        // SAFETY: both hold `len` bytes, the new buffer is apart, and plain elements have no
        // padding, so all bytes are initialized.
        unsafe { buf.ptr.as_ptr().copy_from_nonoverlapping(data.as_ptr().cast(), buf.len) };
        buf
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Has it no bytes?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `len` initialized bytes, shared for as long as `self` is.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len` initialized bytes, exclusive for as long as `self` is.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }

    /// The bytes as elements; `None` if they are not a whole number of elements, or not all `bool`s
    /// when read as such.
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        elements(self.bytes())
    }

    /// The bytes as elements, to be written. See [`AlignedBuf::as_slice`].
    pub fn as_mut_slice<T: Element>(&mut self) -> Option<&mut [T]> {
        let (ptr, len) = (self.ptr.as_ptr().cast::<T>(), self.as_slice::<T>()?.len());
        // SAFETY: `as_slice` checked length, alignment and validity; `self` is exclusive.
        Some(unsafe { std::slice::from_raw_parts_mut(ptr, len) })
    }
}

/// `bytes` as elements; `None` if they are not aligned, not a whole number of elements, or not all
/// `bool`s when read as such.
pub(crate) fn elements<T: Element>(bytes: &[u8]) -> Option<&[T]> {
    let ptr = bytes.as_ptr().cast::<T>();
    let fits = bytes.len().is_multiple_of(size_of::<T>()) && ptr.is_aligned();
    let valid = T::DTYPE != DType::Bool || bytes.iter().all(|&b| b < 2);
    // SAFETY: aligned and of this length; plain elements other than `bool` admit every bit pattern,
    // and for `bool` each byte is 0 or 1.
    (is_plain::<T>() && fits && valid)
        .then(|| unsafe { std::slice::from_raw_parts(ptr, bytes.len() / size_of::<T>()) })
}

/// The bytes of plain elements.
pub(crate) fn bytes_of<T: Element>(data: &[T]) -> &[u8] {
    assert!(is_plain::<T>(), "an element type of its own");
    // SAFETY: plain elements have no padding, so all their bytes are initialized.
    unsafe { std::slice::from_raw_parts(data.as_ptr().cast(), size_of_val(data)) }
}

#[repr(align(64))]
struct Line;

fn layout(bytes: usize) -> Layout {
    let align = if bytes >= 2 * PAGE { PAGE } else { ALIGN };
    Layout::from_size_align(bytes, align).expect("buffer beyond the address space")
}

/// Asks the system to put this memory in large pages, if it can: a hint, which may be in vain.
///
/// # Safety
/// `len` bytes at `ptr`, both multiples of [`PAGE`], belong to the caller.
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
unsafe fn ask_for_large_pages(ptr: NonNull<u8>, len: usize) {
    const MADVISE: usize = 28;
    const HUGEPAGE: usize = 14;
    // SAFETY: the advice changes no byte; a system call keeps all registers but three.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") MADVISE => _,
            in("rdi") ptr.as_ptr(),
            in("rsi") len,
            in("rdx") HUGEPAGE,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
}

/// Other systems are not asked.
///
/// # Safety
/// None is needed here.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64", not(miri))))]
unsafe fn ask_for_large_pages(_: NonNull<u8>, _: usize) {}

impl Clone for AlignedBuf {
    fn clone(&self) -> AlignedBuf {
        AlignedBuf::from_slice(self.bytes())
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: allocated in `new` with this layout.
            unsafe { dealloc(self.ptr.as_ptr(), layout(self.len)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_zeroed_and_typed() {
        for bytes in [0, 1, 8, 1000, 2 * PAGE - 1, 2 * PAGE, 3 * PAGE + 5] {
            let buf = AlignedBuf::new(bytes);
            assert!(buf.bytes().as_ptr().addr().is_multiple_of(ALIGN));
            assert!(buf.bytes().iter().all(|&b| b == 0) && buf.len() == bytes);
        }
        let mut buf = AlignedBuf::from_slice(&[1i32, -2]);
        assert_eq!(buf.as_slice::<i32>(), Some(&[1, -2][..]));
        assert_eq!(buf.as_slice::<bool>(), None);
        assert_eq!(AlignedBuf::new(7).as_slice::<i32>(), None);
        let copy = buf.clone();
        buf.as_mut_slice::<i32>().unwrap()[0] = 5;
        assert_eq!(copy.as_slice::<i32>(), Some(&[1, -2][..]));
        assert_eq!(AlignedBuf::from_slice(&[true]).as_slice::<bool>(), Some(&[true][..]));
    }
}
