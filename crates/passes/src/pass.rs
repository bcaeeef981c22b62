//! What a pass is.

use std::collections::HashSet;
use std::fmt;

use pleach_graph::{Graph as Tape, NodeId, NodeMap, VerifyError};
use pleach_ops::{EvalError, Graph, Op};
use pleach_tensor::{Tensor, Type};
use thiserror::Error;

use crate::{Class, Classes, Delta, Entry, Ledger, Level, Totals};

/// Evaluates one node as a run would: folded and run-time values must agree.
pub type Evaluate<'a> = &'a dyn Fn(&Op, &[&Tensor], &Type) -> Result<Tensor, EvalError>;

/// A rewrite of a whole graph.
pub trait Pass: fmt::Debug + Send + Sync {
    /// A verb: `fold`.
    fn name(&self) -> &'static str;
    /// The weakest class of anything it does.
    fn class(&self) -> Classes;
    /// Rewrites the graph by building it anew.
    ///
    /// # Errors
    /// [`PassError`] if it meets what it cannot handle.
    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError>;
}

/// What a pass did.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing.
    Unchanged,
    /// This graph has the same outputs; old nodes went where the map says.
    Changed(Tape<Op>, NodeMap),
}

/// Why a pass failed. Always a defect of the pass.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PassError {
    /// The graph it built breaks an invariant.
    #[error("pass {pass} broke the graph: {reason}")]
    Verify {
        /// The pass.
        pass: String,
        /// The invariant.
        reason: VerifyError,
    },
    /// The outputs of the graph are not the same any more.
    #[error("pass {pass} changed outputs")]
    Outputs {
        /// The pass.
        pass: String,
    },
}

/// What passes are given.
pub struct PassCx<'a> {
    /// Which classes may fire.
    pub level: Level,
    /// Evaluates one node.
    pub evaluate: Evaluate<'a>,
    /// Most bytes of a folded constant, unless its operands are larger.
    pub fold_bytes: usize,
    /// Names of rules that must not fire.
    pub disabled: HashSet<String>,
    pub(crate) peak: Option<&'a dyn Fn(&Graph) -> u64>,
    pub(crate) applied: Vec<Entry>,
    pub(crate) skipped: Vec<(String, String)>,
}

impl fmt::Debug for PassCx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassCx").field("level", &self.level).finish_non_exhaustive()
    }
}

impl<'a> PassCx<'a> {
    /// Passes at a level, with an evaluator of single nodes.
    pub fn new(level: Level, evaluate: Evaluate<'a>) -> PassCx<'a> {
        PassCx {
            level,
            evaluate,
            fold_bytes: 1 << 18,
            disabled: HashSet::new(),
            peak: None,
            applied: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// With a planner, the ledger holds planned peak bytes per pass.
    #[must_use]
    pub fn peak(mut self, peak: &'a dyn Fn(&Graph) -> u64) -> Self {
        self.peak = Some(peak);
        self
    }

    /// May a rule of this name and class fire?
    pub fn may(&self, rule: &str, class: Class) -> bool {
        self.level.admits(class) && !self.disabled.contains(rule)
    }

    /// Notes one application of a rule at a node: `delta` is what was really appended less the
    /// node replaced.
    pub fn applied(&mut self, rule: &str, g: &Graph, at: NodeId, delta: Delta) {
        let entry = self.applied.iter_mut().find(|e| e.rule == rule);
        match entry {
            Some(entry) => {
                entry.applications += 1;
                entry.delta += delta;
            }
            None => self.applied.push(Entry {
                pass: String::new(),
                rule: rule.into(),
                applications: 1,
                delta,
                site: g.origin(at).first().cloned(),
            }),
        }
    }

    /// Notes a rule that matched and did not fire.
    pub fn skip(&mut self, rule: &str, reason: &str) {
        self.skipped.push((rule.into(), reason.into()));
    }

    /// Moves what a pass noted into the ledger; what its rules do not explain is its own.
    pub(crate) fn enter(&mut self, pass: &str, before: Totals, after: Totals, ledger: &mut Ledger) {
        let mut rest = after - before;
        for mut entry in self.applied.drain(..) {
            rest = rest - entry.delta;
            entry.pass = pass.into();
            ledger.push(entry);
        }
        let entry = Entry {
            pass: pass.into(),
            rule: String::new(),
            applications: usize::from(before != after),
            delta: rest,
            site: None,
        };
        ledger.push(entry);
        self.skipped.drain(..).for_each(|(rule, reason)| ledger.skip(&rule, &reason));
    }
}
