//! The ledger: what recording made, and what each pass and rule changed. The deltas add up.

mod json;
mod table;

use std::ops::Range;

use pleach_graph::Site;

use crate::{Delta, Machine, PassCx, Totals};

/// One line of the ledger: what one stage of recording added, or what one rule changed in one run
/// of a pass, all applications together.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The pass; of a stage of recording, `record forward`.
    pub pass: String,
    /// The rule; empty for a stage. `share` stands for what building anew made equal or simpler.
    pub rule: String,
    /// How often it was applied.
    pub applications: usize,
    /// What it changed.
    pub delta: Delta,
    /// Where in the user's code it was applied first.
    pub site: Option<Site>,
}

/// A rule that matched and did not fire.
#[derive(Clone, Debug, PartialEq)]
pub struct Skip {
    /// The rule.
    pub rule: String,
    /// Why.
    pub reason: String,
    /// How often.
    pub times: usize,
    /// Where in the user's code first.
    pub site: Option<Site>,
}

/// One run of one pass.
#[derive(Clone, Debug, PartialEq)]
pub struct PassRecord {
    /// The pass.
    pub name: String,
    /// The graph before it.
    pub before: Totals,
    /// The graph after it.
    pub after: Totals,
    /// Peak bytes after it: of the planned arena, or of live values in index order.
    pub peak: u64,
    /// Its lines in [`Ledger::entries`]; their deltas add up to `after - before`.
    pub entries: Range<usize>,
    /// What it did not do.
    pub skipped: Vec<Skip>,
}

/// Everything that was done to a graph.
///
/// Law: the totals before, plus all deltas, are the totals after, exactly; for each pass and for
/// all of them together. An application is charged with the nodes that were appended for it, less
/// the node that it replaced. What becomes dead is charged to `prune`, when it goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// The stages of recording, then the rules of each pass, in order.
    pub entries: Vec<Entry>,
    /// The passes, in the order in which they ran.
    pub passes: Vec<PassRecord>,
    /// Variables that the graph recorded and no output needs.
    pub unused: Vec<String>,
    /// By which time and energy are estimated.
    pub machine: Machine,
}

impl Ledger {
    /// A stage of recording ended with these totals of the graph.
    pub fn stage(&mut self, name: &str, totals: Totals) {
        let (pass, rule) = (format!("record {name}"), String::new());
        let delta = totals - self.sum();
        self.entries.push(Entry { pass, rule, applications: 1, delta, site: None });
    }

    /// The stages of recording.
    pub fn stages(&self) -> &[Entry] {
        let end = self.passes.first().map_or(self.entries.len(), |pass| pass.entries.start);
        &self.entries[..end]
    }

    /// The lines of one run of a pass.
    pub fn of(&self, pass: &PassRecord) -> &[Entry] {
        self.entries.get(pass.entries.clone()).unwrap_or_default()
    }

    /// The totals of the graph as it was recorded.
    pub fn recorded(&self) -> Totals {
        self.stages().iter().map(|e| e.delta).sum()
    }

    /// The sum of all deltas: the totals of the graph as it is now.
    pub fn sum(&self) -> Totals {
        self.entries.iter().map(|e| e.delta).sum()
    }

    /// Does the law hold, for each pass and for all together?
    pub fn adds_up(&self) -> bool {
        let mut at = self.recorded();
        self.passes.iter().all(|p| {
            let sum = p.before + self.of(p).iter().map(|e| e.delta).sum();
            p.before == std::mem::replace(&mut at, p.after) && sum == p.after
        })
    }

    /// How often a rule was applied, in all passes together.
    pub fn applications(&self, rule: &str) -> usize {
        self.entries.iter().filter(|e| e.rule == rule).map(|e| e.applications).sum()
    }

    /// Takes what a pass noted in `cx`. What its rules do not explain is its line `share`.
    pub(crate) fn enter(
        &mut self,
        name: &str,
        before: Totals,
        after: Totals,
        peak: u64,
        cx: &mut PassCx<'_>,
    ) {
        let start = self.entries.len();
        self.entries.append(&mut cx.applied);
        let rest = after - before - self.entries[start..].iter().map(|e| e.delta).sum();
        if rest != Totals::default() {
            let (rule, applications) = ("share".into(), rest.nodes.unsigned_abs() as usize);
            let pass = String::new();
            self.entries.push(Entry { pass, rule, applications, delta: rest, site: None });
        }
        self.entries[start..].iter_mut().for_each(|e| e.pass = name.into());
        let entries = start..self.entries.len();
        let skipped = std::mem::take(&mut cx.skipped);
        let name = name.to_string();
        self.passes.push(PassRecord { name, before, after, peak, entries, skipped });
        self.unused.append(&mut cx.unused);
    }
}
