//! A loop of one tile whose operands are read and written where they are: calls, without tiles or walks.
//! What such a loop takes is mostly finding places.

use std::mem::MaybeUninit;

use smallvec::SmallVec;

use crate::Pool;
use crate::bind::{Mem, Start};
use crate::loop_plan::{Bits, Loc, LoopPlan};
use crate::program::{Failure, Step};
use crate::tile_fn::{MAX_ARGS, TileArgs, TileFn};

/// Most places: operands, numbers and slots.
const PLACES: usize = 32;
/// Bytes of the tile buffer.
const SCRATCH: usize = 4096;

/// A scalar instruction over the tile, by numbers of places.
#[derive(Clone, Copy, Debug)]
struct Op {
    f: TileFn,
    dst: u8,
    args: [u8; MAX_ARGS],
}

/// A checked loop of one tile.
#[derive(Debug)]
pub(crate) struct SmallLoop {
    n: usize,
    /// The first places; after them come the numbers, then the slots.
    streams: SmallVec<[Start; 4]>,
    numbers: Vec<Bits>,
    /// Bytes of the tile buffer at which slots begin.
    slots: SmallVec<[u32; 4]>,
    ops: SmallVec<[Op; 4]>,
}

/// The tile buffer.
#[repr(align(64))]
struct Buffer(#[allow(dead_code, reason = "by its address")] [MaybeUninit<u8>; SCRATCH]);

impl LoopPlan {
    /// As a step: with its places found, if it is one tile.
    pub(crate) fn step(self) -> Box<dyn Step> {
        match SmallLoop::new(&self) {
            Some(small) => Box::new(small),
            None => Box::new(self),
        }
    }
}

impl SmallLoop {
    fn new(plan: &LoopPlan) -> Option<SmallLoop> {
        let copies = plan.loads.len() + plan.constants.len() + plan.stores.len() + plan.folds.len();
        if plan.tiles.count != 1 || copies > 0 || plan.scratch > SCRATCH {
            return None;
        }
        let (streams, numbers) = (plan.streams.len(), plan.numbers.len());
        let mut slots: SmallVec<[u32; 4]> = SmallVec::new();
        let mut place = |loc: Loc| {
            let at = match loc {
                Loc::Stream(i) => usize::from(i),
                Loc::Constant(i) => streams + usize::from(i),
                Loc::Slot(byte) => {
                    let known = slots.iter().position(|&slot| slot == byte);
                    let slot = known.unwrap_or_else(|| {
                        slots.push(byte);
                        slots.len() - 1
                    });
                    streams + numbers + slot
                }
            };
            u8::try_from(at).ok().filter(|&at| usize::from(at) < PLACES)
        };
        let mut ops = SmallVec::new();
        for op in &plan.ops {
            let (dst, mut args) = (place(op.dst)?, [0; MAX_ARGS]);
            for (to, &loc) in args.iter_mut().zip(&op.args) {
                *to = place(loc)?;
            }
            ops.push(Op { f: op.f, dst, args });
        }
        let fits = streams + numbers + slots.len() <= PLACES;
        fits.then(|| SmallLoop {
            n: plan.tiles.len,
            streams: plan.streams.iter().map(|stream| stream.start).collect(),
            numbers: plan.numbers.clone(),
            slots,
            ops,
        })
    }
}

impl Step for SmallLoop {
    unsafe fn run(&self, mem: Mem<'_>, _: &Pool) -> Result<(), Failure> {
        let mut buffer = MaybeUninit::<Buffer>::uninit();
        let buffer = buffer.as_mut_ptr().cast::<u8>();
        let mut places = [std::ptr::null_mut::<u8>(); PLACES];
        let (streams, rest) = places.split_at_mut(self.streams.len());
        let (numbers, slots) = rest.split_at_mut(self.numbers.len());
        for (place, &start) in streams.iter_mut().zip(&self.streams) {
            // SAFETY: the slices were checked for this memory, and are not empty.
            *place = unsafe { mem.first(start) };
        }
        for (place, number) in numbers.iter_mut().zip(&self.numbers) {
            // Nothing writes there.
            *place = (&raw const *number).cast_mut().cast();
        }
        for (place, &byte) in slots.iter_mut().zip(&self.slots) {
            *place = buffer.wrapping_add(byte as usize);
        }
        let at = |i: u8| places[usize::from(i) % PLACES];
        for op in &self.ops {
            let args = std::array::from_fn(|i| at(op.args[i]).cast_const());
            // SAFETY: the contract of tile functions, as for the plan of which this is the one tile:
            // operands are packed over it, slots hold as many elements, and no instruction reads the slot
            // that it writes.
            unsafe { (op.f)(TileArgs { n: self.n, dst: at(op.dst), args }) };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pleach_tensor::F32;

    use super::SmallLoop;
    use crate::loop_plan::LoopPlan;
    use crate::{BufferId, ScalarOp, ScalarProgram, Slice};

    #[test]
    fn a_loop_of_one_tile_is_small_if_nothing_is_copied() {
        let is_small = |dims: &[usize], strides: &[isize]| {
            let slice = |b| Slice::new(BufferId(b), F32, 0, dims);
            let other = Slice { strides: strides.into(), ..slice(1) };
            let (inputs, program) = ([slice(0), other], ScalarProgram::single(ScalarOp::Mul, F32));
            let plan = LoopPlan::new(&program, &inputs, &[slice(2)]).expect("it is a loop");
            SmallLoop::new(&plan).is_some()
        };
        assert!(is_small(&[4, 8], &[8, 1]));
        assert!(is_small(&[4, 8], &[0, 0]), "a number for all");
        assert!(!is_small(&[4, 8], &[1, 4]), "turned");
        assert!(!is_small(&[40, 800], &[800, 1]), "more than a tile");
        assert!(!is_small(&[0, 8], &[8, 1]), "nothing");
    }
}
