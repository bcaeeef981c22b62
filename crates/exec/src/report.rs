//! What was planned, in numbers.

use std::collections::BTreeMap;
use std::fmt;

use pleach_kernels::{Kernel, Slice};

use crate::work::flops;

/// An instruction, the memory that it moves and the arithmetic that it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Its kind, as in [`PlanReport::kernels`].
    pub kernel: &'static str,
    /// The node that it computes, with the user's line: `add : f32[3] (built at src/main.rs:3:9)`.
    pub node: String,
    /// The layer and the user's line: `encoder.0 (src/main.rs:3:9)`; empty if it is not known.
    pub site: String,
    /// Bytes read: every element of every operand once, however often it is looked at, so for an
    /// instruction that reads elements by index this is the most. Repeated elements of a broadcast
    /// are one. A loop moves what its instructions move, in all steps.
    pub read: u64,
    /// Bytes written, likewise.
    pub written: u64,
    /// Arithmetic operations, counted as [`Cost`](pleach_ops::Cost) does: a multiply-add is 2, any
    /// function 1, a copy none. A loop does what its instructions do, in all steps. 0 for what runs
    /// in the interpreter.
    pub flops: u64,
    /// The instructions of a loop's body, in all steps.
    pub body: Vec<Moved>,
    /// The instruction before it, by its place in the plan, that does this one too, while what it wrote is
    /// in the nearest cache.
    pub with: Option<usize>,
}

impl Moved {
    pub(crate) fn new(kernel: &Kernel, node: String, site: String) -> Moved {
        let ((read, written), flops) = (moved(kernel), flops(kernel));
        let body = body(kernel, 1, &site);
        Moved { kernel: kernel.name(), node, site, read, written, flops, body, with: None }
    }

    /// Bytes read and written.
    pub fn bytes(&self) -> u64 {
        self.read + self.written
    }
}

/// The instructions of a loop that runs so many times, by the types of their results.
fn body(kernel: &Kernel, times: u64, site: &str) -> Vec<Moved> {
    let Kernel::Repeat { length, body: inside, .. } = kernel else { return Vec::new() };
    let times = times.saturating_mul(*length as u64);
    let one = |kernel: &Kernel| {
        let types = kernel.outputs();
        let types: Vec<String> =
            types.iter().map(|y| format!("{}{:?}", y.dtype, &y.dims[..])).collect();
        let (read, written) = moved(kernel);
        Moved {
            kernel: kernel.name(),
            node: types.join(" "),
            site: site.into(),
            read: read.saturating_mul(times),
            written: written.saturating_mul(times),
            flops: flops(kernel).saturating_mul(times),
            body: body(kernel, times, site),
            with: None,
        }
    };
    inside.iter().map(one).collect()
}

/// Bytes that an instruction reads and writes.
fn moved(kernel: &Kernel) -> (u64, u64) {
    let Kernel::Repeat { length, body, .. } = kernel else {
        return (once(&kernel.inputs()), once(&kernel.outputs()));
    };
    let (read, written) =
        body.iter().map(moved).fold((0, 0), |sum: (u64, u64), (r, w)| (sum.0 + r, sum.1 + w));
    let steps = *length as u64;
    (read.saturating_mul(steps), written.saturating_mul(steps))
}

/// Bytes of slices, those that are equal once.
fn once(slices: &[&Slice]) -> u64 {
    let bytes = |s: &Slice| {
        let axes = s.dims.iter().zip(&s.strides).filter(|(_, stride)| **stride != 0);
        let empty = s.dims.contains(&0);
        let numel: u64 = if empty { 0 } else { axes.map(|(&n, _)| n as u64).product() };
        numel * s.dtype.size() as u64
    };
    let fresh = |&(i, s): &(usize, &&Slice)| !slices[..i].contains(s);
    slices.iter().enumerate().filter(fresh).map(|(_, s)| bytes(s)).sum()
}

/// Numbers of a plan. `Display` draws them as a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanReport {
    /// Instructions by kind.
    pub kernels: BTreeMap<&'static str, usize>,
    /// Every instruction that is not inside of a loop, in the order of execution, with the bytes
    /// that it moves.
    pub moved: Vec<Moved>,
    /// Instructions that run once, and again when a variable that they read has changed: what they read is
    /// no input, and nothing that the plan writes.
    pub once: Vec<Moved>,
    /// Nodes that became views: no instruction, no memory.
    pub views: usize,
    /// Nodes that run in the reference interpreter, slowly and with allocation.
    pub interpreted: Vec<String>,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// The most bytes that live at once: no arena can be smaller.
    pub lower_bound: usize,
    /// Is it proved that no arena of these lifetimes is smaller?
    pub least: bool,
    /// Values that took over the memory of a dying operand.
    pub in_place: usize,
    /// Variables read or written, and their bytes.
    pub variables: (usize, usize),
    /// Variables that the instruction which computes the new value writes at once.
    pub updated_in_place: usize,
    /// Bytes of constants.
    pub constant_bytes: usize,
    /// Threads that run it.
    pub threads: usize,
}

impl PlanReport {
    /// Number of instructions of every run.
    pub fn instructions(&self) -> usize {
        self.kernels.values().sum()
    }

    /// Bytes that all instructions read and write, each by itself.
    pub fn bytes_moved(&self) -> u64 {
        self.moved.iter().map(Moved::bytes).sum()
    }
}

impl fmt::Display for PlanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> =
            self.kernels.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        let kib = |bytes: usize| format!("{:.1} KiB", bytes as f64 / 1024.0);
        let ratio = self.arena_bytes as f64 / self.lower_bound.max(1) as f64;
        writeln!(f, "instructions   {} ({})", self.instructions(), kinds.join(", "))?;
        writeln!(f, "moved          {}", kib(self.bytes_moved() as usize))?;
        writeln!(f, "interpreted    {}", self.interpreted.len())?;
        if !self.once.is_empty() {
            writeln!(f, "once           {} instructions", self.once.len())?;
        }
        writeln!(f, "views          {} nodes without an instruction", self.views)?;
        writeln!(
            f,
            "arena          {}, {ratio:.3} times the least possible; {} values in place",
            kib(self.arena_bytes),
            self.in_place
        )?;
        writeln!(
            f,
            "variables      {} of {}, {} updated in place",
            self.variables.0,
            kib(self.variables.1),
            self.updated_in_place
        )?;
        writeln!(f, "constants      {}", kib(self.constant_bytes))?;
        write!(f, "threads        {}", self.threads)
    }
}
