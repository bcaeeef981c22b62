//! A profile as tables.

use std::fmt;

use super::json::us;
use super::{Limits, Profile, Timed};

/// Operations or bytes by a time in ns: billions a second.
fn rate(n: u64, ns: u64) -> f64 {
    n as f64 / ns.max(1) as f64
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_limit = if self.limits.is_some() { "  limit" } else { "" };
        let percent = |ns| format!("{:5.1}%", 100.0 * self.share(ns));
        let (mean, count) = (us(self.ns, self.runs), self.instructions.len());
        writeln!(f, "{} runs, {mean:.3} µs each, {count} instructions", self.runs)?;
        if let Some(Limits { gflops, gbs, measured }) = self.limits {
            let how = if measured { "measured" } else { "assumed" };
            writeln!(f, "limits {gflops:.1} GFLOP/s, {gbs:.1} GB/s ({how})")?;
        }
        writeln!(f, "      µs  share  GFLOP/s     GB/s{of_limit}  instr  line")?;
        for line in self.lines() {
            let site = if line.site.is_empty() { "(not known)" } else { &line.site };
            let (time, share) = (us(line.ns, self.runs), percent(line.ns));
            let (gflop, gb) = (rate(line.flops, line.ns), rate(line.bytes, line.ns));
            let (n, limit) = (line.instructions, self.limit(line.flops, line.bytes, line.ns));
            writeln!(f, "{time:8.3} {share} {gflop:8.2} {gb:8.2}{limit} {n:6}  {site}")?;
        }
        let outside = self.outside();
        let (time, share) = (us(outside, self.runs), percent(outside));
        writeln!(f, "{time:8.3} {share} {:1$}  outside of instructions", "", 24 + of_limit.len())?;
        writeln!(
            f,
            "\n      µs  share  GFLOP/s     GB/s{of_limit}     MFLOP        KiB  instruction"
        )?;
        let mut order: Vec<_> = self.instructions.iter().enumerate().collect();
        order.sort_by_key(|(_, timed)| std::cmp::Reverse(timed.ns));
        for (at, timed) in order {
            self.row(f, timed, &format!("#{at}"), "")?;
        }
        Ok(())
    }
}

impl Profile {
    /// How much of the nearer limit was reached, as a column.
    fn limit(&self, flops: u64, bytes: u64, ns: u64) -> String {
        let reached = self.reached(flops, bytes, ns);
        reached.map_or(String::new(), |share| format!("{:6.0}%", 100.0 * share))
    }

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
        let limit = self.limit(timed.flops(), timed.bytes(), timed.ns);
        let with = timed.work.with.map_or(String::new(), |i| format!("(with #{i}) "));
        writeln!(
            f,
            "{time:8.3} {share:5.1}% {gflop:8.2} {gb:8.2}{limit} {mflop:9.3} {kib:10.1}  {indent}{at} {kernel:<7} {with}{node}"
        )?;
        let mut order: Vec<_> = timed.body.iter().enumerate().collect();
        order.sort_by_key(|(_, timed)| std::cmp::Reverse(timed.ns));
        let indent = format!("{indent}  ");
        order
            .into_iter()
            .try_for_each(|(i, timed)| self.row(f, timed, &format!("{at}.{i}"), &indent))
    }
}
