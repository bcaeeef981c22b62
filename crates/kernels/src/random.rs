//! Elements that depend on their index alone: counting, and random numbers.

use pleach_tensor::{DType, Key};

use crate::bind::Mem;
use crate::check;
use crate::num::{Bool, CastTo, Num, for_any, for_num};
use crate::program::{Failure, Step};
use crate::space::Place;
use crate::{Fault, Pool, RandomOp, Slice};

/// Writes element `i` (row-major) of `y`, for `i` in a range, as `f(i, place)`.
///
/// # Safety
/// `y` was checked for this memory, has elements of type `T`, and no other task writes the range.
unsafe fn write<T>(
    mem: Mem<'_>,
    y: &Slice,
    range: std::ops::Range<usize>,
    mut f: impl FnMut(u64, &Place) -> T,
) {
    // SAFETY: the caller's promise.
    let base = unsafe { mem.ptr(y) }.cast::<T>();
    let mut place = Place::new(&y.dims, range.start);
    for i in range {
        // SAFETY: an element of y.
        unsafe { base.offset(place.offset(&y.strides)).write(f(i as u64, &place)) };
        place.advance(&y.dims);
    }
}

/// A checked iota.
#[derive(Debug)]
pub(crate) struct IotaPlan {
    axis: usize,
    y: Slice,
}

impl IotaPlan {
    pub(crate) fn new(axis: usize, y: &Slice) -> Result<IotaPlan, Fault> {
        check::axes(y, &[axis])?;
        if y.dtype.is_half() {
            return Err(Fault::Unsupported { dtype: y.dtype });
        }
        Ok(IotaPlan { axis, y: y.clone() })
    }
}

impl Step for IotaPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        pool.ranges(self.y.numel(), 1024, |range| {
            let at = |place: &Place| place.index(self.axis) as i64;
            for_num!(
                self.y.dtype,
                // SAFETY: the slice was checked for this memory; ranges are apart.
                T => unsafe { write(mem, &self.y, range, |_, p| <T as Num>::from_index(at(p))) },
                // SAFETY: as above.
                unsafe { write(mem, &self.y, range, |_, p| Bool::from(at(p) != 0)) }
            );
        });
        Ok(())
    }
}

/// The slice is a scalar of type i64.
fn check_scalar(slice: &Slice) -> Result<(), Fault> {
    check::dtype(slice, DType::I64)?;
    check::shape(slice, &[])
}

/// A checked draw.
#[derive(Debug)]
pub(crate) struct RandomPlan {
    op: RandomOp,
    key: Slice,
    y: Slice,
}

impl RandomPlan {
    pub(crate) fn new(op: RandomOp, key: &Slice, y: &Slice) -> Result<RandomPlan, Fault> {
        check_scalar(key)?;
        if !y.dtype.is_float() {
            return Err(Fault::Unsupported { dtype: y.dtype });
        }
        Ok(RandomPlan { op, key: key.clone(), y: y.clone() })
    }
}

impl Step for RandomPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        let y = &self.y;
        // SAFETY: the slices were checked for this memory.
        let key = Key::from_i64(unsafe { *mem.ptr(&self.key).cast::<i64>() });
        pool.ranges(y.numel(), 1024, |range| {
            // SAFETY: as above; ranges are apart.
            unsafe {
                match (self.op, y.dtype) {
                    (RandomOp::Uniform, DType::F32) => {
                        // One block of the stream holds four neighbours.
                        let mut block = [0; 4];
                        let mut held = u64::MAX;
                        write(mem, y, range, |i, _| {
                            if held != i / 4 {
                                (block, held) = (key.block(i / 4), i / 4);
                            }
                            (block[(i % 4) as usize] >> 8) as f32 * (1.0 / (1 << 24) as f32)
                        });
                    }
                    (RandomOp::Uniform, dtype) => for_any!(dtype, T => {
                        let draw = |i: u64| key.uniform(dtype, i).cast();
                        write(mem, y, range, |i, _| -> T { draw(i) });
                    }),
                    (RandomOp::Normal, dtype) => for_any!(dtype, T => {
                        let draw = |i: u64| key.normal_f64(i).cast();
                        write(mem, y, range, |i, _| -> T { draw(i) });
                    }),
                }
            }
        });
        Ok(())
    }
}

/// A checked fold of a key.
#[derive(Debug)]
pub(crate) struct FoldInPlan {
    key: Slice,
    n: Slice,
    y: Slice,
}

impl FoldInPlan {
    pub(crate) fn new(key: &Slice, n: &Slice, y: &Slice) -> Result<FoldInPlan, Fault> {
        [key, n, y].into_iter().try_for_each(check_scalar)?;
        Ok(FoldInPlan { key: key.clone(), n: n.clone(), y: y.clone() })
    }
}

impl Step for FoldInPlan {
    unsafe fn run(&self, mem: Mem<'_>, _: &Pool) -> Result<(), Failure> {
        // SAFETY: the slices were checked for this memory; scalars.
        unsafe {
            let [key, n] = [&self.key, &self.n].map(|s| *mem.ptr(s).cast::<i64>());
            *mem.ptr(&self.y).cast::<i64>() = Key::from_i64(key).fold(n as u64).to_i64();
        }
        Ok(())
    }
}
