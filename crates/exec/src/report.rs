//! What was planned, in numbers.

use std::collections::BTreeMap;
use std::fmt;

/// Numbers of a plan. `Display` draws them as a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanReport {
    /// Instructions by kind.
    pub kernels: BTreeMap<&'static str, usize>,
    /// Nodes that became views: no instruction, no memory.
    pub views: usize,
    /// Nodes that run in the reference interpreter, slowly and with allocation.
    pub interpreted: Vec<String>,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// The most bytes that live at once: no arena can be smaller.
    pub lower_bound: usize,
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
    /// Number of instructions.
    pub fn instructions(&self) -> usize {
        self.kernels.values().sum()
    }
}

impl fmt::Display for PlanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> =
            self.kernels.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        let kib = |bytes: usize| format!("{:.1} KiB", bytes as f64 / 1024.0);
        let ratio = self.arena_bytes as f64 / self.lower_bound.max(1) as f64;
        writeln!(f, "instructions   {} ({})", self.instructions(), kinds.join(", "))?;
        writeln!(f, "interpreted    {}", self.interpreted.len())?;
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
