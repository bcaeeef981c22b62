//! `Profile`: where the time of a step goes, by instruction and by line of the user's code.

mod json;
mod table;

use crate::{Moved, PlanReport};

/// Times of the instructions of a step. `Display` draws tables of lines and of instructions, the
/// slowest first.
///
/// All times are sums over the runs, in ns. A run is from its call to its return: what is not in an
/// instruction (feeds that are checked, memory that is bound) is [`outside`](Profile::outside).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Runs.
    pub runs: u64,
    /// Time of all runs.
    pub ns: u64,
    /// The instructions, in the order of execution.
    pub instructions: Vec<Timed>,
    /// What the machine can do, if that is known.
    pub limits: Option<Limits>,
}

/// What the machine can do, to set beside it what was reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Arithmetic of all threads of the step together, 10⁹ operations a second.
    pub gflops: f64,
    /// Memory, 10⁹ bytes a second.
    pub gbs: f64,
    /// Were they measured on the machine at hand?
    pub measured: bool,
}

impl Limits {
    /// How much of the limit that is nearer was reached: 1 if the time is what the arithmetic, or the
    /// traffic if that takes longer, must take. Traffic within the caches may be faster, and above 1.
    pub fn reached(&self, flops: u64, bytes: u64, ns: u64) -> f64 {
        (flops as f64 / self.gflops).max(bytes as f64 / self.gbs) / ns.max(1) as f64
    }
}

/// An instruction and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// What it computes, where, and what that moves and costs in one run.
    pub work: Moved,
    /// Runs in which it ran.
    pub runs: u64,
    /// Time in all of them. That of what is done [with](Moved::with) another instruction is the other's,
    /// and so is its work.
    pub ns: u64,
    /// The instructions of a loop's body, whose time is part of that of the loop.
    pub body: Vec<Timed>,
}

/// What the instructions of one line of the user's code, in one layer, take together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The layer and the line: `encoder.0 (src/main.rs:3:9)`. Values that a rewrite made of several
    /// lines count for the first of them. Empty if the line is not known, as in graphs read from
    /// text.
    pub site: String,
    /// Number of instructions.
    pub instructions: usize,
    /// Time in all runs.
    pub ns: u64,
    /// Arithmetic operations in all runs.
    pub flops: u64,
    /// Bytes read and written in all runs.
    pub bytes: u64,
}

impl Timed {
    fn new(work: &Moved, clocks: &mut std::slice::Iter<'_, u64>, runs: u64) -> Timed {
        let ns = clocks.next().copied().unwrap_or(0);
        let body = work.body.iter().map(|inner| Timed::new(inner, clocks, runs)).collect();
        Timed { work: work.clone(), runs, ns, body }
    }

    /// Arithmetic operations in all runs.
    pub fn flops(&self) -> u64 {
        self.work.flops.saturating_mul(self.runs)
    }

    /// Bytes read and written in all runs.
    pub fn bytes(&self) -> u64 {
        self.work.bytes().saturating_mul(self.runs)
    }
}

impl Profile {
    /// Adds the instructions of a plan: `clocks` are those of [`Plan::run_timed`](crate::Plan::run_timed),
    /// after this many runs. [`Profile::runs`] and [`Profile::ns`] are left to the caller.
    pub fn add(&mut self, plan: &PlanReport, clocks: &[u64], runs: u64) {
        let (first, mut clocks) = (self.instructions.len(), clocks.iter());
        let timed = plan.moved.iter().map(|work| Timed::new(work, &mut clocks, runs));
        self.instructions.extend(timed);
        for (i, work) in plan.moved.iter().enumerate() {
            let Some(with) = work.with else { continue };
            let own = &mut self.instructions[first + i].work;
            (own.read, own.written, own.flops, own.with) = (0, 0, 0, Some(first + with));
            let other = &mut self.instructions[first + with].work;
            other.read = other.read.saturating_add(work.read);
            other.written = other.written.saturating_add(work.written);
            other.flops = other.flops.saturating_add(work.flops);
        }
    }

    /// Time that no instruction took.
    pub fn outside(&self) -> u64 {
        self.ns.saturating_sub(self.instructions.iter().map(|i| i.ns).sum())
    }

    /// A time as a share of all, 0 to 1; the shares of all instructions and of
    /// [`outside`](Profile::outside) add up to 1.
    pub fn share(&self, ns: u64) -> f64 {
        ns as f64 / self.ns.max(1) as f64
    }

    /// [`Limits::reached`], if the limits are known.
    pub fn reached(&self, flops: u64, bytes: u64, ns: u64) -> Option<f64> {
        self.limits.map(|limits| limits.reached(flops, bytes, ns))
    }

    /// Times by line, the slowest first.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for timed in &self.instructions {
            let at = lines.iter().position(|line| line.site == timed.work.site);
            let at = at.unwrap_or_else(|| {
                lines.push(Line { site: timed.work.site.clone(), ..Line::default() });
                lines.len() - 1
            });
            let line = &mut lines[at];
            line.instructions += 1;
            line.ns += timed.ns;
            line.flops = line.flops.saturating_add(timed.flops());
            line.bytes = line.bytes.saturating_add(timed.bytes());
        }
        lines.sort_by_key(|line| std::cmp::Reverse(line.ns));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn profile() -> Profile {
        let moved = |kernel, node: &str, site: &str, flops| Moved {
            kernel,
            node: node.into(),
            site: site.into(),
            read: 3000,
            written: 1000,
            flops,
            body: Vec::new(),
            with: None,
        };
        let step = Moved {
            body: vec![moved("gemm", "f32[2]", "", 8000)],
            ..moved("repeat", "scan : f32[2]", "", 9000)
        };
        let plan = PlanReport {
            moved: vec![
                moved("gemm", "matmul : f32[2]", "net.0 (a.rs:1:2)", 16_000),
                moved("loop", "add : f32[2]", "", 1000),
                moved("gemm", "matmul : f32[2]", "net.0 (a.rs:1:2)", 2000),
                step,
            ],
            ..PlanReport::default()
        };
        let mut profile = Profile { runs: 2, ns: 10_000, ..Profile::default() };
        profile.add(&plan, &[4000, 2000, 1000, 1000, 800], 2);
        profile
    }

    #[test]
    fn shares_add_up_and_lines_are_sums() {
        let profile = profile();
        assert_eq!(profile.outside(), 2000);
        let lines = profile.lines();
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].ns, lines[0].flops, lines[0].bytes), (5000, 36_000, 16_000));
        let all = lines.iter().map(|l| l.ns).chain([profile.outside()]);
        let sum: f64 = all.map(|ns| profile.share(ns)).sum();
        assert!((sum - 1.0).abs() < 1e-12);
        assert_eq!(Profile::default().share(0), 0.0);
    }

    #[test]
    fn what_is_done_with_another_instruction_counts_there() {
        let plan = PlanReport {
            moved: vec![
                Moved { kernel: "gemm", flops: 100, read: 40, written: 8, ..Moved::default() },
                Moved { kernel: "loop", flops: 7, read: 9, with: Some(0), ..Moved::default() },
            ],
            ..PlanReport::default()
        };
        let mut profile = Profile { runs: 1, ns: 100, ..Profile::default() };
        // Of a step of two plans, the second.
        profile.add(&PlanReport { moved: vec![Moved::default()], ..plan.clone() }, &[5], 1);
        profile.add(&plan, &[50, 1], 1);
        let [_, product, along] = &profile.instructions[..] else { panic!("three instructions") };
        assert_eq!((product.flops(), product.bytes()), (107, 57));
        assert_eq!((along.flops(), along.bytes(), along.work.with), (0, 0, Some(1)));
        assert!(profile.to_string().contains("loop    (with #1)"), "{profile}");
        assert!(profile.to_json().contains("\"with\": 1"), "{}", profile.to_json());
    }

    #[test]
    fn a_profile_is_a_table() {
        expect![[r#"
            2 runs, 5.000 µs each, 4 instructions
                  µs  share  GFLOP/s     GB/s  instr  line
               2.500  50.0%     7.20     3.20      2  net.0 (a.rs:1:2)
               1.500  30.0%     6.67     5.33      2  (not known)
               1.000  20.0%                           outside of instructions

                  µs  share  GFLOP/s     GB/s     MFLOP        KiB  instruction
               2.000  40.0%     8.00     2.00     0.016        3.9  #0 gemm    matmul : f32[2]
               1.000  20.0%     1.00     4.00     0.001        3.9  #1 loop    add : f32[2]
               0.500  10.0%     4.00     8.00     0.002        3.9  #2 gemm    matmul : f32[2]
               0.500  10.0%    18.00     8.00     0.009        3.9  #3 repeat  scan : f32[2]
               0.400   8.0%    20.00    10.00     0.008        3.9    #3.0 gemm    f32[2]
        "#]]
        .assert_eq(&profile().to_string());
    }

    #[test]
    fn what_was_reached_is_set_beside_what_the_machine_can_do() {
        let mut profile = profile();
        assert_eq!(profile.reached(1, 1, 1), None);
        profile.limits = Some(Limits { gflops: 10.0, gbs: 5.0, measured: true });
        // By arithmetic, by traffic.
        assert_eq!(profile.reached(16_000, 4000, 2000), Some(0.8));
        assert_eq!(profile.reached(1000, 8000, 2000), Some(0.8));
        let text = profile.to_string();
        assert!(text.starts_with("2 runs, 5.000 µs each, 4 instructions\nlimits"), "{text}");
        assert!(text.contains("   2.000  40.0%     8.00     2.00    80%     0.016"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&profile.to_json()).expect("JSON");
        assert_eq!(json["limits"]["measured"], true);
        assert_eq!(json["instructions"][1]["of_limit"], 0.8);
    }

    #[test]
    fn a_profile_is_json_and_a_trace() {
        let parse = |text: String| serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        let json = parse(profile().to_json());
        assert_eq!(json["instructions"][0]["flops"], 16_000);
        assert_eq!(json["instructions"][1]["site"], serde_json::Value::Null);
        assert_eq!(json["instructions"][3]["body"][0]["flops"], 8000);
        assert_eq!((&json["outside_us"], &json["lines"][0]["us"]), (&1.0.into(), &2.5.into()));
        let trace = parse(profile().to_chrome_trace());
        let events = trace["traceEvents"].as_array().expect("a list");
        assert_eq!((events[2]["ts"].as_f64(), events[2]["dur"].as_f64()), (Some(3.0), Some(0.5)));
        assert!(events.iter().all(|event| event["ph"] == "X"));
    }
}
