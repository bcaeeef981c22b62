//! A run allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use pleach_kernels::*;
use pleach_tensor::{DType, F32, I64};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_run_allocates_nothing() {
    let (m, big) = (200usize, 40_000usize);
    let slice = |b: u32, dtype: DType, dims: &[usize]| Slice::new(BufferId(b), dtype, 0, dims);
    let square = |b: u32| slice(b, F32, &[m, m]);
    let transposed = Slice { strides: Strides::from_slice(&[1, m as isize]), ..square(0) };
    let deep = |b| slice(b, F32, &[2, 2, 5, 5, 2, 2, 10, 10]);
    let kernels = vec![
        Kernel::Random { op: RandomOp::Normal, key: slice(1, I64, &[]), output: square(0) },
        Kernel::Loop {
            program: ScalarProgram::single(ScalarOp::Add, F32),
            inputs: vec![square(0), transposed],
            outputs: vec![square(2)],
        },
        Kernel::Gemm { a: square(0).into(), b: square(2).into(), c: square(3) },
        Kernel::Reduce {
            op: ReduceOp::Sum,
            axes: Axes::from_slice(&[0, 2, 4, 6]),
            input: deep(3),
            output: slice(4, F32, &[2, 5, 2, 10]),
        },
        Kernel::Iota { axis: 0, output: slice(5, I64, &[m]) },
        Kernel::Take { axis: 0, x: square(0), indices: slice(5, I64, &[m]), output: square(2) },
        Kernel::TakeAdd { axis: 0, dy: square(2), indices: slice(5, I64, &[m]), output: square(3) },
        Kernel::ScatterAdd {
            axis: 0,
            dy: slice(2, F32, &[m]),
            indices: slice(5, I64, &[m]),
            output: slice(3, F32, &[big]),
        },
    ];
    let spec = |bytes| BufferSpec { bytes, writable: true };
    let sizes = [big * 4, 8, big * 4, big * 4, 800, m * 8];
    let program = Program::new(kernels, sizes.map(spec).to_vec()).unwrap();
    let mut buffers = sizes.map(AlignedBuf::new);
    for threads in [1, 2] {
        let pool = Pool::new(threads);
        let mut go = || {
            let mut bound = buffers.each_mut().map(Bound::write);
            let before = COUNT.load(Ordering::SeqCst);
            run(&program, &mut bound, &pool).unwrap();
            COUNT.load(Ordering::SeqCst) - before
        };
        go();
        // The harness and waking threads may allocate at any time; a run that does always would.
        let least = (0..20).map(|_| go()).min();
        assert_eq!(least, Some(0));
    }
}
