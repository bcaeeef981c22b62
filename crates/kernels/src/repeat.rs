//! A list of instructions that runs many times, over one slice of stacked values after the other.

mod rows;

use std::sync::OnceLock;
use std::time::Instant;

use crate::bind::Mem;
use crate::check::Checker;
use crate::program::{Failure, Step, prepare};
use crate::{BufferSpec, Fault, Kernel, Pool};
use rows::Part;

/// A checked loop.
#[derive(Debug)]
pub(crate) struct RepeatPlan {
    length: usize,
    reverse: bool,
    body: Part,
    /// What the body was made of.
    kernels: Vec<Kernel>,
    buffers: Vec<BufferSpec>,
    /// For the first number of threads that ran it: the instructions of each, if it is done by rows.
    by_rows: OnceLock<(usize, Option<Vec<Part>>)>,
    /// For what a thread does by itself.
    alone: Pool,
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
        let (kernels, buffers) = (body.to_vec(), checker.buffers.to_vec());
        let body = body.iter().map(step).collect::<Result<_, Fault>>()?;
        let (by_rows, alone) = (OnceLock::new(), Pool::new(1));
        Ok(RepeatPlan { length, reverse, body, kernels, buffers, by_rows, alone })
    }

    /// The instructions of each of so many threads, if the loop is done by rows.
    fn by_rows(&self, threads: usize) -> Option<&[Part]> {
        let checker = Checker { buffers: &self.buffers, steps: Some(self.length) };
        let (of, parts) =
            self.by_rows.get_or_init(|| (threads, rows::split(&self.kernels, threads, checker)));
        parts.as_deref().filter(|_| *of == threads)
    }

    /// Does the instructions of all steps.
    ///
    /// # Safety
    /// As for [`Step::run`], of the instructions.
    unsafe fn steps(&self, body: &Part, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        let mut last = mem.clocks.map(|_| Instant::now());
        for step in 0..self.length {
            let at = if self.reverse { self.length - 1 - step } else { step };
            let mut clock = 1;
            for (step, clocks) in body {
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

impl Step for RepeatPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        let parts = if pool.threads() > 1 { self.by_rows(pool.threads()) } else { None };
        let Some(parts) = parts else {
            // SAFETY: the instructions were checked for this memory.
            return unsafe { self.steps(&self.body, mem, pool) };
        };
        pool.run(parts.len(), &|i| {
            // The first part has the clocks: all parts take about as long.
            let clocks = mem.clocks.filter(|_| i == 0);
            // SAFETY: the instructions were checked for this memory, and no part reads or writes in
            // any step what another one writes. Products and elementwise loops do not fail.
            let done = unsafe { self.steps(&parts[i], Mem { clocks, ..mem }, &self.alone) };
            debug_assert_eq!(done, Ok(()));
        });
        Ok(())
    }
}
