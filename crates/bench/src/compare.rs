//! Pleach and its peers on the same steps, one after the other, again and again.

mod peers;
mod table;

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::Value;

use crate::step;
use peers::{Peer, Threads};

/// What is compared, and where the results go.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A workload by name; all of them if none is named.
    #[arg(long)]
    workload: Vec<String>,
    /// Numbers of threads, one after the other.
    #[arg(long, default_values_t = [1])]
    threads: Vec<usize>,
    /// Times that all of them take their turn.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Seconds of a measurement.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// The Python that has the peers.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// A name for the machine; its processor and number of cores if nothing is said.
    #[arg(long)]
    machine: Option<String>,
    /// Where a folder `<date>-<machine>` is written.
    #[arg(long, default_value = "docs/benchmarks")]
    out: PathBuf,
}

/// Runs everybody in turn and writes `README.md` and `raw.jsonl`. Progress, and whoever is skipped, is
/// told on the standard error.
///
/// # Errors
/// An unknown workload, pleach failing, files that cannot be written. A peer that fails is no error:
/// it is told, and stands in the table.
pub(crate) fn run(options: &Options) -> Result<PathBuf, Box<dyn Error>> {
    let known = step::names();
    let wanted = step::chosen(&options.workload)?;
    let (peers, skipped) = peers::installed(&options.python);
    for (name, why) in &skipped {
        eprintln!("SKIPPED {name}: {why}");
    }
    let machine = options.machine.clone().unwrap_or_else(machine);
    let folder = options.out.join(format!("{}-{machine}", date(now())));
    fs::create_dir_all(&folder)?;
    let mut raw = fs::File::create(folder.join("raw.jsonl"))?;
    let mut lines: Vec<Value> = Vec::new();
    for round in 0..options.rounds.max(1) {
        for workload in &wanted {
            for &threads in &options.threads {
                for peer in [&Peer::pleach()?].into_iter().chain(&peers) {
                    if !peer.has(workload) {
                        continue;
                    }
                    eprintln!("round {}, {workload}, {threads} threads: {}", round + 1, peer.name);
                    let found = peer.time(workload, Threads(threads), options.seconds);
                    let found = match found {
                        Err(error) if peer.is_pleach() => return Err(error),
                        Err(error) => {
                            eprintln!("FAILED {}: {error}", peer.name);
                            vec![peers::failure(peer, workload, threads, &error.to_string())]
                        }
                        Ok(found) => found,
                    };
                    for line in found {
                        writeln!(raw, "{line}")?;
                        lines.push(line);
                    }
                }
            }
        }
    }
    let heading = format!("Training steps, {} on {machine}", date(now()));
    let text = table::markdown(&heading, &known, &lines, &skipped, &command());
    fs::write(folder.join("README.md"), text)?;
    Ok(folder)
}

/// How this was called, without the place of the program.
fn command() -> String {
    let args: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo run --release -p pleach-bench -- {}", args.join(" "))
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The date in UTC, `2026-11-24`. **Source** Hinnant, `civil_from_days`.
fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + u64::from(month <= 2))
}

/// The processor and the number of cores, as a word.
fn machine() -> String {
    let info = fs::read_to_string(Path::new("/proc/cpuinfo")).unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let words: Vec<String> = model
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}-{cores}core", words.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_civil() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(1_795_478_400), "2026-11-24");
        assert_eq!(date(1_798_761_599), "2026-12-31");
    }
}
