//! A list of instructions that runs many times, over one slice of stacked values after the other.

use crate::bind::Mem;
use crate::check::Checker;
use crate::program::{Failure, Step, prepare};
use crate::{Fault, Kernel, Pool};

/// A checked loop.
#[derive(Debug)]
pub(crate) struct RepeatPlan {
    length: usize,
    reverse: bool,
    body: Vec<Box<dyn Step>>,
}

impl RepeatPlan {
    pub(crate) fn new(
        length: usize,
        reverse: bool,
        body: &[Kernel],
        checker: Checker<'_>,
    ) -> Result<RepeatPlan, Fault> {
        let checker = Checker { steps: Some(length), ..checker };
        let body = body.iter().map(|kernel| prepare(kernel, checker)).collect::<Result<_, _>>()?;
        Ok(RepeatPlan { length, reverse, body })
    }
}

impl Step for RepeatPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        for step in 0..self.length {
            let at = if self.reverse { self.length - 1 - step } else { step };
            for step in &self.body {
                // SAFETY: the instruction was checked for this memory, and for this many steps.
                unsafe { step.run(Mem { at, ..mem }, pool)? };
            }
        }
        Ok(())
    }
}
