//! Pipelines: lists of passes, as values.

use std::sync::Arc;

use pleach_graph::{NodeMap, Rewrite};
use pleach_ops::{Graph, Op};

use crate::loops;
use crate::{
    Absorb, Associate, Attend, Contract, Defer, Entropy, Fold, Fuse, Hoist, Join, Ledger, Lookup,
    Merge, Outcome, Pass, PassCx, PassError, Pick, Prune, Pull, Remat, Roll, Share, Shrink, Signs,
    Simplify, Slope, Stack, Stash, Totals, Unroll, Winograd,
};

/// A list of passes, in order, and the rules that it leaves out.
#[derive(Clone, Debug)]
pub struct Pipeline {
    passes: Vec<Arc<dyn Pass>>,
    without: Vec<String>,
}

impl Default for Pipeline {
    fn default() -> Pipeline {
        Pipeline::new(vec![
            // First, so that nothing works on what no output needs.
            Arc::new(Prune),
            // Before all that changes what was recorded; loops of a few small steps are none.
            Arc::new(Unroll::default()),
            Arc::new(Roll::default()),
            Arc::new(Attend::default()),
            Arc::new(Entropy),
            // Before rules, which may make different what two loops compute alike.
            Arc::new(Stash::default()),
            // What is left of a gradient's loop: sums, then what needs no loop.
            Arc::new(Defer::default()),
            Arc::new(Hoist::default()),
            // After products of slices became products of rows.
            Arc::new(Lookup),
            // Before rules, which see constants.
            Arc::new(Fold),
            Arc::new(Simplify::default()),
            // Rules see what is next to each other.
            Arc::new(Signs),
            // After rules, which take signs out of sums; what was scattered is often a constant.
            Arc::new(Pick),
            // After rules, which simplify masks; before what becomes of the constants is folded.
            Arc::new(Shrink::default()),
            // Rules bring constants together.
            Arc::new(Fold),
            // After rules, which bring factors together; before products are made of sums.
            Arc::new(Absorb),
            // After rules, which bring products together; before products are made of sums.
            Arc::new(Associate),
            // After rules, which simplify views; it makes views of views.
            Arc::new(Pull::default()),
            Arc::new(Contract),
            // After factors left sums of products.
            Arc::new(Slope),
            // After common factors left sums of products.
            Arc::new(Stack::default()),
            // After chains have their order, and before parts are joined.
            Arc::new(Merge::default()),
            // After products with windows were made of all three parts of a convolution.
            Arc::new(Winograd::default()),
            // Whole loops of small parts are one region of a step.
            Arc::new(Join),
            // What rules made equal or dead, before regions are grown by counting uses.
            Arc::new(Share),
            Arc::new(Prune),
            // Last: rules do not look into regions.
            Arc::new(Fuse::default()),
            // What is in no region takes memory; clones of regions are regions.
            Arc::new(Remat),
            // Splats that went into regions, values that are computed again.
            Arc::new(Prune),
        ])
    }
}

impl Pipeline {
    /// These passes, in order.
    pub fn new(passes: Vec<Arc<dyn Pass>>) -> Pipeline {
        Pipeline { passes, without: Vec::new() }
    }

    /// Leaves out the passes and rules of this name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.passes.retain(|p| p.name() != name);
        self.without.push(name.into());
        self
    }

    /// Adds a pass after the first one of this name; at the end if there is none.
    #[must_use]
    pub fn insert_after(mut self, name: &str, pass: impl Pass + 'static) -> Self {
        let at = self.passes.iter().position(|p| p.name() == name);
        let at = at.map_or(self.passes.len(), |at| at + 1);
        self.passes.insert(at, Arc::new(pass));
        self
    }

    /// Only the first `n` passes.
    #[must_use]
    pub fn prefix(mut self, n: usize) -> Self {
        self.passes.truncate(n);
        self
    }

    /// The passes, in order.
    pub fn passes(&self) -> &[Arc<dyn Pass>] {
        &self.passes
    }

    /// Runs the passes on a graph, whose recording `ledger` may know by stages already. In debug
    /// builds, and with `PLEACH_VERIFY=1`, the graph is verified after each of them.
    ///
    /// # Errors
    /// [`PassError`] that names the pass.
    pub fn run(
        &self,
        g: &Graph,
        cx: &mut PassCx<'_>,
        ledger: &mut Ledger,
    ) -> Result<(Graph, NodeMap), PassError> {
        cx.disabled.extend(self.without.iter().cloned());
        let totals = Totals::of(g);
        if ledger.sum() != totals {
            ledger.stage("graph", totals);
        }
        let mut now = Now { built: None, map: NodeMap::identity(g.len()), totals, peak: None };
        if !g.is_shared() {
            // Built anew through `push`, a raw graph is shared from here on.
            let (copy, map) = g.rebuild(|_, _, _, _| Rewrite::Keep);
            check("copy", g, &copy)?;
            if Totals::of(&copy) == totals {
                cx.ran("copy", g, &copy, &map);
                now.built = Some(copy);
                now.map = map;
            } else {
                now.enter("copy", g, Outcome::Changed(copy, map), cx, ledger)?;
            }
        }
        let mut in_loops = !self.without.iter().any(|name| name == loops::NAME);
        for pass in &self.passes {
            if pass.needs_loops() && std::mem::take(&mut in_loops) {
                self.rewrite_loops(g, &mut now, cx, ledger)?;
            }
            let current = now.graph(g);
            let before = cfg!(debug_assertions).then(|| current.structural_hash());
            let outcome = pass.run(current, cx)?;
            if matches!(outcome, Outcome::Unchanged) {
                let same = before.is_none_or(|hash| hash == current.structural_hash());
                debug_assert!(same, "pass {} changed a graph in place", pass.name());
            }
            now.enter(pass.name(), g, outcome, cx, ledger)?;
        }
        if in_loops {
            self.rewrite_loops(g, &mut now, cx, ledger)?;
        }
        debug_assert!(ledger.adds_up(), "the ledger does not add up:\n{ledger}");
        if let Some(graph) = now.built {
            return Ok((graph, now.map));
        }
        let (copy, map) = g.rebuild(|_, _, _, _| Rewrite::Keep);
        cx.ran("copy", g, &copy, &map);
        Ok((copy, map))
    }

    /// Runs the passes on what one step of each loop does.
    fn rewrite_loops(
        &self,
        g: &Graph,
        now: &mut Now,
        cx: &mut PassCx<'_>,
        ledger: &mut Ledger,
    ) -> Result<(), PassError> {
        let current = now.graph(g);
        let is_loop = |id| current.peek(id, |node| matches!(node.op, Op::Scan(_))) == Some(true);
        if !current.ids().any(is_loop) {
            return Ok(());
        }
        let outcome = loops::run(self, current, cx)?;
        now.enter(loops::NAME, g, outcome, cx, ledger)
    }

    /// As [`Pipeline::run`], with a ledger of its own.
    ///
    /// # Errors
    /// As [`Pipeline::run`].
    pub fn optimize(
        &self,
        g: &Graph,
        cx: &mut PassCx<'_>,
    ) -> Result<(Graph, NodeMap, Ledger), PassError> {
        let mut ledger = Ledger::default();
        let (graph, map) = self.run(g, cx, &mut ledger)?;
        Ok((graph, map, ledger))
    }
}

/// How far a run of passes is.
struct Now {
    /// The graph, if it is no longer the one that was given.
    built: Option<Graph>,
    map: NodeMap,
    totals: Totals,
    /// Its peak bytes, once they were asked for.
    peak: Option<u64>,
}

impl Now {
    fn graph<'g>(&'g self, given: &'g Graph) -> &'g Graph {
        self.built.as_ref().unwrap_or(given)
    }

    /// Takes what a pass made of the graph, and enters it into the ledger. What did not change is not
    /// counted again.
    fn enter(
        &mut self,
        name: &str,
        given: &Graph,
        outcome: Outcome,
        cx: &mut PassCx<'_>,
        ledger: &mut Ledger,
    ) -> Result<(), PassError> {
        let before = self.totals;
        if let Outcome::Changed(next, step) = outcome {
            check(name, self.graph(given), &next)?;
            cx.ran(name, self.graph(given), &next, &step);
            self.map = self.map.then(&step);
            (self.totals, self.peak) = (Totals::of(&next), None);
            self.built = Some(next);
        }
        if let Some((pass, Some(_))) = &mut cx.last
            && pass.is_empty()
        {
            *pass = name.into();
        }
        let graph = self.built.as_ref().unwrap_or(given);
        let peak = *self.peak.get_or_insert_with(|| cx.peak_of(graph));
        ledger.enter(name, before, self.totals, peak, cx);
        Ok(())
    }
}

/// Is the graph that a pass built a graph, with the outputs of the old one?
pub(crate) fn check(pass: &str, old: &Graph, new: &Graph) -> Result<(), PassError> {
    let asked = || std::env::var("PLEACH_VERIFY").is_ok_and(|v| v == "1");
    if cfg!(debug_assertions) || asked() {
        new.verify().map_err(|reason| {
            let (pass, reason) = (pass.to_string(), Box::new(reason));
            PassError::Verify { pass, reason }
        })?;
    }
    let (a, b) = (old.roots(), new.roots());
    let differs = |i: &usize| {
        let (Some(x), Some(y)) = (a.get(*i), b.get(*i)) else { return true };
        let targets = match (x.target, y.target) {
            (None, None) => true,
            (Some(s), Some(t)) => old.op(s) == new.op(t),
            _ => false,
        };
        x.name != y.name || !targets || old.ty(x.value) != new.ty(y.value)
    };
    match (0..a.len().max(b.len())).find(differs) {
        None => Ok(()),
        Some(i) => {
            let output = a.get(i).or(b.get(i)).map_or(String::new(), |root| root.name.to_string());
            Err(PassError::Outputs { pass: pass.into(), output })
        }
    }
}
