//! A measurement, as a line of JSON or a row of a table.

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
    #[test]
    fn gigabytes_are_decimal() {
        assert_eq!(super::gb_s(2_000_000_000, 1e6), 2.0);
    }
}
