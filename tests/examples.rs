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
