//! The arrows between crates are those of `docs/architecture.md`, and no others: dependencies, dev
//! dependencies and build dependencies alike.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Every crate of the workspace, and the crates that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("pleach-tensor", &[]),
    ("pleach-graph", &["pleach-tensor"]),
    ("pleach-kernels", &["pleach-tensor"]),
    ("pleach-data", &["pleach-tensor"]),
    ("pleach-tune", &["pleach-tensor"]),
    ("pleach-ops", &["pleach-graph", "pleach-kernels", "pleach-tensor"]),
    ("pleach-optim", &["pleach-graph", "pleach-ops", "pleach-tensor"]),
    ("pleach-nn", &["pleach-graph", "pleach-ops", "pleach-tensor"]),
    ("pleach-format", &["pleach-graph", "pleach-ops", "pleach-tensor"]),
    ("pleach-passes", &["pleach-graph", "pleach-ops", "pleach-tensor"]),
    ("pleach-exec", &["pleach-graph", "pleach-kernels", "pleach-ops", "pleach-tensor"]),
    (
        "pleach-check",
        &["pleach-exec", "pleach-graph", "pleach-ops", "pleach-passes", "pleach-tensor"],
    ),
    (
        "pleach",
        &[
            "pleach-check",
            "pleach-data",
            "pleach-exec",
            "pleach-format",
            "pleach-graph",
            "pleach-kernels",
            "pleach-nn",
            "pleach-ops",
            "pleach-optim",
            "pleach-passes",
            "pleach-tensor",
            "pleach-tune",
        ],
    ),
    ("pleach-bench", &["pleach", "pleach-kernels"]),
];

/// Libraries that one crate hides from all others.
const HIDDEN: &[(&str, &str)] =
    &[("petgraph", "pleach-graph"), ("gemm", "pleach-kernels"), ("ndarray", "pleach-tensor")];

/// The only crate with `unsafe`: it has a table of lints of its own.
const UNSAFE: &str = "pleach-kernels";

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let mut command = MetadataCommand::new();
    command.manifest_path(manifest).no_deps().exec().expect("cargo describes the workspace")
}

fn kind(kind: DependencyKind) -> &'static str {
    match kind {
        DependencyKind::Normal => "dependency",
        DependencyKind::Development => "dev dependency",
        DependencyKind::Build => "build dependency",
        _ => "dependency of unknown kind",
    }
}

/// Is this line in this section of a manifest?
fn says(manifest: &str, section: &str, line: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim);
    lines.any(|l| l == section) && lines.take_while(|l| !l.starts_with('[')).any(|l| l == line)
}

#[test]
fn crates_depend_only_on_what_lies_below_them() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let from = package.name.as_str();
        let Some(below) = allowed.get(from) else {
            wrong.push(format!("{from} is not in the table of arrows"));
            continue;
        };
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            if allowed.contains_key(to) && !below.contains(&to) {
                wrong.push(format!("{from} -> {to} ({})", kind(dependency.kind)));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that docs/architecture.md forbids:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_of_arrows_points_down() {
    for (at, (from, below)) in ARROWS.iter().enumerate() {
        for to in *below {
            let known = ARROWS[..at].iter().any(|(name, _)| name == to);
            assert!(known, "{from} -> {to}: the lower crate must come first in the table");
        }
    }
}

#[test]
fn libraries_are_hidden_behind_one_crate() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for (library, owner) in HIDDEN {
        for package in metadata.workspace_packages() {
            let uses = package.dependencies.iter().filter(|d| d.name == *library);
            for dependency in uses.filter(|_| package.name.as_str() != *owner) {
                let (user, kind) = (&package.name, kind(dependency.kind));
                wrong.push(format!("{user} -> {library} ({kind}): only {owner} may"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_is_forbidden_everywhere_but_in_the_kernels() {
    let metadata = metadata();
    let read = |path: &str| std::fs::read_to_string(path).expect("manifests can be read");
    let root = read(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    assert!(says(&root, "[workspace.lints.rust]", r#"unsafe_code = "forbid""#));
    for package in metadata.workspace_packages() {
        let manifest = read(package.manifest_path.as_str());
        if package.name.as_str() == UNSAFE {
            assert!(says(&manifest, "[lints.clippy]", r#"undocumented_unsafe_blocks = "deny""#));
        } else {
            let takes = says(&manifest, "[lints]", "workspace = true");
            assert!(takes, "{} does not take the lints of the workspace", package.name);
        }
    }
    // The peers are a workspace of their own.
    let peers = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/bench/peers/rust");
    let root = read(&format!("{peers}/Cargo.toml"));
    assert!(says(&root, "[workspace.lints.rust]", r#"unsafe_code = "forbid""#));
    let crates = std::fs::read_dir(peers).expect("the peers are there").flatten();
    let manifests =
        crates.map(|entry| entry.path().join("Cargo.toml")).filter(|path| path.exists());
    for path in manifests {
        let manifest = read(path.to_str().expect("a path of letters"));
        assert!(says(&manifest, "[lints]", "workspace = true"), "{}", path.display());
    }
}
