//! What a pass is, and what it is given.

use std::collections::HashSet;
use std::fmt;

use pleach_graph::{NodeId, NodeMap, VerifyError};
use pleach_ops::{EvalError, Graph, Op};
use pleach_tensor::{Tensor, Type};
use thiserror::Error;

use crate::bisect::Rewritten;
use crate::trace::{Trace, node_of};
use crate::{Class, Classes, Delta, Entry, Level, Skip, live_bytes};

/// Evaluates one node as a run would: folded and run-time values must agree.
pub type Evaluate<'a> = &'a dyn Fn(&Op, &[&Tensor], &Type) -> Result<Tensor, EvalError>;

/// A rewrite of a whole graph.
pub trait Pass: fmt::Debug + Send + Sync {
    /// A verb: `fold`. What `without` takes.
    fn name(&self) -> &'static str;

    /// The weakest class of anything it does.
    fn class(&self) -> Classes;

    /// Names of the rules that can be left out one by one: all that it enters into the ledger, but for its own name.
    fn rules(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Does it go by what a run takes? Then the steps of loops are rewritten before it, and not last.
    fn needs_loops(&self) -> bool {
        false
    }

    /// Rewrites the graph by building it anew. Keeps number, order, names and types of outputs
    /// and assignments.
    ///
    /// # Errors
    /// [`PassError`] if it meets what it cannot handle.
    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError>;
}

/// What a pass did.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for each run of a pass")]
pub enum Outcome {
    /// Nothing.
    Unchanged,
    /// This graph has the same outputs; old nodes went where the map says.
    Changed(Graph, NodeMap),
}

/// Why a pass failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PassError {
    /// The graph it built breaks an invariant: a defect of the pass.
    #[error("pass {pass} broke the graph: {reason}")]
    Verify {
        /// The pass.
        pass: String,
        /// The invariant.
        reason: Box<VerifyError>,
    },
    /// Outputs or assignments are not the same any more: a defect of the pass.
    #[error("pass {pass} changed output {output:?}")]
    Outputs {
        /// The pass.
        pass: String,
        /// The first that differs.
        output: String,
    },
    /// What the pass itself says.
    #[error("pass {pass}: {reason}")]
    Failed {
        /// The pass.
        pass: String,
        /// The reason.
        reason: String,
    },
}

/// What passes are given. It knows neither kernels nor plans: the facade hands in two functions.
pub struct PassCx<'a> {
    /// Which classes may fire.
    pub level: Level,
    /// Evaluates one node.
    pub evaluate: Evaluate<'a>,
    /// Most elements of a folded constant, unless the constants it is made of are larger.
    pub fold_elements: usize,
    /// Most bytes that all folded constants together may add.
    pub fold_bytes: usize,
    /// Names of rules that must not fire.
    pub disabled: HashSet<String>,
    /// Rewrites that may still be applied: bisects a defect. `None`: any number.
    pub max_rewrites: Option<usize>,
    /// Most peak bytes that the graph may take, if there is room for compromise: what
    /// [`Remat`](crate::Remat) works for.
    pub max_peak_bytes: Option<u64>,
    peak: Option<&'a dyn Fn(&Graph) -> u64>,
    /// Is the graph the step of a loop?
    pub(crate) in_loop: bool,
    pub(crate) applied: Vec<Entry>,
    pub(crate) skipped: Vec<Skip>,
    pub(crate) unused: Vec<String>,
    /// The pass and the rewrite with which `max_rewrites` was used up.
    pub(crate) last: Option<(String, Option<Rewritten>)>,
    pub(crate) trace: Option<Trace>,
    steps: u64,
}

impl fmt::Debug for PassCx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassCx")
            .field("level", &self.level)
            .field("disabled", &self.disabled)
            .field("max_rewrites", &self.max_rewrites)
            .finish_non_exhaustive()
    }
}

impl<'a> PassCx<'a> {
    /// Passes at a level, with an evaluator of single nodes.
    pub fn new(level: Level, evaluate: Evaluate<'a>) -> PassCx<'a> {
        PassCx {
            level,
            evaluate,
            fold_elements: 1 << 16,
            fold_bytes: 4 << 20,
            disabled: HashSet::new(),
            max_rewrites: None,
            max_peak_bytes: None,
            peak: None,
            in_loop: false,
            applied: Vec::new(),
            skipped: Vec::new(),
            unused: Vec::new(),
            last: None,
            trace: None,
            steps: 0,
        }
    }

    /// Passes at a level, with the reference evaluation of every operator.
    pub fn reference(level: Level) -> PassCx<'static> {
        PassCx::new(level, &|op, x, y| op.eval(x, y))
    }

    /// The ledger holds the peak bytes that this planner gives, instead of [`live_bytes`].
    #[must_use]
    pub fn peak(mut self, peak: &'a dyn Fn(&Graph) -> u64) -> Self {
        self.peak = Some(peak);
        self
    }

    /// At most `n` rewrites.
    #[must_use]
    pub fn max_rewrites(mut self, n: usize) -> Self {
        self.max_rewrites = Some(n);
        self
    }

    /// Peak bytes of a graph.
    pub fn peak_of(&self, g: &Graph) -> u64 {
        self.peak.map_or_else(|| live_bytes(g), |peak| peak(g))
    }

    /// May a rule of this name and class fire?
    pub fn may(&self, rule: &str, class: Class) -> bool {
        self.level.admits(class) && self.max_rewrites != Some(0) && !self.disabled.contains(rule)
    }

    /// Notes one application of a rule at a node of `g`: `delta` is what was appended for it less
    /// what it replaced at once. What it leaves behind without a use is charged to `prune`.
    pub fn applied(&mut self, rule: &str, g: &Graph, at: NodeId, delta: Delta) {
        if let Some(left) = &mut self.max_rewrites {
            if *left == 1 {
                let (rule, node) = (rule.to_string(), node_of(g, at));
                let site = g.origin(at).first().cloned();
                self.last = Some((String::new(), Some(Rewritten { rule, node, site })));
            }
            *left = left.saturating_sub(1);
        }
        self.made(rule, at);
        self.enter(rule, g, at, delta);
    }

    /// Keeps, from now on, which rules made every node: see [`PassCx::trace`].
    #[must_use]
    pub fn traced(mut self) -> Self {
        self.trace = Some(Trace::default());
        self
    }

    /// Which rules made the nodes of the graph that a pipeline built, if it was
    /// [`traced`](PassCx::traced).
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// A rule rewrote a node of the graph that the trace is about.
    pub(crate) fn made(&mut self, rule: &str, at: NodeId) {
        if let Some(trace) = &mut self.trace {
            trace.applied(rule, at);
        }
    }

    /// For a pass that builds several graphs in a row and notes rewrites of each: says after each
    /// of them where nodes went, for the trace. Other passes need not.
    pub fn rebuilt(&mut self, pass: &str, old: &Graph, new: &Graph, map: &NodeMap) {
        if let Some(trace) = &mut self.trace {
            trace.rebuilt(pass, old, new, map);
        }
    }

    /// A pass has run, which may have said so itself.
    pub(crate) fn ran(&mut self, pass: &str, old: &Graph, new: &Graph, map: &NodeMap) {
        if let Some(trace) = &mut self.trace {
            trace.ran(pass, old, new, map);
        }
    }

    /// As [`PassCx::applied`], for what is no rewrite that [`PassCx::max_rewrites`] counts.
    pub(crate) fn enter(&mut self, rule: &str, g: &Graph, at: NodeId, delta: Delta) {
        match self.applied.iter_mut().find(|e| e.rule == rule) {
            Some(entry) => {
                entry.applications += 1;
                entry.delta += delta;
            }
            None => {
                let site = g.origin(at).first().cloned();
                let (pass, rule) = (String::new(), rule.to_string());
                self.applied.push(Entry { pass, rule, applications: 1, delta, site });
            }
        }
    }

    /// Notes a rule that matched at a node of `g` and did not fire, and why.
    pub fn skip(&mut self, rule: &str, g: &Graph, at: NodeId, reason: &str) {
        match self.skipped.iter_mut().find(|s| s.rule == rule && s.reason == reason) {
            Some(skip) => skip.times += 1,
            None => {
                let site = g.origin(at).first().cloned();
                let (rule, reason) = (rule.to_string(), reason.to_string());
                self.skipped.push(Skip { rule, reason, times: 1, site });
            }
        }
    }

    /// Notes a variable that the graph records and no output needs.
    pub fn unused(&mut self, variable: &str) {
        self.unused.push(variable.to_string());
    }

    /// Notes work: nodes and operands looked at. Tests of linear time compare it.
    pub fn step(&mut self, n: u64) {
        self.steps += n;
    }

    /// All work noted so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }
}
