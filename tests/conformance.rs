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
//! It prints a line for every failure, `FAILED kind operator/case: level: tensor (key) [element]
//! is ours, not theirs`, the operators that nothing here can run, and at the end a line for every
//! kind. To add an operator, add a line to the table of its family in `tests/conformance/ops`.

#![allow(dead_code, reason = "the reader of all kinds is there before all kinds are")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "the report is what this test is read for")]

mod conformance {
    pub(crate) mod call;
    pub(crate) mod compare;
    pub(crate) mod init;
    pub(crate) mod levels;
    pub(crate) mod models;
    pub(crate) mod operator;
    pub(crate) mod ops;
    pub(crate) mod optim;
    pub(crate) mod read;
    pub(crate) mod report;
    pub(crate) mod train;
}

use std::path::PathBuf;

use conformance::report::Report;
use conformance::{init, models, ops, optim};

fn own_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/conformance")
}

fn print(report: &Report) {
    for (name, why) in report.failures() {
        println!("FAILED {} {name}: {why}", report.kind);
    }
    let unsupported = report.unsupported();
    if !unsupported.is_empty() {
        println!("unsupported {}: {}", report.kind, unsupported.join(", "));
    }
}

#[test]
fn every_case_agrees() {
    let folder = std::env::var_os("PLEACH_CASES").map_or_else(own_folder, PathBuf::from);
    let only = std::env::var("PLEACH_ONLY").unwrap_or_default();
    let mut reports = vec![ops::report(&folder, &only), models::report(&folder, &only)];
    if only.is_empty() {
        reports.extend([
            optim::optimizers(&folder),
            optim::schedules(&folder),
            init::report(&folder),
            optim::clipping(&folder),
        ]);
    }
    let reports: Vec<Report> = reports.into_iter().collect::<Result<_, _>>().unwrap();
    println!();
    reports.iter().for_each(print);
    reports.iter().for_each(|report| println!("{}", report.line()));
    let failed: usize = reports.iter().map(|r| r.failures().len()).sum();
    assert_eq!(failed, 0, "cases that do not agree with PyTorch");
}
