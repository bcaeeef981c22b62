//! The examples run to their end, and print what they promise.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::PathBuf;
use std::process::Command;

/// The program that `cargo test` built from `examples/NAME.rs`.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap();
    folder.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION)
}

/// What an example printed, once it has ended well.
fn run(name: &str, args: &[&str]) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    let run = Command::new(example(name)).args(args).current_dir(root).output().unwrap();
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let said = format!("{name}: {text}{}", String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}");
    text
}

/// The number that follows `before` in a text.
fn number(text: &str, before: &str) -> f64 {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {text}"));
    let word = rest.split_whitespace().next().unwrap();
    word.trim_end_matches(',').parse().unwrap_or_else(|e| panic!("{before:?} {word:?}: {e}"))
}

#[test]
fn a_network_from_scratch_classifies_digits_by_kernels_alone() {
    let text = run("from_scratch", &[]);
    assert!(number(&text, "held-out accuracy ") >= 0.95, "{text}");
    assert_eq!(number(&text, "interpreted "), 0.0, "{text}");
}

#[test]
fn a_net_of_two_numbers_learns_to_double() {
    let text = run("simple_net", &[]);
    assert!((number(&text, "w = ") - 2f64.sqrt()).abs() < 1e-3, "{text}");
    let cells = |row: &str| -> Vec<f64> {
        let line = text.lines().find(|line| line.contains(row)).unwrap();
        line.split('|').skip(2).filter_map(|cell| cell.trim().parse().ok()).collect()
    };
    let (shared, twin) = (cells("| shared"), cells("| twin"));
    assert_eq!((shared[0], twin[0], shared.len()), (2.0, 769.0, 4), "{text}");
    assert!(shared[1] * 100.0 < twin[1], "{text}");
}

#[test]
fn weights_are_shared_by_input_and_output_and_by_two_images() {
    let text = run("shared_weights", &[]);
    assert!(number(&text, "untied ") > number(&text, "tied model: "), "{text}");
    assert!(number(&text, "siamese net: ") > 0.97, "{text}");
}

#[test]
fn an_operator_of_ones_own_is_checked_and_trained_through() {
    let text = run("custom_op", &[]);
    assert!(number(&text, "the rule is right in ") > 1000.0, "{text}");
    assert!((number(&text, "r = ") / 0.47 - 1.0).abs() < 1e-3, "{text}");
}

#[test]
fn a_wrong_rule_is_reported_with_operator_and_line() {
    let text = run("gradcheck", &[]);
    assert_eq!(text.matches("right: ").count(), 2, "{text}");
    assert_eq!(text.matches("wrong: ").count(), 2, "{text}");
    assert!(text.contains("wrong is the rule of example.cube (built at examples/gradcheck.rs:"));
}

#[test]
fn a_step_is_optimized_explained_compared_and_bisected() {
    let text = run("optimize_a_graph", &[]);
    assert!(text.contains("mul_consts by simplify from mul"), "{text}");
    let cells = |row: &str| -> Vec<f64> {
        let line = text.lines().find(|line| line.contains(row)).unwrap();
        line.split('|').skip(2).filter_map(|cell| cell.trim().parse().ok()).collect()
    };
    let (before, after) = (cells("| unoptimized "), cells("| default "));
    assert_eq!((before.len(), after.len()), (6, 6), "{text}");
    // Nodes, instructions and bytes; times are those of the machine.
    assert!([0, 1, 3].iter().all(|&i| after[i] < before[i]), "{text}");
    assert!(text.contains("to blame is rewrite "), "{text}");
    assert!(text.contains("rule forgets of pass simplify"), "{text}");
    assert!(text.contains("built at examples/optimize_a_graph.rs:"), "{text}");
}

#[test]
fn rules_and_a_pass_of_ones_own_are_proved_and_run() {
    let text = run("custom_pass", &[]);
    assert_eq!(text.matches("right: ").count(), 3, "{text}");
    assert!(number(&text, "right: powers changed ") > 10.0, "{text}");
    assert!(text.contains("even is wrong") && text.contains("= tanh %"), "{text}");
    assert!(number(&text, "applied fourth_power ") > 0.0, "{text}");
}

#[test]
fn convolutions_classify_digits_and_say_how_to_get_more() {
    let text = run("lenet", &[]);
    assert!(number(&text, "held-out accuracy ") >= 0.96, "{text}");
    let missing = Command::new(example("lenet")).args(["--images", "nowhere"]).output().unwrap();
    let said = String::from_utf8_lossy(&missing.stderr);
    assert!(!missing.status.success() && said.contains("examples/data/get.py mnist"), "{said}");
}

#[test]
fn a_rate_is_chosen_beats_the_default_and_is_found_again_after_a_stop() {
    let out = tempfile::tempdir().unwrap();
    let file = |name: &str| out.path().join(name);
    let args = ["--rates", "5", "--out", out.path().to_str().unwrap()];
    let text = run("tune_rate", &args);
    let (tuned, default) = (number(&text, "accuracy "), number(&text, ", "));
    assert!(tuned > default + 0.02 && tuned > 0.94, "{text}");
    for drawing in ["found.svg", "range.svg"] {
        let svg = std::fs::read_to_string(file(drawing)).unwrap();
        assert!(svg.contains("<circle") && svg.contains("rate"), "{drawing}");
    }
    // Without the last trials, and half of one that was being written.
    let journal = std::fs::read(file("journal.jsonl")).unwrap();
    std::fs::write(file("journal.jsonl"), &journal[..journal.len() / 2]).unwrap();
    assert_eq!(run("tune_rate", &[&args[..], &["--threads", "2"]].concat()), text);
    let again = std::fs::read(file("journal.jsonl")).unwrap();
    assert_eq!(
        (again.len(), &again[..journal.len() / 2]),
        (journal.len(), &journal[..journal.len() / 2])
    );
}

/// A language model reads this project's pages for a few steps, writes, and is measured.
fn reads_and_writes(name: &str, more: &[&str]) {
    let args = ["--text", "docs/design.md", "docs/architecture.md", "--held-out", "5000"];
    let text = run(name, &[&args, more].concat());
    assert!(number(&text, "held-out: ") < 5.0, "{text}");
    let without = Command::new(example(name)).output().unwrap();
    let said = String::from_utf8_lossy(&without.stderr);
    assert!(!without.status.success() && said.contains("data/get.py shakespeare"), "{said}");
}

#[test]
fn recurrence_reads_and_writes() {
    reads_and_writes("char_lstm", &["--steps", "40", "--hidden", "64", "--at-most", "5"]);
}

#[test]
fn attention_reads_and_writes() {
    reads_and_writes("tiny_gpt", &["--steps", "60", "--length", "32", "--at-most", "5"]);
}

#[test]
fn a_differential_equation_is_solved() {
    let text = run("pinn", &[]);
    assert!(number(&text, "largest error ") < 1e-3, "{text}");
}

#[test]
fn the_quickstart_trains_and_leaves_a_curve_and_weights() {
    let out = std::env::temp_dir().join(format!("pleach-quickstart-{}", std::process::id()));
    let run = Command::new(example("quickstart"))
        .args(["--seed", "1", "--out"])
        .arg(&out)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    let said = format!("{text}{}", String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}");
    let last = text.lines().last().unwrap();
    let accuracy: f64 = last.strip_prefix("held-out accuracy ").unwrap().parse().unwrap();
    assert!(accuracy >= 0.97, "{said}");
    assert!(text.contains("gradients agree") && text.contains("interpreted    0"), "{said}");
    let curve = std::fs::read_to_string(out.join("loss.svg")).unwrap();
    assert!(curve.contains("<polyline"), "the curve is drawn");
    let weights = pleach::format::safetensors::load(out.join("weights.safetensors")).unwrap();
    let names: Vec<&str> = weights.tensors.keys().map(String::as_str).collect();
    assert_eq!(names, ["input.b", "input.w", "mix.b", "mix.w", "output.b", "output.w"]);
    std::fs::remove_dir_all(&out).unwrap();
}
