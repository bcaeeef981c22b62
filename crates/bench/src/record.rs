//! A measurement, as a line of JSON or a row of a table.

use std::time::{Duration, Instant};

use comfy_table::Table;
use serde::Serialize;

/// One measurement. Times are those of single calls, in µs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    pub(crate) peer: String,
    pub(crate) optimizer: String,
    pub(crate) threads: usize,
    /// Numbers that are trained, in how many tensors.
    pub(crate) params: usize,
    pub(crate) tensors: usize,
    pub(crate) median_us: f64,
    pub(crate) min_us: f64,
    pub(crate) max_us: f64,
    pub(crate) iters: usize,
    /// The least that must be moved: parameters, gradients and slots read, parameters and slots
    /// written, each once.
    pub(crate) bytes: u64,
    /// What the plan moves.
    pub(crate) moved: u64,
    /// `bytes` by the median time.
    pub(crate) gb_s: f64,
    /// The machine's triad with as many threads, in the same run.
    pub(crate) triad_gb_s: f64,
}

/// Times of single calls.
#[derive(Clone, Debug)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    /// Calls `f` for some time to warm up, then call by call for `span`, at least 5 times.
    ///
    /// # Errors
    /// The first of `f`.
    pub(crate) fn of<E>(span: Duration, mut f: impl FnMut() -> Result<(), E>) -> Result<Times, E> {
        let start = Instant::now();
        for i in 0.. {
            f()?;
            if i >= 2 && start.elapsed() > span / 10 {
                break;
            }
        }
        let mut times = Vec::new();
        let start = Instant::now();
        while times.len() < 5 || start.elapsed() < span {
            let call = Instant::now();
            f()?;
            times.push(call.elapsed().as_secs_f64() * 1e6);
        }
        times.sort_by(f64::total_cmp);
        Ok(Times(times))
    }

    /// Number of calls.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Shortest, median and longest time, in µs.
    pub(crate) fn spread(&self) -> [f64; 3] {
        let last = self.0.len().saturating_sub(1);
        [0, last / 2, last].map(|i| self.0.get(i).copied().unwrap_or_default())
    }
}

/// Bytes in a time in µs, as GB/s.
pub(crate) fn gb_s(bytes: u64, us: f64) -> f64 {
    bytes as f64 / us / 1e3
}

/// The measurements as a table.
pub(crate) fn table(records: &[Record]) -> Table {
    let mut table = Table::new();
    table.set_header([
        "peer",
        "optimizer",
        "threads",
        "tensors",
        "median ms",
        "min",
        "max",
        "iters",
        "MB",
        "moved/least",
        "GB/s",
        "triad GB/s",
    ]);
    for r in records {
        table.add_row([
            r.peer.clone(),
            r.optimizer.clone(),
            r.threads.to_string(),
            r.tensors.to_string(),
            format!("{:.3}", r.median_us / 1e3),
            format!("{:.3}", r.min_us / 1e3),
            format!("{:.3}", r.max_us / 1e3),
            r.iters.to_string(),
            format!("{:.1}", r.bytes as f64 / 1e6),
            format!("{:.3}", r.moved as f64 / r.bytes as f64),
            format!("{:.2}", r.gb_s),
            format!("{:.2}", r.triad_gb_s),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_sorted_and_gigabytes_are_decimal() {
        let times = Times::of(Duration::from_millis(2), || Ok::<(), ()>(())).expect("no error");
        let [min, median, max] = times.spread();
        assert!(times.count() >= 5 && min <= median && median <= max);
        assert_eq!(gb_s(2_000_000_000, 1e6), 2.0);
        assert_eq!(Times::of(Duration::ZERO, || Err(7)).unwrap_err(), 7);
    }
}
