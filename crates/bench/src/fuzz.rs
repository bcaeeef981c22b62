//! Random graphs through all engines: a test that is too long for `cargo test`.

use std::error::Error;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Args;
use comfy_table::Table;
use pleach::check::{Seen, engines};
use pleach::prelude::*;
use serde::Serialize;

/// How many graphs.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Random graphs.
    #[arg(long, default_value_t = 100_000)]
    graphs: u64,
    /// What they are drawn from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Graphs at the same time.
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// Stops after so many that fail.
    #[arg(long, default_value_t = 3)]
    failures: usize,
}

/// What was run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Fuzzed {
    seed: u64,
    graphs: u64,
    nodes: usize,
    with_loops: u64,
    with_draws: u64,
    with_shared_params: u64,
    rules_reversed: usize,
    seconds: f64,
    failures: usize,
}

impl Fuzzed {
    fn add(&mut self, seen: Seen) {
        self.graphs += 1;
        self.nodes += seen.nodes;
        self.with_loops += u64::from(seen.loops > 0);
        self.with_draws += u64::from(seen.draws > 0);
        self.with_shared_params += u64::from(seen.uses > 1);
        self.rules_reversed += seen.reversed;
    }
}

/// Runs graphs, says every minute how far it is, and hands every failure to `failed`.
///
/// # Errors
/// If a graph failed.
pub(crate) fn run(
    options: &Options,
    failed: impl Fn(&str) + Sync,
) -> Result<Vec<Fuzzed>, Box<dyn Error>> {
    let (start, next) = (Instant::now(), AtomicU64::new(0));
    let done = Mutex::new(Fuzzed { seed: options.seed, ..Fuzzed::default() });
    let work = || {
        let lock = || done.lock().unwrap_or_else(|broken| broken.into_inner());
        while lock().failures < options.failures {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= options.graphs {
                return;
            }
            let found = engines(Key(options.seed).fold(number));
            let mut done = lock();
            match found {
                Ok(seen) => done.add(seen),
                Err(why) => {
                    done.failures += 1;
                    failed(&format!("graph {number}: {why}"));
                }
            }
            let every = (options.graphs / 20).max(1);
            if (number + 1).is_multiple_of(every) {
                let seconds = start.elapsed().as_secs_f64();
                eprintln!("{} graphs, {seconds:.0} s, {} failed", number + 1, done.failures);
            }
        }
    };
    std::thread::scope(|s| (0..options.threads.max(1)).for_each(|_| drop(s.spawn(work))));
    let mut done = done.into_inner().unwrap_or_else(|broken| broken.into_inner());
    done.seconds = start.elapsed().as_secs_f64();
    match done.failures {
        0 => Ok(vec![done]),
        n => Err(format!("{n} graphs failed: {done:?}").into()),
    }
}

/// The result as a table.
pub(crate) fn table(fuzzed: &[Fuzzed]) -> Table {
    let mut table = Table::new();
    table.set_header(["graphs", "nodes", "loops", "draws", "shared", "reversed", "seconds"]);
    for f in fuzzed {
        table.add_row([
            f.graphs.to_string(),
            f.nodes.to_string(),
            f.with_loops.to_string(),
            f.with_draws.to_string(),
            f.with_shared_params.to_string(),
            f.rules_reversed.to_string(),
            format!("{:.0}", f.seconds),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_of_graphs_are_drawn_and_counted() {
        let options = Options { graphs: 60, seed: 1, threads: 2, failures: 1 };
        let done = run(&options, |why| panic!("{why}")).expect("all engines agree");
        let done = &done[0];
        assert_eq!(done.graphs, 60);
        let kinds = [done.with_loops, done.with_draws, done.with_shared_params];
        assert!(kinds.iter().all(|&n| n > 5) && done.rules_reversed > 20, "{done:?}");
    }
}
