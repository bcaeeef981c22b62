//! Whole training steps, by the peers' rule and with their fields.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use comfy_table::Table;
use pleach::prelude::*;
use serde::Serialize;

use crate::memory::{Resident, mib};
use crate::tape;
use crate::times::Times;
use crate::workload::{MEMORY, Training, WORKLOADS, Workload};

/// What is timed, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A workload by name; all of them if none is named.
    #[arg(long)]
    pub(crate) workload: Vec<String>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Seconds to measure each.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// Element type of parameters and inputs: f32, f64, bf16 or f16.
    #[arg(long, default_value_t = F32)]
    pub(crate) float: DType,
    /// Prints where the time goes instead, by line of the model and by instruction.
    #[arg(long)]
    pub(crate) profile: bool,
    /// Writes the profile as a trace for a browser, too: FILE.WORKLOAD.json.
    #[arg(long, requires = "profile")]
    pub(crate) trace: Option<PathBuf>,
}

/// One measurement: times of single steps, in µs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) peer: &'static str,
    pub(crate) workload: &'static str,
    pub(crate) threads: usize,
    pub(crate) float: DType,
    pub(crate) median_us: f64,
    pub(crate) min_us: f64,
    pub(crate) max_us: f64,
    pub(crate) iters: usize,
    #[serde(flatten)]
    pub(crate) more: More,
}

/// Fields that not every workload has.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct More {
    /// Trained numbers; none of a tape.
    pub(crate) params: usize,
    /// Seconds to record, differentiate, optimize and plan.
    pub(crate) compile_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) loss_first: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) loss_last: Option<f64>,
    /// Recording and differentiation, a recorded node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) record_ns: Option<f64>,
    /// A run, a recorded node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_ns: Option<f64>,
    /// Resident memory that compiling and running adds at its peak, to model and batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_delta_mib: Option<f64>,
    /// The plan's arena.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) planned_mib: Option<f64>,
}

const TAPE: &str = "tape_10000_scalar";

/// All names, in order.
pub(crate) fn names() -> Vec<&'static str> {
    WORKLOADS.iter().map(|w| w.name).chain([TAPE, MEMORY.name]).collect()
}

/// Those of the names that are asked for, all if none is.
///
/// # Errors
/// An unknown name.
pub(crate) fn chosen(wanted: &[String]) -> Result<Vec<&'static str>, Box<dyn Error>> {
    let known = names();
    if let Some(name) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("there is no workload {name:?}; there are {}", known.join(", ")).into());
    }
    let asked = |name: &&str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    Ok(known.into_iter().filter(asked).collect())
}

/// Measures or profiles what is asked for, and hands each result to `done`.
///
/// # Errors
/// An unknown name; those of `done`; what the library refuses.
pub(crate) fn run(
    options: &Options,
    mut done: impl FnMut(Done) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    for name in chosen(&options.workload)? {
        let steps = WORKLOADS.iter().chain([&MEMORY]).find(|w| w.name == name);
        done(match steps {
            Some(workload) if options.profile => Done::Profile(profile(workload, options)?),
            Some(workload) => Done::Time(measure(workload, options)?),
            None if options.profile => Done::Profile(profile_tape(options)?),
            None => Done::Time(measure_tape(options)?),
        })?;
    }
    Ok(())
}

/// A result.
pub(crate) enum Done {
    Time(Measured),
    Profile(String),
}

fn span(options: &Options) -> Duration {
    Duration::from_secs_f64(options.seconds.max(0.0))
}

fn measured(workload: &'static str, options: &Options, times: &Times, more: More) -> Measured {
    let [min_us, median_us, max_us] = times.spread();
    let (threads, float, iters) = (options.threads, options.float, times.count());
    Measured { peer: "pleach", workload, threads, float, median_us, min_us, max_us, iters, more }
}

fn measure(workload: &Workload, options: &Options) -> Result<Measured, Box<dyn Error>> {
    let memory = workload.name == MEMORY.name;
    let mut base = 0;
    let mut training = workload.prepare(options.threads, options.float, || {
        base = Resident::read()?.now;
        if memory { Resident::reset_peak() } else { Ok(()) }
    })?;
    let first = training.run()?;
    training.run()?;
    training.run()?;
    let peak = Resident::read()?.peak;
    let times = Times::of(span(options), || training.run().map(drop))?;
    let arena = training.step.report().plan.as_ref().map_or(0, |plan| plan.arena_bytes as u64);
    let more = More {
        params: training.params.count(),
        compile_s: training.compile.as_secs_f64(),
        loss_first: Some(first),
        loss_last: Some(training.run()?),
        peak_delta_mib: memory.then(|| mib(peak.saturating_sub(base))),
        planned_mib: memory.then(|| mib(arena)),
        ..More::default()
    };
    Ok(measured(workload.name, options, &times, more))
}

fn measure_tape(options: &Options) -> Result<Measured, Box<dyn Error>> {
    let recording = || -> Result<(), Box<dyn Error>> {
        let g = Graph::train();
        std::hint::black_box(tape::record(&g));
        Ok(g.check()?)
    };
    let [_, record_us, _] = Times::of(span(options), recording)?.spread();
    let start = Instant::now();
    let (mut step, mut state) = tape::compile(options.threads)?;
    let compile_s = start.elapsed().as_secs_f64();
    let feeds = tape::feeds();
    let run = || -> Result<(), Box<dyn Error>> {
        step.run(&mut state, &feeds)?.scalar("y")?;
        Ok(())
    };
    let times = Times::of(span(options), run)?;
    let a_node = |us: f64| us * 1e3 / tape::NODES as f64;
    let more = More {
        compile_s,
        record_ns: Some(a_node(record_us)),
        run_ns: Some(a_node(times.spread()[1])),
        ..More::default()
    };
    Ok(measured(TAPE, options, &times, more))
}

fn profile(workload: &Workload, options: &Options) -> Result<String, Box<dyn Error>> {
    // What was reached is set beside what the machine can do.
    let compile = Compile::default().threads(options.threads).no_fallback().calibrated();
    let Training { mut step, mut state, batch, .. } =
        workload.prepare_with(compile, options.float, || Ok(()))?;
    profiled(workload.name, options, &mut step, &mut state, &batch)
}

fn profile_tape(options: &Options) -> Result<String, Box<dyn Error>> {
    let (mut step, mut state) = tape::compile(options.threads)?;
    profiled(TAPE, options, &mut step, &mut state, &tape::feeds())
}

/// A profile of as many runs as the time asked for holds, and a line that compares it with runs
/// without clocks.
fn profiled(
    name: &str,
    options: &Options,
    step: &mut Step,
    state: &mut State,
    batch: &[Tensor],
) -> Result<String, Box<dyn Error>> {
    let run = || -> Result<(), Box<dyn Error>> { Ok(step.run(state, batch).map(drop)?) };
    let times = Times::of(span(options) / 2, run)?;
    let [_, median, _] = times.spread();
    let runs = (options.seconds / 2.0 * 1e6 / median).clamp(3.0, 10_000.0) as u64;
    let profile = step.profile(state, batch, runs)?;
    if let Some(path) = &options.trace {
        std::fs::write(format!("{}.{name}.json", path.display()), profile.to_chrome_trace())?;
    }
    let threads = options.threads;
    Ok(format!("{name}, {threads} threads; without clocks {median:.3} µs\n{profile}"))
}

/// The measurements as a table.
pub(crate) fn table(measured: &[Measured]) -> Table {
    let mut table = Table::new();
    let head = ["workload", "threads", "median µs", "min", "max", "iters", "compile s", "loss"];
    table.set_header(head);
    for m in measured {
        let loss = |l: Option<f64>| l.map_or(String::new(), |l| format!("{l:.4}"));
        table.add_row([
            m.workload.into(),
            m.threads.to_string(),
            format!("{:.3}", m.median_us),
            format!("{:.3}", m.min_us),
            format!("{:.3}", m.max_us),
            m.iters.to_string(),
            format!("{:.3}", m.more.compile_s),
            format!("{} to {}", loss(m.more.loss_first), loss(m.more.loss_last)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(workload: &str, profile: bool) -> Options {
        let workload = vec![workload.to_string()];
        Options { workload, threads: 1, float: F32, seconds: 0.01, profile, trace: None }
    }

    #[test]
    fn a_line_has_the_peers_fields() {
        let mut lines = Vec::new();
        let done = |done| {
            let Done::Time(measured) = done else { return Err("not asked for".into()) };
            lines.push(serde_json::to_value(measured)?);
            Ok(())
        };
        run(&options("logreg32_sgd", false), done).expect("it runs");
        let fields = ["median_us", "min_us", "max_us", "iters", "loss_first", "loss_last"];
        assert_eq!((lines.len(), &lines[0]["workload"]), (1, &"logreg32_sgd".into()));
        assert!(fields.iter().all(|field| lines[0][field].as_f64() > Some(0.0)), "{lines:?}");
        assert!(lines[0].get("record_ns").is_none());
    }

    #[test]
    fn a_profile_names_lines_of_the_model() {
        let mut text = String::new();
        let done = |done| {
            let Done::Profile(profile) = done else { return Err("not asked for".into()) };
            text = profile;
            Ok(())
        };
        run(&options("tinymlp32_sgd", true), done).expect("it runs");
        assert!(text.contains("bench/src/workload.rs:"), "{text}");
    }

    #[test]
    fn unknown_names_are_refused() {
        let error = run(&options("mlp", false), |_| Ok(())).expect_err("refused");
        assert!(error.to_string().contains("mlp64_sgdm"), "{error}");
    }
}
