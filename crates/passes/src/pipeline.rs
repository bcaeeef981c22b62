//! Pipelines: lists of passes, as values.

use pleach_graph::NodeMap;
use pleach_ops::Graph;

use crate::{Fold, Fuse, Ledger, Outcome, Pass, PassCx, PassError, Prune, Share, Simplify, Totals};

/// A list of passes, in order.
#[derive(Debug)]
pub struct Pipeline {
    passes: Vec<Box<dyn Pass>>,
    without: Vec<String>,
}

impl Default for Pipeline {
    /// Dead nodes first, so that nothing works on them; constants, then algebra, which sees them;
    /// what has become dead or equal; fusion last, for rules do not look into regions.
    fn default() -> Pipeline {
        Pipeline::new(vec![
            Box::new(Prune),
            Box::new(Fold),
            Box::new(Simplify::default()),
            Box::new(Share),
            Box::new(Prune),
            Box::new(Fuse::default()),
            Box::new(Prune),
        ])
    }
}

impl Pipeline {
    /// These passes, in order.
    pub fn new(passes: Vec<Box<dyn Pass>>) -> Pipeline {
        Pipeline { passes, without: Vec::new() }
    }

    /// Leaves out passes or rules of this name.
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
        self.passes.insert(at, Box::new(pass));
        self
    }

    /// Only the first `n` passes.
    #[must_use]
    pub fn prefix(mut self, n: usize) -> Self {
        self.passes.truncate(n);
        self
    }

    /// Names of the passes.
    pub fn names(&self) -> Vec<&'static str> {
        self.passes.iter().map(|p| p.name()).collect()
    }

    /// Runs the passes. In debug builds, and with `PLEACH_VERIFY=1`, the graph is verified after
    /// each of them.
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
        let verify = cfg!(debug_assertions) || std::env::var_os("PLEACH_VERIFY").is_some();
        let before = Totals::of(g);
        if ledger.totals != before {
            ledger.stage("graph", before);
        }
        let (mut current, mut map) = g.rebuild(|_, _, _, _| pleach_graph::Rewrite::Keep);
        let mut totals = Totals::of(&current);
        cx.enter("rebuild", before, totals, ledger);
        for pass in &self.passes {
            let outcome = pass.run(&current, cx)?;
            if let Outcome::Changed(next, step) = outcome {
                if verify {
                    check(pass.name(), &current, &next)?;
                }
                map = map.then(&step);
                current = next;
            }
            let after = Totals::of(&current);
            cx.enter(pass.name(), totals, after, ledger);
            totals = after;
            if let Some(peak) = cx.peak {
                ledger.peaks.push((pass.name().into(), peak(&current)));
            }
        }
        Ok((current, map))
    }
}

fn check(pass: &str, old: &Graph, new: &Graph) -> Result<(), PassError> {
    new.verify().map_err(|reason| PassError::Verify { pass: pass.into(), reason })?;
    let (a, b) = (old.roots(), new.roots());
    let same = a.len() == b.len()
        && a.iter().zip(&b).all(|(x, y)| {
            x.name == y.name
                && x.target.is_some() == y.target.is_some()
                && old.ty(x.value) == new.ty(y.value)
        });
    if same { Ok(()) } else { Err(PassError::Outputs { pass: pass.into() }) }
}
