//! Matrix products: cut into blocks by shape, then own code or the library `gemm`.
//!
//! The bits of a product by the library depend on how it is cut, so the cut depends on the shape
//! alone, whatever the number of threads.

use std::cell::Cell;

use gemm::Parallelism;
use pleach_tensor::DType;

use crate::bind::Mem;
use crate::check;
use crate::micro_gemm::{self, Matrices};
use crate::num::{Num, for_num};
use crate::program::{Failure, Step};
use crate::space::{Place, Space};
use crate::vector::Entry;
use crate::{Fault, Pool, Slice};

/// Products `m·n·k` of a task.
const TASK: usize = 1 << 20;
/// Rows or columns that a block has at least.
const BLOCK: usize = 128;

thread_local! {
    static IN_LIBRARY: Cell<bool> = const { Cell::new(false) };
}

/// Is this thread inside of the matrix library? Its packing scratch is the only memory that a run
/// allocates: a counting allocator uses this to count it apart.
pub fn in_library_gemm() -> bool {
    IN_LIBRARY.with(Cell::get)
}

/// A checked product.
#[derive(Debug)]
pub(crate) struct GemmPlan {
    operands: [Slice; 3],
    /// The batch, with strides of a, b, c.
    batch: Space,
    /// One product, or one block of it.
    path: Entry<Matrices>,
    rows: Cut,
    columns: Cut,
    k: usize,
}

/// How an axis is cut into blocks.
#[derive(Clone, Copy, Debug)]
struct Cut {
    len: usize,
    block: usize,
}

impl Cut {
    fn count(self) -> usize {
        self.len.div_ceil(self.block)
    }

    fn range(self, i: usize) -> (usize, usize) {
        (i * self.block, self.block.min(self.len - i * self.block))
    }
}

impl GemmPlan {
    pub(crate) fn new(a: &Slice, b: &Slice, c: &Slice) -> Result<GemmPlan, Fault> {
        let rank = c.dims.len();
        check::axes(c, if rank < 2 { &[0, 1] } else { &[] })?;
        let (m, n, k) = (c.dims[rank - 2], c.dims[rank - 1], a.dims.last().copied().unwrap_or(0));
        let batch = &c.dims[..rank - 2];
        check::shape(a, &[batch, &[m, k]].concat())?;
        check::shape(b, &[batch, &[k, n]].concat())?;
        check::dtype(a, c.dtype)?;
        check::dtype(b, c.dtype)?;
        let work = m.saturating_mul(n).saturating_mul(k);
        let path = match c.dtype {
            DType::Bool => return Err(Fault::Unsupported { dtype: c.dtype }),
            dtype if micro_gemm::takes(dtype, m, n, k) => {
                micro_gemm::entry(dtype).ok_or(Fault::Unsupported { dtype })?
            }
            DType::F32 => library::<f32> as Entry<Matrices>,
            DType::F64 => library::<f64>,
            dtype => for_num!(dtype, T => plain::<T>, return Err(Fault::Unsupported { dtype })),
        };
        // The longer side of a large product is cut, for as many tasks as machines have cores.
        let long = m.max(n);
        let most = if long >= 2048 { 8 } else { 4 };
        let blocks = if work < 2 * TASK { 1 } else { (long / BLOCK).clamp(1, most) };
        let block = long.div_ceil(blocks).next_multiple_of(16).max(1);
        let cut =
            |len: usize, here: bool| Cut { len, block: if here { block } else { len.max(1) } };
        Ok(GemmPlan {
            batch: Space::new(batch, &[a, b, c].map(|s| &s.strides[..rank - 2])),
            operands: [a.clone(), b.clone(), c.clone()],
            path,
            rows: cut(m, m >= n),
            columns: cut(n, m < n),
            k,
        })
    }
}

impl Step for GemmPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        let (down, across) = (self.rows.count(), self.columns.count());
        let blocks = down * across;
        let work = self.rows.block * self.columns.block * self.k;
        pool.ranges(self.batch.numel() * blocks, TASK / work.max(1), |range| {
            for i in range {
                let (block, place) = (i % blocks, Place::new(&self.batch.dims, i / blocks));
                let (row, m) = self.rows.range(block % down);
                let (column, n) = self.columns.range(block / down);
                let size = self.operands[0].dtype.size() as isize;
                let at = |i: usize, row: usize, column: usize| {
                    let slice = &self.operands[i];
                    let [rs, cs] = strides(slice);
                    let offset = place.offset(&self.batch.strides[i])
                        + row as isize * rs
                        + column as isize * cs;
                    // SAFETY: the slices were checked for this memory: an element of the slice, or
                    // element 0 of an empty one, which has no other.
                    unsafe {
                        let base = mem.ptr(slice);
                        let offset = if slice.dims.contains(&0) { 0 } else { offset * size };
                        (base.offset(offset), rs, cs)
                    }
                };
                let (a, a_rs, a_cs) = at(0, row, 0);
                let (b, b_rs, b_cs) = at(1, 0, column);
                let (c, c_rs, c_cs) = at(2, row, column);
                let k = self.k;
                let product = Matrices { m, n, k, a, a_rs, a_cs, b, b_rs, b_cs, c, c_rs, c_cs };
                // SAFETY: blocks of checked slices with these strides; blocks of c are apart.
                unsafe { (self.path)(product) };
            }
        });
        Ok(())
    }
}

/// The last two strides.
fn strides(slice: &Slice) -> [isize; 2] {
    let rank = slice.strides.len();
    [slice.strides[rank - 2], slice.strides[rank - 1]]
}

/// The product by the library, single-threaded.
///
/// # Safety
/// The contract of [`Matrices`].
unsafe fn library<T: Num>(p: Matrices) {
    IN_LIBRARY.set(true);
    // SAFETY: the contract of `Matrices`. c is written, not read.
    unsafe {
        gemm::gemm(
            p.m,
            p.n,
            p.k,
            p.c.cast::<T>(),
            p.c_cs,
            p.c_rs,
            false,
            p.a.cast::<T>(),
            p.a_cs,
            p.a_rs,
            p.b.cast::<T>(),
            p.b_cs,
            p.b_rs,
            T::ZERO,
            T::from_index(1),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
    IN_LIBRARY.set(false);
}

/// The product by its definition, for integers.
///
/// # Safety
/// The contract of [`Matrices`].
unsafe fn plain<T: Num>(p: Matrices) {
    let (a, b, c) = (p.a.cast::<T>(), p.b.cast::<T>(), p.c.cast::<T>());
    for i in 0..p.m as isize {
        for j in 0..p.n as isize {
            let mut sum = T::ZERO;
            for l in 0..p.k as isize {
                // SAFETY: elements of a and b.
                let (x, y) = unsafe {
                    (*a.offset(i * p.a_rs + l * p.a_cs), *b.offset(l * p.b_rs + j * p.b_cs))
                };
                sum = sum.add(x.mul(y));
            }
            // SAFETY: an element of c.
            unsafe { c.offset(i * p.c_rs + j * p.c_cs).write(sum) };
        }
    }
}
