//! A list of instructions that runs many times, over one slice of stacked values after the other.

use crate::bind::Mem;
use crate::check::{self, Checker};
use crate::copy::copy_space;
use crate::program::{Failure, Step, prepare};
use crate::space::Space;
use crate::{Fault, Kernel, Pool, Slice};

/// What one step of a loop does, in order.
#[derive(Clone, Debug)]
pub enum Action {
    /// An instruction, the same in every step.
    Run(Kernel),
    /// The step's slice of `stacked`, along its first axis, is copied to `item`.
    Load {
        /// Read.
        stacked: Slice,
        /// Written.
        item: Slice,
    },
    /// `item` is copied to the step's slice of `stacked`.
    Store {
        /// Read.
        item: Slice,
        /// Written.
        stacked: Slice,
    },
}

impl Action {
    /// The slices read.
    pub fn inputs(&self) -> Vec<&Slice> {
        match self {
            Action::Run(kernel) => kernel.inputs(),
            Action::Load { stacked, .. } => vec![stacked],
            Action::Store { item, .. } => vec![item],
        }
    }

    /// The slices written.
    pub fn outputs(&self) -> Vec<&Slice> {
        match self {
            Action::Run(kernel) => kernel.outputs(),
            Action::Load { item, .. } => vec![item],
            Action::Store { stacked, .. } => vec![stacked],
        }
    }
}

/// A checked loop.
#[derive(Debug)]
pub(crate) struct RepeatPlan {
    length: usize,
    reverse: bool,
    actions: Vec<Ready>,
}

/// A checked action.
#[derive(Debug)]
enum Ready {
    Run(Box<dyn Step>),
    Copy(Box<Part>),
}

/// A copy of one slice.
#[derive(Debug)]
struct Part {
    from: Slice,
    to: Slice,
    /// How far `from` and `to` move with a slice, in elements.
    moves: [isize; 2],
    space: Space,
}

impl RepeatPlan {
    pub(crate) fn new(
        length: usize,
        reverse: bool,
        actions: &[Action],
        checker: Checker<'_>,
    ) -> Result<RepeatPlan, Fault> {
        let ready = |action: &Action| {
            let (stacked, item, load) = match action {
                Action::Run(kernel) => return Ok(Ready::Run(prepare(kernel, checker)?)),
                Action::Load { stacked, item } => (stacked, item, true),
                Action::Store { item, stacked } => (stacked, item, false),
            };
            let dims: Vec<usize> = [length].iter().chain(&item.dims).copied().collect();
            check::shape(stacked, &dims)?;
            check::dtype(stacked, item.dtype)?;
            let (from, to) = if load { (stacked, item) } else { (item, stacked) };
            checker.operands(&[from], &[to], false)?;
            let (step, slice) = (stacked.strides[0], &stacked.strides[1..]);
            let strides = if load { [&item.strides, slice] } else { [slice, &item.strides] };
            let moves = if load { [step, 0] } else { [0, step] };
            let space = Space::new(&item.dims, &strides);
            let part = Part { from: from.clone(), to: to.clone(), moves, space };
            Ok(Ready::Copy(Box::new(part)))
        };
        let actions = actions.iter().map(ready).collect::<Result<_, Fault>>()?;
        Ok(RepeatPlan { length, reverse, actions })
    }
}

impl Step for RepeatPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        for step in 0..self.length {
            let at = if self.reverse { self.length - 1 - step } else { step } as isize;
            for action in &self.actions {
                match action {
                    // SAFETY: the instruction was checked for this memory.
                    Ready::Run(step) => unsafe { step.run(mem, pool)? },
                    Ready::Copy(part) => {
                        let Part { from, to, moves, space } = &**part;
                        if space.numel() == 0 {
                            continue;
                        }
                        let size = to.dtype.size();
                        // SAFETY: both slices were checked for this memory and are apart; a slice
                        // of the stacked one lies inside of it.
                        unsafe {
                            let src = mem.ptr(from).offset(at * moves[0] * size as isize);
                            let dst = mem.ptr(to).offset(at * moves[1] * size as isize);
                            copy_space(dst, src, space, size);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
