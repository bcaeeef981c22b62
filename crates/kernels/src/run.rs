//! The instruction loop.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use thiserror::Error;

use crate::bind::Mem;
use crate::program::Failure;
use crate::{Bound, Pool, Program};

/// Why a run stopped. What later instructions would have written is as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// An index is outside of the axis indexed.
    #[error("instruction {instr}: index {index} is out of range for an axis of length {len}")]
    Index {
        /// The instruction.
        instr: usize,
        /// The index.
        index: i64,
        /// Length of the axis.
        len: usize,
    },
    /// A function outside of this crate failed.
    #[error("instruction {instr}: {message}")]
    Host {
        /// The instruction.
        instr: usize,
        /// Its message.
        message: String,
    },
    /// The number of bound buffers is wrong.
    #[error("the program has {expected} buffers, {got} are bound")]
    Count {
        /// Number expected.
        expected: usize,
        /// Number bound.
        got: usize,
    },
    /// There are more or fewer clocks than instructions.
    #[error("the program has {expected} instructions, there are {got} clocks")]
    Clocks {
        /// Instructions.
        expected: usize,
        /// Clocks given.
        got: usize,
    },
    /// A bound buffer is too short, not aligned for its elements, or read-only but written.
    #[error("buffer {buffer}: {reason}")]
    Binding {
        /// The buffer.
        buffer: usize,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Runs all instructions in order. Allocates nothing, but for [`Kernel::Call`](crate::Kernel::Call).
/// The bits written do not depend on the number of threads.
///
/// # Errors
/// Bindings that do not fit the program, an index out of range, or a failed host call.
pub fn run(program: &Program, buffers: &mut [Bound<'_>], pool: &Pool) -> Result<(), RunError> {
    each(program, buffers, pool, None)
}

/// As [`run`], with a clock around every instruction: adds the nanoseconds that each took, from the
/// end of the one before it, to its clock. Clocks are in the order of instructions; those of the
/// body of a loop, for all of its steps, follow that of the loop, which counts them too. A clock is
/// read once an instruction, and that time (about 25 ns) counts for the instruction.
///
/// # Errors
/// As [`run`], and a number of clocks that is not [`Program::clocks`].
pub fn run_timed(
    program: &Program,
    buffers: &mut [Bound<'_>],
    pool: &Pool,
    clocks: &mut [u64],
) -> Result<(), RunError> {
    let (expected, got) = (program.clocks(), clocks.len());
    if expected != got {
        return Err(RunError::Clocks { expected, got });
    }
    let times: Vec<AtomicU64> = clocks.iter().map(|&ns| AtomicU64::new(ns)).collect();
    let result = each(program, buffers, pool, Some(&times));
    clocks.iter_mut().zip(times).for_each(|(clock, ns)| *clock = ns.into_inner());
    result
}

/// Runs all instructions in order.
fn each(
    program: &Program,
    buffers: &mut [Bound<'_>],
    pool: &Pool,
    clocks: Option<&[AtomicU64]>,
) -> Result<(), RunError> {
    check(program, buffers)?;
    let all = Mem { buffers, at: 0, clocks };
    let (mut last, mut clock) = (clocks.map(|_| Instant::now()), 0);
    for (instr, (step, kernel)) in program.steps.iter().zip(program.instrs()).enumerate() {
        let mem = Mem { clocks: all.clocks_from(clock), ..all };
        // SAFETY: `check` compared the memory with the program; it is borrowed for this call.
        unsafe { step.run(mem, pool) }.map_err(|failure| match failure {
            Failure::Index { index, len } => RunError::Index { instr, index, len },
            Failure::Host(message) => RunError::Host { instr, message },
        })?;
        if clocks.is_some() {
            mem.tick(&mut last);
            clock += kernel.clocks();
        }
    }
    Ok(())
}

fn check(program: &Program, buffers: &[Bound<'_>]) -> Result<(), RunError> {
    let (expected, got) = (program.buffers().len(), buffers.len());
    if expected != got {
        return Err(RunError::Count { expected, got });
    }
    for (buffer, (spec, bound)) in program.buffers().iter().zip(buffers).enumerate() {
        let reason = if bound.len() < spec.bytes {
            "it is too short"
        } else if spec.writable && !bound.is_writable() {
            "it is written but bound read-only"
        } else if !bound.is_aligned(program.aligns[buffer]) {
            "it is not aligned for its elements"
        } else {
            continue;
        };
        return Err(RunError::Binding { buffer, reason });
    }
    Ok(())
}
