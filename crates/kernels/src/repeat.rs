//! A list of instructions that runs many times, over one slice of stacked values after the other.

use std::time::Instant;

use crate::bind::Mem;
use crate::check::Checker;
use crate::program::{Failure, Step, prepare};
use crate::{Fault, Kernel, Pool};

/// A checked loop.
#[derive(Debug)]
pub(crate) struct RepeatPlan {
    length: usize,
    reverse: bool,
    /// The instructions, and how many clocks each of them has.
    body: Vec<(Box<dyn Step>, usize)>,
}

impl RepeatPlan {
    pub(crate) fn new(
        length: usize,
        reverse: bool,
        body: &[Kernel],
        checker: Checker<'_>,
    ) -> Result<RepeatPlan, Fault> {
        let checker = Checker { steps: Some(length), ..checker };
        let step = |kernel: &Kernel| Ok((prepare(kernel, checker)?, kernel.clocks()));
        let body = body.iter().map(step).collect::<Result<_, Fault>>()?;
        Ok(RepeatPlan { length, reverse, body })
    }
}

impl Step for RepeatPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        let mut last = mem.clocks.map(|_| Instant::now());
        for step in 0..self.length {
            let at = if self.reverse { self.length - 1 - step } else { step };
            let mut clock = 1;
            for (step, clocks) in &self.body {
                let mem = Mem { at, clocks: mem.clocks_from(clock), ..mem };
                // SAFETY: the instruction was checked for this memory, and for this many steps.
                unsafe { step.run(mem, pool)? };
                mem.tick(&mut last);
                clock += clocks;
            }
        }
        Ok(())
    }
}
