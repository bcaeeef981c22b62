//! What is known to be different or missing: `differs.json`.
//!
//! `differs` holds cases of which pleach deliberately thinks otherwise than PyTorch, each with the
//! reason; they count as failed. `unsupported` holds what need not be there yet.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::report::{Report, operator};

/// At most this many cases may differ.
const MOST: usize = 20;

fn entries(table: &Json) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for entry in table.as_array().into_iter().flatten() {
        let word = |name: &str| entry[name].as_str().unwrap_or_default();
        found.push((word("kind"), word("name")));
    }
    found
}

/// What is wrong with reports: failures and missing operators that the table does not have, and
/// entries of the table that are wrong, have no reason, or are no longer true.
pub(crate) fn problems(reports: &[Report]) -> Vec<String> {
    let table = table();
    let mut problems = Vec::new();
    let (differs, missing) = (entries(&table["differs"]), entries(&table["unsupported"]));
    if !table["differs"].is_array() || !table["unsupported"].is_array() || differs.len() > MOST {
        problems
            .push(format!("differs.json must hold two lists, and differ in {MOST} cases at most"));
    }
    for entry in ["differs", "unsupported"].iter().flat_map(|list| table[list].as_array()).flatten()
    {
        if entry["reason"].as_str().is_none_or(str::is_empty) {
            problems.push(format!("differs.json: no reason for {}", entry["name"]));
        }
    }
    for report in reports {
        for (name, _) in report.failures() {
            if !differs.contains(&(report.kind, name)) {
                problems.push(format!("{} {name} fails", report.kind));
            }
        }
        let is_missing = |name| {
            missing.contains(&(report.kind, name))
                || missing.contains(&(report.kind, operator(name)))
        };
        let unknown = report.unsupported().into_iter().filter(|name| !is_missing(name));
        let operators: BTreeSet<&str> = unknown.map(operator).collect();
        for name in operators {
            problems.push(format!("{} {name} cannot be run", report.kind));
        }
        for (name, _) in report.cases.iter().filter(|(_, outcome)| outcome.passed()) {
            if differs.contains(&(report.kind, name)) || is_missing(name) {
                problems.push(format!("{} {name} passes, but differs.json has it", report.kind));
            }
        }
    }
    problems
}

/// Entries of the table that name no case and no operator of these reports.
pub(crate) fn unknown(reports: &[Report]) -> Vec<String> {
    let table = table();
    let lists = [&table["differs"], &table["unsupported"]];
    let all = lists.into_iter().flat_map(entries);
    let is_known = |(kind, name): &(&str, &str)| {
        let of_kind = reports.iter().filter(|report| report.kind == *kind);
        of_kind.flat_map(|r| &r.cases).any(|(case, _)| case == name || operator(case) == *name)
    };
    let unknown = all.filter(|entry| !is_known(entry));
    unknown.map(|(kind, name)| format!("differs.json: there is no {kind} {name}")).collect()
}

fn table() -> Json {
    serde_json::from_str(include_str!("differs.json")).unwrap_or_default()
}
