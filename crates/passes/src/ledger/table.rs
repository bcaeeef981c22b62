//! The ledger as a table.

use std::fmt;

use pleach_graph::Site;

use super::Ledger;
use crate::{Machine, Totals};

/// One line: name, times, six numbers, remark.
struct Line(String, String, [String; 6], String);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line(name, times, [nodes, flops, bytes, params, time, energy], remark) = self;
        let line = format!(
            "{name:<26} {times:>6} {nodes:>8} {flops:>14} {bytes:>14} {params:>10} {time:>10} {energy:>10}  {remark}"
        );
        writeln!(f, "{}", line.trim_end())
    }
}

fn change(machine: &Machine, d: Totals) -> [String; 6] {
    let [nodes, flops, bytes, params] = [d.nodes, d.flops, d.bytes, d.params]
        .map(|n| if n == 0 { "0".into() } else { format!("{n:+}") });
    let [time, energy] = [machine.micros(d), machine.microjoules(d)]
        .map(|x| if x == 0.0 { "0".into() } else { format!("{x:+.1}") });
    [nodes, flops, bytes, params, time, energy]
}

fn size(machine: &Machine, t: Totals) -> [String; 6] {
    let [nodes, flops, bytes, params] =
        [t.nodes, t.flops, t.bytes, t.params].map(|n| n.to_string());
    let [time, energy] = [machine.micros(t), machine.microjoules(t)].map(|x| format!("{x:.1}"));
    [nodes, flops, bytes, params, time, energy]
}

fn at(site: Option<&Site>) -> String {
    site.map_or(String::new(), |site| format!("first at {site}"))
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blank = String::new;
        let change = |d| change(&self.machine, d);
        let size = |t| size(&self.machine, t);
        let head = ["nodes", "FLOPs", "bytes", "params", "~µs", "~µJ"].map(String::from);
        write!(f, "{}", Line(blank(), "times".into(), head, blank()))?;
        for stage in self.stages() {
            let name = stage.pass.clone();
            write!(f, "{}", Line(name, blank(), change(stage.delta), blank()))?;
        }
        write!(f, "{}", Line("recorded".into(), blank(), size(self.recorded()), blank()))?;
        for pass in &self.passes {
            let peak = format!("peak {:.1} KiB", pass.peak as f64 / 1024.0);
            let name = pass.name.clone();
            write!(f, "{}", Line(name, blank(), change(pass.after - pass.before), peak))?;
            for e in self.of(pass) {
                let (name, times) = (format!("  {}", e.rule), e.applications.to_string());
                write!(f, "{}", Line(name, times, change(e.delta), at(e.site.as_ref())))?;
            }
        }
        write!(f, "{}", Line("total".into(), blank(), size(self.sum()), blank()))?;
        writeln!(f, "~ is an estimate by {}", self.machine)?;
        for skip in self.passes.iter().flat_map(|p| &p.skipped) {
            let times =
                if skip.times == 1 { "once".into() } else { format!("{} times", skip.times) };
            let line = format!(
                "{} did not fire, {times}: {}  {}",
                skip.rule,
                skip.reason,
                at(skip.site.as_ref())
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        if !self.unused.is_empty() {
            writeln!(f, "recorded and not used: {}", self.unused.join(", "))?;
        }
        Ok(())
    }
}
