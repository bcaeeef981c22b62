//! A profile as JSON, and as a trace for a browser.

use serde_json::{Value, json};

use super::{Limits, Profile, Timed};

/// Nanoseconds of some runs as µs a run.
pub(super) fn us(ns: u64, runs: u64) -> f64 {
    ns as f64 / 1e3 / runs.max(1) as f64
}

fn site(site: &str) -> Value {
    if site.is_empty() { Value::Null } else { site.into() }
}

impl Profile {
    /// The profile as JSON, for tools; times, operations and bytes are those of one run. Fields are
    /// added only, never renamed:
    ///
    /// ```text
    /// { "version": 1, "runs", "us", "outside_us", "limits": { "gflops", "gbs", "measured" },
    ///   "lines": [{ "site", "instructions", "us", "share", "flops", "bytes", "of_limit" }],
    ///   "instructions": [{ "kernel", "node", "site", "us", "share", "flops", "read", "written",
    ///     "of_limit", "body", "with" }] }
    /// site: a string or null; lines: the slowest first; instructions: in order; body: the
    /// instructions of a loop, in all steps; of_limit: Limits::reached; with: the number of the instruction
    /// that does this one too, and counts its time and work; it, of_limit and limits may be null
    /// ```
    pub fn to_json(&self) -> String {
        let lines = self.lines();
        let line = lines.iter().map(|line| {
            json!({
                "site": site(&line.site),
                "instructions": line.instructions,
                "us": us(line.ns, self.runs),
                "share": self.share(line.ns),
                "flops": line.flops / self.runs.max(1),
                "bytes": line.bytes / self.runs.max(1),
                "of_limit": self.reached(line.flops, line.bytes, line.ns),
            })
        });
        let instruction = self.instructions.iter().map(|timed| self.instruction(timed));
        let value = json!({
            "version": 1,
            "runs": self.runs,
            "us": us(self.ns, self.runs),
            "outside_us": us(self.outside(), self.runs),
            "limits": self.limits.map(|Limits { gflops, gbs, measured }| {
                json!({ "gflops": gflops, "gbs": gbs, "measured": measured })
            }),
            "lines": line.collect::<Vec<_>>(),
            "instructions": instruction.collect::<Vec<_>>(),
        });
        format!("{value:#}")
    }

    fn instruction(&self, timed: &Timed) -> Value {
        let body: Vec<Value> = timed.body.iter().map(|inner| self.instruction(inner)).collect();
        json!({
            "kernel": timed.work.kernel,
            "node": timed.work.node,
            "site": site(&timed.work.site),
            "us": us(timed.ns, timed.runs),
            "share": self.share(timed.ns),
            "flops": timed.work.flops,
            "read": timed.work.read,
            "written": timed.work.written,
            "of_limit": self.reached(timed.flops(), timed.bytes(), timed.ns),
            "body": body,
            "with": timed.work.with,
        })
    }

    /// One mean run as a trace in the format of Chrome, for `chrome://tracing` or Perfetto: one
    /// instruction after the other, without the gaps between them.
    ///
    /// **Source** Trace Event Format, complete events.
    pub fn to_chrome_trace(&self) -> String {
        let mut at = 0.0;
        let events = self.instructions.iter().map(|timed| {
            let (start, length) = (at, us(timed.ns, timed.runs));
            at += length;
            json!({
                "name": timed.work.node,
                "cat": timed.work.kernel,
                "ph": "X",
                "ts": start,
                "dur": length,
                "pid": 0,
                "tid": 0,
                "args": {
                    "site": site(&timed.work.site),
                    "flops": timed.work.flops,
                    "read": timed.work.read,
                    "written": timed.work.written,
                    "of_limit": self.reached(timed.flops(), timed.bytes(), timed.ns),
                },
            })
        });
        json!({ "traceEvents": events.collect::<Vec<_>>(), "displayTimeUnit": "ns" }).to_string()
    }
}
