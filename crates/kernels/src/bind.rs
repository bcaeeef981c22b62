//! Memory handed to a run, one piece a buffer of the program.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use pleach_tensor::Element;

use crate::buffer::bytes_of;
use crate::{AlignedBuf, Slice};

/// The memory of one buffer during a run, borrowed.
///
/// Writable memory is borrowed exclusively, so the same buffer cannot be bound twice:
///
/// ```compile_fail
/// # use pleach_kernels::*;
/// # let program = Program::new(vec![], vec![]).unwrap();
/// let mut buf = AlignedBuf::new(8);
/// run(&program, &mut [Bound::write(&mut buf), Bound::write(&mut buf)], &Pool::new(1));
/// ```
#[derive(Debug)]
pub struct Bound<'a> {
    ptr: *mut u8,
    bytes: usize,
    writable: bool,
    life: PhantomData<&'a mut [u8]>,
}

// SAFETY: a bound piece stands for `&mut [u8]` or `&[u8]`, both of which are `Send` and `Sync`.
unsafe impl Send for Bound<'_> {}
// SAFETY: as above; the pointer is only followed by kernels, under the contract of `Mem`.
unsafe impl Sync for Bound<'_> {}

impl<'a> Bound<'a> {
    /// Memory to read and write.
    pub fn write(buf: &'a mut AlignedBuf) -> Bound<'a> {
        Bound::write_bytes(buf.bytes_mut())
    }

    /// Bytes to read and write; they must be aligned for the element types that the program sees in
    /// them, which [`run`](crate::run) checks.
    pub fn write_bytes(bytes: &'a mut [u8]) -> Bound<'a> {
        let (ptr, bytes) = (bytes.as_mut_ptr(), bytes.len());
        Bound { ptr, bytes, writable: true, life: PhantomData }
    }

    /// Elements to read.
    ///
    /// # Panics
    /// If `T` is an element type defined outside of `pleach-tensor`.
    pub fn read<T: Element>(data: &'a [T]) -> Bound<'a> {
        Bound::read_bytes(bytes_of(data))
    }

    /// Bytes to read. See [`Bound::write_bytes`] for alignment.
    pub fn read_bytes(bytes: &'a [u8]) -> Bound<'a> {
        let (ptr, bytes) = (bytes.as_ptr().cast_mut(), bytes.len());
        Bound { ptr, bytes, writable: false, life: PhantomData }
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    pub(crate) fn is_aligned(&self, align: usize) -> bool {
        // A power of two: no division.
        self.bytes == 0 || self.ptr.addr() & (align - 1) == 0
    }
}

/// Where a slice that is not empty begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    buffer: u32,
    byte: usize,
    /// Bytes that it moves in a step of the loop around it.
    moves: isize,
}

impl Start {
    pub(crate) fn of(slice: &Slice) -> Start {
        let size = slice.dtype.size();
        // Only empty slices, which are never looked at, may begin outside of their buffer.
        let moves = slice.moves.map_or(0, |moves| moves.by.wrapping_mul(size as isize));
        Start { buffer: slice.buffer.0, byte: slice.offset.wrapping_mul(size), moves }
    }
}

/// The memory of a run as kernels see it: raw pointers.
///
/// A `Mem` promises that each buffer of the checked program has its piece, long enough, aligned,
/// and borrowed (exclusively if writable) for the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mem<'a> {
    pub(crate) buffers: &'a [Bound<'a>],
    /// The slice that the step of the innermost loop sees: one of its steps. 0 outside of loops.
    pub(crate) at: usize,
    /// Clocks, if the run is timed: that of the instruction that runs, then those of its body.
    pub(crate) clocks: Option<&'a [AtomicU64]>,
}

impl<'a> Mem<'a> {
    /// The clocks from number `i` on.
    pub(crate) fn clocks_from(self, i: usize) -> Option<&'a [AtomicU64]> {
        self.clocks.and_then(|clocks| clocks.get(i..))
    }

    /// Adds the time since `last`, if the run is timed, to the clock of the instruction.
    pub(crate) fn tick(self, last: &mut Option<Instant>) {
        if let (Some([clock, ..]), Some(then)) = (self.clocks, *last) {
            let now = Instant::now();
            let ns = u64::try_from((now - then).as_nanos()).unwrap_or(u64::MAX);
            clock.fetch_add(ns, Ordering::Relaxed);
            *last = Some(now);
        }
    }
}

impl Mem<'_> {
    /// Element `[0, 0, …]` of a slice of the checked program.
    ///
    /// # Safety
    /// `slice` passed [`Checker`](crate::check::Checker) for the program of this memory.
    #[inline]
    pub(crate) unsafe fn ptr(self, slice: &Slice) -> *mut u8 {
        let base = self.buffers[slice.buffer.0 as usize].ptr;
        if slice.dims.contains(&0) {
            return base;
        }
        let moved = slice.moves.map_or(0, |moves| moves.by * self.at as isize);
        // SAFETY: a checked slice that is not empty starts inside of its buffer, in every step of
        // the loop that it was checked for.
        unsafe { base.offset((slice.offset as isize + moved) * slice.dtype.size() as isize) }
    }

    /// The first byte of a slice.
    ///
    /// # Safety
    /// The slice passed [`Checker`](crate::check::Checker) for the program of this memory, and is not
    /// empty.
    #[inline(always)]
    pub(crate) unsafe fn first(self, start: Start) -> *mut u8 {
        let Start { buffer, byte, moves } = start;
        // SAFETY: the caller's promise.
        unsafe {
            self.buffers[buffer as usize].ptr.offset(byte as isize + moves * self.at as isize)
        }
    }
}
