//! What a compiled step takes, as far as the machine does not matter.

use std::error::Error;

use pleach::prelude::*;
use serde::Serialize;

/// Numbers of the graph that is planned, and of its plan.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Size {
    pub(crate) nodes: i64,
    pub(crate) instructions: usize,
    pub(crate) flops: u64,
    /// Bytes that the instructions move, each by itself.
    pub(crate) bytes: u64,
    /// Bytes of the arena.
    pub(crate) peak: usize,
}

/// Heads of the columns of [`Size::cells`].
pub(crate) const HEAD: [&str; 5] = ["nodes", "instructions", "MFLOP", "MiB moved", "MiB peak"];

impl Size {
    /// # Errors
    /// A step of the interpreter, which has no plan.
    pub(crate) fn of(step: &Step) -> Result<Size, Box<dyn Error>> {
        let report = step.report();
        let plan = report.plan.as_ref().ok_or("it is not planned")?;
        Ok(Size {
            nodes: report.ledger.sum().nodes,
            instructions: plan.instructions(),
            flops: plan.moved.iter().map(|m| m.flops).sum(),
            bytes: plan.bytes_moved(),
            peak: plan.arena_bytes,
        })
    }

    /// As cells of a table.
    pub(crate) fn cells(&self) -> [String; 5] {
        let mib = |bytes: f64| format!("{:.2}", bytes / f64::from(1 << 20));
        [
            self.nodes.to_string(),
            self.instructions.to_string(),
            format!("{:.2}", self.flops as f64 / 1e6),
            mib(self.bytes as f64),
            mib(self.peak as f64),
        ]
    }
}
