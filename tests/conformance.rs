//! PyTorch's own samples: every case of a folder, at every level, number by number.
//!
//! ```text
//! cargo test --test conformance -- --nocapture
//! PLEACH_ONLY=conv PLEACH_CASES=folder cargo test --test conformance -- --nocapture
//! ```
//!
//! - `PLEACH_CASES`: the folder of the cases; if it is not set, `tests/data/conformance`, whose
//!   README says where the numbers come from.
//! - `PLEACH_ONLY`: only operators and models whose name holds this text.
//!
//! Operators run in f32 too, against the true values (`f32`): outputs at most max(twice
//! PyTorch's own error, 5e-7 of the largest true value) off, gradients 5e-6.
//!
//! It prints a line for every failure, `FAILED kind operator/case: level: tensor (key) [element]
//! is ours, not theirs`, the operators that nothing here can run, and at the end a line for every
//! kind. To add an operator, add a line to the table of its family in `tests/conformance/ops`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "the report is what this test is read for")]

mod conformance {
    pub(crate) mod call;
    mod changed;
    pub(crate) mod clip;
    pub(crate) mod compare;
    pub(crate) mod differs;
    pub(crate) mod init;
    pub(crate) mod lbfgs;
    pub(crate) mod levels;
    pub(crate) mod models;
    pub(crate) mod operator;
    pub(crate) mod ops;
    pub(crate) mod optim;
    pub(crate) mod read;
    pub(crate) mod report;
    pub(crate) mod schedule;
    pub(crate) mod single;
    pub(crate) mod train;
}

use std::path::{Path, PathBuf};

use conformance::report::{Report, operator};
use conformance::{clip, differs, init, models, ops, optim, schedule};

fn own_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/conformance")
}

fn print(report: &Report) {
    for (name, why) in report.failures() {
        println!("FAILED {} {name}: {why}", report.kind);
    }
    let mut unsupported: Vec<&str> = report.unsupported().into_iter().map(operator).collect();
    unsupported.dedup();
    if !unsupported.is_empty() {
        println!("unsupported {}: {}", report.kind, unsupported.join(", "));
    }
}

/// How many cases of the project's own copy pass at least: what cannot be run is no failure, but
/// must not hide one.
const PASSED: [(&str, usize); 7] = [
    ("ops", 1744),
    ("f32", 1705),
    ("models", 18),
    ("optim", 71),
    ("schedule", 19),
    ("init", 49),
    ("clip", 8),
];

#[test]
fn every_case_agrees() {
    let given = std::env::var_os("PLEACH_CASES").map(PathBuf::from);
    let folder = given.clone().unwrap_or_else(own_folder);
    let only = std::env::var("PLEACH_ONLY").unwrap_or_default();
    let reports = run(&folder, &only).unwrap();
    println!();
    reports.iter().for_each(print);
    reports.iter().for_each(|report| println!("{}", report.line()));
    let mut problems = differs::problems(&reports);
    if given.is_none() && only.is_empty() {
        for (report, (kind, least)) in reports.iter().zip(PASSED) {
            assert_eq!(report.kind, kind);
            if report.passed() < least {
                problems.push(format!("{}, not {least} at least", report.line()));
            }
        }
        problems.extend(differs::unknown(&reports));
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// Runs every case of a folder, kind by kind; only operators and models if a name is given.
fn run(folder: &Path, only: &str) -> Result<Vec<Report>, String> {
    let [double, single] = ops::reports(folder, only)?;
    let mut reports = vec![double, single, models::report(folder, only)?];
    if only.is_empty() {
        reports.push(optim::optimizers(folder)?);
        reports.push(schedule::schedules(folder)?);
        reports.push(init::report(folder)?);
        reports.push(clip::clipping(folder)?);
    }
    Ok(reports)
}
