//! Every source file keeps the habits of the project: short, documented, finished, registered.

use std::fs;
use std::path::{Path, PathBuf};

const MAX_LINES: usize = 600;

/// What no file may hold. In two pieces, or this file would.
const UNFINISHED: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("#[", "ignore"),
];

/// Folders of `crates/ops/src` that hold one operator a file.
const GROUPS: &[&str] =
    &["elementwise", "reduce", "shape", "index", "linalg", "network", "random", "source"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The Rust files under a folder, in order of their names; none if there is no such folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut paths: Vec<PathBuf> =
        entries.map(|e| e.expect("folders can be listed").path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// The Rust files of the repository, each with its name from the root.
fn all() -> Vec<(String, String)> {
    let paths = ["crates", "tests", "examples"].iter().flat_map(|f| sources(&root().join(f)));
    paths.map(|path| (name(&path), read(&path))).collect()
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The conditions `(C1)`, `(C2)`, … that a text names.
fn conditions(text: &str) -> Vec<&str> {
    let parts = text.match_indices("(C").filter_map(|(at, _)| {
        let end = at + text[at..].find(')')? + 1;
        let number = &text[at + 2..end - 1];
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        is_number.then_some(&text[at..end])
    });
    let mut found: Vec<&str> = parts.collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn files_are_found() {
    let files = all();
    for known in ["crates/graph/src/graph.rs", "tests/tidy.rs"] {
        assert!(files.iter().any(|(name, _)| name == known), "{known}");
    }
}

#[test]
fn files_are_short() {
    let long = |(name, text): &(String, String)| {
        let lines = text.lines().count();
        (lines > MAX_LINES).then(|| format!("{name}: {lines} lines, at most {MAX_LINES}"))
    };
    assert_none(&all().iter().filter_map(long).collect::<Vec<_>>());
}

#[test]
fn files_begin_with_what_they_are() {
    let bare = |(name, text): &(String, String)| {
        let documented = text.starts_with("//!") || text.starts_with("#![doc = include_str!");
        (!documented).then(|| format!("{name}: does not begin with `//!`"))
    };
    assert_none(&all().iter().filter_map(bare).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_unfinished() {
    let mut wrong = Vec::new();
    for (name, text) in all() {
        for (at, line) in text.lines().enumerate() {
            if let Some(found) = UNFINISHED.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{name}:{}: {found}", at + 1));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_operator_is_a_module_and_a_line_of_the_list() {
    let src = root().join("crates/ops/src");
    let list = read(&src.join("operators.in"));
    let mut wrong = Vec::new();
    for group in GROUPS {
        let modules = read(&src.join(format!("{group}.rs")));
        let files = sources(&src.join(group));
        assert!(!files.is_empty(), "no operators in {group}");
        for file in files {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let module = format!("pub mod {stem};");
            if !modules.lines().any(|line| line.trim() == module) {
                wrong.push(format!("{}: no `{module}` in {group}.rs", name(&file)));
            }
            let entry = format!("{group}::{stem}::");
            if !list.lines().any(|line| line.trim().starts_with(&entry)) {
                wrong.push(format!("{}: no line `{entry}…` in operators.in", name(&file)));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_condition_of_an_operator_is_cited_where_it_is_checked() {
    let src = root().join("crates/ops/src");
    let mut wrong = Vec::new();
    for file in GROUPS.iter().flat_map(|group| sources(&src.join(group))) {
        let text = read(&file);
        let is_table = |line: &&str| line.trim_start().starts_with("/// |");
        let table: Vec<&str> = text.lines().filter(is_table).collect();
        let code: Vec<&str> =
            text.lines().filter(|line| !line.trim_start().starts_with("///")).collect();
        let (table, code) = (table.join("\n"), code.join("\n"));
        let (named, cited) = (conditions(&table), conditions(&code));
        for c in named.iter().filter(|c| !cited.contains(c)) {
            wrong.push(format!("{}: {c} is in the table and nowhere in the code", name(&file)));
        }
        for c in cited.iter().filter(|c| !named.contains(c)) {
            wrong.push(format!("{}: {c} is cited and not in the table", name(&file)));
        }
    }
    assert_none(&wrong);
}

#[test]
fn conditions_are_recognized() {
    assert_eq!(conditions("(C2) x (C1), (C1) (Cx) (C) f(C3"), ["(C1)", "(C2)"]);
}
