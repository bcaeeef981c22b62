//! What was done to a graph, and what was planned.

use std::fmt;

use pleach_exec::PlanReport;
use pleach_passes::Ledger;

/// The ledger of all rewrites, and the numbers of the plan.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What recording, each pass and each rule changed; the deltas add up exactly.
    pub ledger: Ledger,
    /// The plan; `None` for the interpreter.
    pub plan: Option<PlanReport>,
    /// Parameters that are trained.
    pub trained: Vec<String>,
    /// Parameters that the graph uses and does not train.
    pub frozen: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ledger)?;
        if let Some(plan) = &self.plan {
            write!(f, "\n{plan}")?;
        }
        if !self.trained.is_empty() {
            write!(f, "\ntrained        {}", self.trained.join(", "))?;
        }
        if !self.frozen.is_empty() {
            write!(f, "\nnot trained    {}", self.frozen.join(", "))?;
        }
        Ok(())
    }
}
