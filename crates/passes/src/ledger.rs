//! The ledger: what recording made, and what each pass and rule changed. The deltas add up.

use std::collections::HashSet;
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use pleach_graph::{NodeId, Site};
use pleach_ops::{Graph, Kind, Op};
use pleach_tensor::Type;

/// Size and work of a graph: every recorded node counts, dead ones too, each run by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Nodes.
    pub nodes: i64,
    /// Arithmetic operations.
    pub flops: i64,
    /// Bytes read and written.
    pub bytes: i64,
    /// Trained numbers.
    pub params: i64,
}

/// A change of [`Totals`].
pub type Delta = Totals;

impl Totals {
    /// The totals of a graph.
    pub fn of(g: &Graph) -> Totals {
        let mut seen = HashSet::new();
        g.ids().fold(Totals::default(), |sum, id| {
            let mut own = Totals::of_node(g, id);
            if let Op::Variable(v) = g.op(id)
                && v.kind() == Kind::Param
                && seen.insert(v.clone())
            {
                own.params = v.ty().numel() as i64;
            }
            sum + own
        })
    }

    /// One node, without parameters.
    pub fn of_node(g: &Graph, id: NodeId) -> Totals {
        let node = g.node(id);
        let nodes: Vec<_> = node.inputs.iter().map(|&x| g.node(x)).collect();
        let types: Vec<&Type> = nodes.iter().map(|n| &n.ty).collect();
        let cost = node.op.cost(&types, &node.ty);
        Totals { nodes: 1, flops: cost.flops as i64, bytes: cost.bytes as i64, params: 0 }
    }
}

impl Add for Totals {
    type Output = Totals;
    fn add(self, o: Totals) -> Totals {
        Totals {
            nodes: self.nodes + o.nodes,
            flops: self.flops + o.flops,
            bytes: self.bytes + o.bytes,
            params: self.params + o.params,
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, o: Totals) {
        *self = *self + o;
    }
}

impl Sub for Totals {
    type Output = Totals;
    fn sub(self, o: Totals) -> Totals {
        Totals {
            nodes: self.nodes - o.nodes,
            flops: self.flops - o.flops,
            bytes: self.bytes - o.bytes,
            params: self.params - o.params,
        }
    }
}

/// What one rule of one pass changed, all applications together.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The pass, or the stage of recording.
    pub pass: String,
    /// The rule; empty for the pass itself.
    pub rule: String,
    /// How often it was applied.
    pub applications: usize,
    /// What it changed.
    pub delta: Delta,
    /// Where in the user's code it was applied first.
    pub site: Option<Site>,
}

/// Everything that was done to a graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// In order: the stages of recording, then each pass and rule.
    pub entries: Vec<Entry>,
    /// Rules that matched and did not fire: rule, reason, how often.
    pub skipped: Vec<(String, String, usize)>,
    /// Planned peak bytes before and after each pass, if a planner was given.
    pub peaks: Vec<(String, u64)>,
    /// The totals that all deltas so far add up to.
    pub totals: Totals,
}

impl Ledger {
    /// A stage of recording ended with these totals of the graph.
    pub fn stage(&mut self, name: &str, totals: Totals) {
        let delta = totals - self.totals;
        self.push(Entry {
            pass: format!("record {name}"),
            rule: String::new(),
            applications: 1,
            delta,
            site: None,
        });
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.totals += entry.delta;
        self.entries.push(entry);
    }

    pub(crate) fn skip(&mut self, rule: &str, reason: &str) {
        match self.skipped.iter_mut().find(|(r, why, _)| r == rule && why == reason) {
            Some((_, _, n)) => *n += 1,
            None => self.skipped.push((rule.into(), reason.into(), 1)),
        }
    }

    /// The sum of all deltas: equal to [`Ledger::totals`].
    pub fn sum(&self) -> Totals {
        self.entries.iter().fold(Totals::default(), |sum, e| sum + e.delta)
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<28} {:>6} {:>8} {:>13} {:>13} {:>9}",
            "", "times", "nodes", "FLOPs", "bytes", "params"
        )?;
        for e in &self.entries {
            let name =
                if e.rule.is_empty() { e.pass.clone() } else { format!("{}: {}", e.pass, e.rule) };
            let d = e.delta;
            write!(
                f,
                "{name:<28} {:>6} {:>+8} {:>+13} {:>+13} {:>+9}",
                e.applications, d.nodes, d.flops, d.bytes, d.params
            )?;
            match &e.site {
                Some(site) => writeln!(f, "  first at {site}")?,
                None => writeln!(f)?,
            }
        }
        let t = self.totals;
        writeln!(
            f,
            "{:<28} {:>6} {:>8} {:>13} {:>13} {:>9}",
            "total", "", t.nodes, t.flops, t.bytes, t.params
        )?;
        for (rule, reason, n) in &self.skipped {
            writeln!(f, "{rule} did not fire {n} times: {reason}")?;
        }
        if !self.peaks.is_empty() {
            let kib = |b: u64| format!("{:.1}", b as f64 / 1024.0);
            let list: Vec<String> =
                self.peaks.iter().map(|(pass, b)| format!("{pass} {}", kib(*b))).collect();
            writeln!(f, "peak KiB of the arena: {}", list.join(", "))?;
        }
        Ok(())
    }
}
