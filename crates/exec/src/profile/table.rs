//! A profile as tables.

use std::fmt;

use super::json::us;
use super::{Profile, Timed};

/// Operations or bytes by a time in ns: billions a second.
fn rate(n: u64, ns: u64) -> f64 {
    n as f64 / ns.max(1) as f64
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |ns| format!("{:5.1}%", 100.0 * self.share(ns));
        let (mean, count) = (us(self.ns, self.runs), self.instructions.len());
        writeln!(f, "{} runs, {mean:.3} µs each, {count} instructions", self.runs)?;
        writeln!(f, "      µs  share  GFLOP/s     GB/s  instr  line")?;
        for line in self.lines() {
            let site = if line.site.is_empty() { "(not known)" } else { &line.site };
            let (time, share) = (us(line.ns, self.runs), percent(line.ns));
            let (gflop, gb) = (rate(line.flops, line.ns), rate(line.bytes, line.ns));
            let n = line.instructions;
            writeln!(f, "{time:8.3} {share} {gflop:8.2} {gb:8.2} {n:6}  {site}")?;
        }
        let outside = self.outside();
        let (time, share) = (us(outside, self.runs), percent(outside));
        writeln!(f, "{time:8.3} {share} {:24}  outside of instructions", "")?;
        writeln!(f, "\n      µs  share  GFLOP/s     GB/s     MFLOP        KiB  instruction")?;
        let mut order: Vec<_> = self.instructions.iter().enumerate().collect();
        order.sort_by_key(|(_, timed)| std::cmp::Reverse(timed.ns));
        for (at, timed) in order {
            self.row(f, timed, &format!("#{at}"), "")?;
        }
        Ok(())
    }
}

impl Profile {
    /// An instruction, then the body of a loop, the slowest first.
    fn row(
        &self,
        f: &mut fmt::Formatter<'_>,
        timed: &Timed,
        at: &str,
        indent: &str,
    ) -> fmt::Result {
        let (time, share) = (us(timed.ns, self.runs), 100.0 * self.share(timed.ns));
        let (gflop, gb) = (rate(timed.flops(), timed.ns), rate(timed.bytes(), timed.ns));
        let (mflop, kib) = (timed.work.flops as f64 / 1e6, timed.work.bytes() as f64 / 1024.0);
        let (kernel, node) = (timed.work.kernel, &timed.work.node);
        writeln!(
            f,
            "{time:8.3} {share:5.1}% {gflop:8.2} {gb:8.2} {mflop:9.3} {kib:10.1}  {indent}{at} {kernel:<7} {node}"
        )?;
        let mut order: Vec<_> = timed.body.iter().enumerate().collect();
        order.sort_by_key(|(_, timed)| std::cmp::Reverse(timed.ns));
        let indent = format!("{indent}  ");
        order
            .into_iter()
            .try_for_each(|(i, timed)| self.row(f, timed, &format!("{at}.{i}"), &indent))
    }
}
