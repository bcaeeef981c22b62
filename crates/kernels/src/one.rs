//! Loops over one element: straight code, without tiles or walks. Every register has a place of its own
//! on the stack; the bits are those of a loop over more.

use std::mem::MaybeUninit;

use smallvec::SmallVec;

use crate::bind::{Mem, Start};
use crate::copy::for_size;
use crate::loop_plan::{Bits, check_loop};
use crate::program::{Failure, Step};
use crate::select::Selection;
use crate::tile_fn::{MAX_ARGS, TileArgs};
use crate::vector::{Body, Entry};
use crate::{Fault, Pool, Reg, ScalarOp, ScalarProgram, Slice};

/// Most registers: 4 KiB of them.
const REGISTERS: usize = 512;

/// A scalar instruction on registers, by their numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneOp {
    f: Entry<OneArgs>,
    dst: u16,
    args: [u16; MAX_ARGS],
}

/// Where an instruction runs. Contract: `op` is valid, and its registers are valid for the access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneArgs {
    registers: *mut u64,
    op: *const OneOp,
}

/// A tile function on one element, `SCALARS` or not.
pub(crate) struct One<B>(B);

impl<B: Body<Args = TileArgs>> One<B> {
    /// # Safety
    /// The contract of [`OneArgs`].
    #[inline(always)]
    unsafe fn tile(one: OneArgs) -> TileArgs {
        // SAFETY: the contract of `OneArgs`.
        let op = unsafe { &*one.op };
        let at = |i: u16| one.registers.wrapping_add(usize::from(i));
        let args = std::array::from_fn(|i| at(op.args[i]).cast_const().cast());
        TileArgs { n: 1, dst: at(op.dst).cast(), args }
    }
}

impl<B: Body<Args = TileArgs>> Body for One<B> {
    type Args = OneArgs;
    #[inline(always)]
    unsafe fn run(one: OneArgs) {
        // SAFETY: the contract of `OneArgs`: one element each, in registers apart.
        unsafe { B::run(Self::tile(one)) }
    }
    #[inline(always)]
    unsafe fn run_fused(one: OneArgs) {
        // SAFETY: as above.
        unsafe { B::run_fused(Self::tile(one)) }
    }
}

/// An element in memory and the register that it is loaded to or stored from.
#[derive(Clone, Copy, Debug)]
struct Port {
    start: Start,
    register: u16,
    /// Bytes of the element.
    size: u16,
}

impl Port {
    fn new(slice: &Slice, register: usize) -> Port {
        let size = slice.dtype.size() as u16;
        Port { start: Start::of(slice), register: register as u16, size }
    }
}

/// A checked loop over one element.
#[derive(Debug)]
pub(crate) struct OnePlan {
    loads: SmallVec<[Port; 4]>,
    numbers: SmallVec<[(u16, Bits); 2]>,
    ops: Vec<OneOp>,
    stores: SmallVec<[Port; 4]>,
}

impl OnePlan {
    /// `None` if there are more elements, or none, or too many registers.
    pub(crate) fn new(
        program: &ScalarProgram,
        inputs: &[Slice],
        outputs: &[Slice],
    ) -> Result<Option<OnePlan>, Fault> {
        let registers = check_loop(program, inputs, outputs)?.len();
        let one = outputs.first().is_some_and(|y| y.dims.iter().all(|&n| n == 1));
        if !one || registers > REGISTERS {
            return Ok(None);
        }
        let n = inputs.len();
        let mut root: Vec<usize> = (0..registers).collect();
        let mut splat = vec![false; registers];
        let mut numbers = SmallVec::new();
        for (i, instr) in program.instrs.iter().enumerate() {
            match instr.op {
                ScalarOp::Copy => root[n + i] = root[instr.args[0].at()],
                ScalarOp::Const(value) => numbers.push(((n + i) as u16, Bits::new(value))),
                _ => {}
            }
            splat[n + i] = matches!(instr.op, ScalarOp::Const(_));
        }
        let steps = Selection::new(program, &root, &splat).steps();
        let op = |step: &crate::select::Step| {
            let mut args = [step.args[0] as u16; MAX_ARGS];
            step.args.iter().zip(&mut args).for_each(|(&from, to)| *to = from as u16);
            OneOp { f: step.fns.one, dst: step.reg as u16, args }
        };
        let store = |(slice, reg): (&Slice, &Reg)| Port::new(slice, root[reg.at()]);
        Ok(Some(OnePlan {
            loads: inputs.iter().enumerate().map(|(i, slice)| Port::new(slice, i)).collect(),
            numbers,
            ops: steps.iter().map(op).collect(),
            stores: outputs.iter().zip(&program.outputs).map(store).collect(),
        }))
    }
}

impl Step for OnePlan {
    #[inline]
    unsafe fn run(&self, mem: Mem<'_>, _: &Pool) -> Result<(), Failure> {
        let mut registers = [const { MaybeUninit::<u64>::uninit() }; REGISTERS];
        let registers = registers.as_mut_ptr().cast::<u64>();
        // SAFETY: registers have numbers below `REGISTERS`, and each is written before it is read:
        // operands come before users. Elements were checked for this memory; all are read before the
        // first is written, so a result may take the place of an operand.
        unsafe {
            for load in &self.loads {
                let from = mem.first(load.start);
                let to = registers.add(usize::from(load.register));
                for_size!(load.size, T => to.cast::<T>().write(from.cast::<T>().read()));
            }
            for (register, bits) in &self.numbers {
                let to = registers.add(usize::from(*register));
                for_size!(bits.size, T => to.cast::<T>().write(bits.bytes.as_ptr().cast::<T>().read()));
            }
            for op in &self.ops {
                (op.f)(OneArgs { registers, op });
            }
            for store in &self.stores {
                let to = mem.first(store.start);
                let from = registers.add(usize::from(store.register));
                for_size!(store.size, T => to.cast::<T>().write(from.cast::<T>().read()));
            }
        }
        Ok(())
    }
}
