//! The ledger as JSON.

use pleach_graph::Site;
use serde_json::{Value, json};

use super::{Entry, Ledger, PassRecord, Skip};
use crate::Totals;

impl Ledger {
    /// The ledger as JSON, for tools. Fields are added only, never renamed:
    ///
    /// ```text
    /// { "version": 1,
    ///   "recorded": TOTALS, "total": TOTALS,          before and after all passes
    ///   "stages": [{ "name", "delta": TOTALS }],
    ///   "passes": [{ "name", "before": TOTALS, "after": TOTALS, "peak_bytes",
    ///                "entries": [{ "rule", "applications", "delta": TOTALS, "site" }],
    ///                "skipped": [{ "rule", "reason", "times", "site" }] }],
    ///   "unused": [names of variables],
    ///   "machine": { "gflops", "gbs", "pj_per_flop", "pj_per_byte", "measured" } }
    /// TOTALS: { "nodes", "flops", "bytes", "params", "time_us", "energy_uj" }, the last two estimated;
    /// site: a string or null
    /// ```
    pub fn to_json(&self) -> String {
        let stage = |e: &Entry| json!({ "name": e.pass, "delta": totals(self, e.delta) });
        let machine = &self.machine;
        let value = json!({
            "version": 1,
            "recorded": totals(self, self.recorded()),
            "total": totals(self, self.sum()),
            "stages": self.stages().iter().map(stage).collect::<Vec<_>>(),
            "passes": self.passes.iter().map(|p| pass(self, p)).collect::<Vec<_>>(),
            "unused": self.unused,
            "machine": {
                "gflops": machine.gflops,
                "gbs": machine.gbs,
                "pj_per_flop": machine.pj_per_flop,
                "pj_per_byte": machine.pj_per_byte,
                "measured": machine.measured,
            },
        });
        format!("{value:#}")
    }
}

fn totals(ledger: &Ledger, t: Totals) -> Value {
    json!({
        "nodes": t.nodes,
        "flops": t.flops,
        "bytes": t.bytes,
        "params": t.params,
        "time_us": ledger.machine.micros(t),
        "energy_uj": ledger.machine.microjoules(t),
    })
}

fn site(site: Option<&Site>) -> Value {
    site.map_or(Value::Null, |site| Value::String(site.to_string()))
}

fn entry(ledger: &Ledger, e: &Entry) -> Value {
    json!({
        "rule": e.rule,
        "applications": e.applications,
        "delta": totals(ledger, e.delta),
        "site": site(e.site.as_ref()),
    })
}

fn skip(s: &Skip) -> Value {
    json!({
        "rule": s.rule,
        "reason": s.reason,
        "times": s.times,
        "site": site(s.site.as_ref()),
    })
}

fn pass(ledger: &Ledger, p: &PassRecord) -> Value {
    json!({
        "name": p.name,
        "before": totals(ledger, p.before),
        "after": totals(ledger, p.after),
        "peak_bytes": p.peak,
        "entries": ledger.of(p).iter().map(|e| entry(ledger, e)).collect::<Vec<_>>(),
        "skipped": p.skipped.iter().map(skip).collect::<Vec<_>>(),
    })
}
