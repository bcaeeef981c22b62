//! Does a process grow while it trains? A million steps of a tiny model, and the resident memory
//! before and after.

use std::error::Error;
use std::time::Instant;

use clap::Args;
use pleach::prelude::F32;
use serde::Serialize;

use crate::memory::{Resident, mib};
use crate::workload::{WORKLOADS, Workload};

/// How long what is trained.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A workload by name.
    #[arg(long, default_value = "tinymlp32_sgd")]
    workload: String,
    /// Steps between the two looks at the memory.
    #[arg(long, default_value_t = 1_000_000)]
    steps: u64,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// What was seen.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    workload: &'static str,
    threads: usize,
    steps: u64,
    /// Resident memory after the first steps, and after all of them.
    before_bytes: u64,
    after_bytes: u64,
    before_mib: f64,
    /// What was added, by what was there.
    growth: f64,
    /// Is that less than a hundredth?
    pub(crate) holds: bool,
    loss_first: f64,
    loss_last: f64,
    seconds: f64,
}

/// Steps before the first look: what the first run prepares is no growth.
const FIRST: usize = 100;

/// The growth that is allowed.
const LIMIT: f64 = 0.01;

/// Trains.
///
/// # Errors
/// An unknown name; what the library refuses; a system that does not say how much is resident.
pub(crate) fn run(options: &Options) -> Result<Measured, Box<dyn Error>> {
    let named = |w: &&Workload| w.name == options.workload;
    let workload = WORKLOADS.iter().find(named);
    let workload =
        workload.ok_or_else(|| format!("there is no workload {:?}", options.workload))?;
    let mut training = workload.prepare(options.threads, F32, || Ok(()))?;
    let loss_first = training.run()?;
    for _ in 1..FIRST {
        training.run()?;
    }
    let (before, start) = (Resident::read()?.now, Instant::now());
    let mut loss_last = loss_first;
    for _ in 0..options.steps {
        loss_last = training.run()?;
    }
    let (seconds, after) = (start.elapsed().as_secs_f64(), Resident::read()?.now);
    let growth = after as f64 / before as f64 - 1.0;
    Ok(Measured {
        workload: workload.name,
        threads: options.threads,
        steps: options.steps,
        before_bytes: before,
        after_bytes: after,
        before_mib: mib(before),
        growth,
        holds: growth < LIMIT,
        loss_first,
        loss_last,
        seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_run_and_memory_is_looked_at() {
        let options = Options { workload: "tinymlp32_sgd".into(), steps: 2000, threads: 1 };
        let measured = run(&options).expect("it runs");
        assert!(measured.loss_last < measured.loss_first, "{measured:?}");
        // Other tests come and go in this process: whether it grows only a process of its own says.
        assert!(measured.before_bytes > 1 << 20 && measured.after_bytes > 1 << 20);
        let unknown = Options { workload: "tiny".into(), ..options };
        assert!(run(&unknown).is_err());
    }
}
