//! A checked list of instructions.

use std::fmt::Debug;

use crate::argmax::ArgMaxPlan;
use crate::attention::AttentionPlan;
use crate::bind::Mem;
use crate::call::CallPlan;
use crate::check::Checker;
use crate::cumulative::CumulativePlan;
use crate::entropy::EntropyPlan;
use crate::gather::{GatherPlan, ScatterAddPlan, ScatterPlan};
use crate::gemm::GemmPlan;
use crate::linalg::LinalgPlan;
use crate::loop_plan::{LoopPlan, check_loop};
use crate::max_pool::MaxPoolPlan;
use crate::max_pool_add::MaxPoolAddPlan;
use crate::one::OnePlan;
use crate::random::{FoldInPlan, IotaPlan, RandomPlan};
use crate::reduce::ReducePlan;
use crate::repeat::RepeatPlan;
use crate::sort::ArgSortPlan;
use crate::take::{TakeAddPlan, TakePlan};
use crate::widen::widened;
use crate::windows_add::WindowsAddPlan;
use crate::winograd;
use crate::{Fault, Kernel, Pool, ProgramError};

/// A buffer that a program needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BufferSpec {
    /// Size; what is bound may be longer.
    pub bytes: usize,
    /// May the program write it?
    pub writable: bool,
}

/// An instruction, ready to run: choices that depend on types and shapes are made.
pub(crate) trait Step: Debug + Send + Sync {
    /// Executes the instruction.
    ///
    /// # Safety
    /// `mem` is the memory of a run of the program that this step was checked for.
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure>;
}

/// An instruction that one before it has done.
#[derive(Debug)]
struct Done;

impl Step for Done {
    unsafe fn run(&self, _: Mem<'_>, _: &Pool) -> Result<(), Failure> {
        Ok(())
    }
}

/// How a step fails; the run adds its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Index { index: i64, len: usize },
    Host(String),
}

/// A list of instructions over buffers, checked once, so that running it is memory-safe.
#[derive(Debug)]
pub struct Program {
    pub(crate) steps: Vec<Box<dyn Step>>,
    pub(crate) aligns: Vec<usize>,
    instrs: Vec<Kernel>,
    buffers: Vec<BufferSpec>,
    done_with: Vec<Option<usize>>,
}

impl Program {
    /// Checks everything: element types, shapes, that every element lies inside of its buffer,
    /// writable outputs that overlap nothing, scalar programs.
    ///
    /// # Errors
    /// The first instruction refused, and why.
    pub fn new(instrs: Vec<Kernel>, buffers: Vec<BufferSpec>) -> Result<Program, ProgramError> {
        let mut steps = Vec::with_capacity(instrs.len());
        let mut aligns = vec![1; buffers.len()];
        for (instr, kernel) in instrs.iter().enumerate() {
            let step = prepare(kernel, Checker { buffers: &buffers, steps: None })
                .map_err(|fault| ProgramError { instr, kernel: kernel.name(), fault })?;
            steps.push(step);
            for slice in kernel.inputs().into_iter().chain(kernel.outputs()) {
                let align = &mut aligns[slice.buffer.0 as usize];
                *align = (*align).max(slice.dtype.size());
            }
        }
        let mut done_with = vec![None; instrs.len()];
        for (product, next, both) in GemmPlan::with_loops(&instrs) {
            steps[product] = both;
            steps[next] = Box::new(Done);
            done_with[next] = Some(product);
        }
        Ok(Program { steps, aligns, instrs, buffers, done_with })
    }

    /// The instructions.
    pub fn instrs(&self) -> &[Kernel] {
        &self.instrs
    }

    /// The instruction before it that does an instruction, too: its own clock counts nothing.
    pub fn done_with(&self, instr: usize) -> Option<usize> {
        self.done_with.get(instr).copied().flatten()
    }

    /// Number of clocks of a timed run: one an instruction, those of the bodies of loops included.
    pub fn clocks(&self) -> usize {
        self.instrs.iter().map(Kernel::clocks).sum()
    }

    /// The buffers.
    pub fn buffers(&self) -> &[BufferSpec] {
        &self.buffers
    }
}

pub(crate) fn prepare(kernel: &Kernel, checker: Checker<'_>) -> Result<Box<dyn Step>, Fault> {
    if let Kernel::Repeat { length, reverse, body } = kernel {
        return Ok(Box::new(RepeatPlan::new(*length, *reverse, body, checker)?));
    }
    let in_place = matches!(kernel, Kernel::Loop { .. } | Kernel::LoopReduce { .. });
    checker.operands(&kernel.inputs(), &kernel.outputs(), in_place)?;
    Ok(match kernel {
        Kernel::Loop { program, inputs, outputs } => {
            let wide = widened(program, &check_loop(program, inputs, outputs)?);
            let program = wide.as_ref().unwrap_or(program);
            match OnePlan::new(program, inputs, outputs)? {
                Some(one) => Box::new(one),
                None => LoopPlan::new(program, inputs, outputs)?.step(),
            }
        }
        Kernel::LoopReduce { program, inputs, outputs, reduced } => {
            Box::new(LoopPlan::with_rows(program, inputs, outputs, reduced)?)
        }
        Kernel::Reduce { op, axes, input, output } => {
            ReducePlan::new(*op, axes, input, output)?.step()
        }
        Kernel::ArgMax { axis, input, output } => {
            Box::new(ArgMaxPlan::new(*axis, true, input, output)?)
        }
        Kernel::ArgMin { axis, input, output } => {
            Box::new(ArgMaxPlan::new(*axis, false, input, output)?)
        }
        Kernel::Cumulative { op, axis, reverse, inputs, output } => {
            Box::new(CumulativePlan::new(*op, *axis, *reverse, inputs, output)?)
        }
        Kernel::Linalg { op, inputs, work, output } => {
            Box::new(LinalgPlan::new(*op, inputs, work, output)?)
        }
        Kernel::Winograd { op, inputs, work, output } => {
            winograd::plan(*op, inputs.each_ref(), work, output)?
        }
        Kernel::ArgSort { descending, input, output } => {
            Box::new(ArgSortPlan::new(*descending, input, output)?)
        }
        Kernel::Gemm { a, b, c } => GemmPlan::new(a, b, c)?.step(),
        Kernel::Attention { causal, scale, inputs, outputs } => {
            Box::new(AttentionPlan::new(*causal, *scale, inputs, outputs)?)
        }
        Kernel::Entropy { inputs, outputs } => Box::new(EntropyPlan::new(inputs, outputs)?),
        Kernel::Take { axis, x, indices, output } => {
            Box::new(TakePlan::new(*axis, x, indices, output)?)
        }
        Kernel::TakeAdd { axis, dy, indices, output } => {
            Box::new(TakeAddPlan::new(*axis, dy, indices, output)?)
        }
        Kernel::Gather { axis, x, indices, output } => {
            Box::new(GatherPlan::new(*axis, x, indices, output)?)
        }
        Kernel::ScatterAdd { axis, dy, indices, output } => {
            Box::new(ScatterAddPlan::new(*axis, dy, indices, output)?)
        }
        Kernel::WindowsAdd { windows, dy, output } => {
            Box::new(WindowsAddPlan::new(windows, dy, output)?)
        }
        Kernel::ArgMaxPool { windows, input, output } => {
            Box::new(MaxPoolPlan::places(windows, input, output)?)
        }
        Kernel::MaxPool { windows, input, values, numbers } => {
            Box::new(MaxPoolPlan::values(windows, input, values, numbers)?)
        }
        Kernel::MaxPoolAdd { windows, dy, numbers, output } => {
            Box::new(MaxPoolAddPlan::new(windows, dy, numbers, output)?)
        }
        Kernel::Scatter { axis, x, indices, src, output } => {
            Box::new(ScatterPlan::new(*axis, x, indices, src, output)?)
        }
        Kernel::Iota { axis, output } => Box::new(IotaPlan::new(*axis, output)?),
        Kernel::Random { op, key, output } => Box::new(RandomPlan::new(*op, key, output)?),
        Kernel::FoldIn { key, n, output } => Box::new(FoldInPlan::new(key, n, output)?),
        Kernel::Repeat { .. } => unreachable!("a loop checks its instructions itself"),
        Kernel::Call { call, inputs, output } => Box::new(CallPlan::new(call, inputs, output)),
    })
}
