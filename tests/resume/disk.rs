//! Saves that are killed, and saves to a disk that is full.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pleach::format::Checkpoint;
use pleach::ops::Kind;
use pleach::tensor::{Key, Tensor};

use crate::kill::{line, start};

/// Number `n`, of 64 KiB.
fn numbered(n: i64) -> Checkpoint {
    let value = Tensor::new([8192], vec![n; 8192]).unwrap();
    Checkpoint { variables: vec![("n".into(), Kind::Param, value)], ..Checkpoint::default() }
}

/// The number of what is at a path, and is it the one before the newest?
fn number(path: &Path) -> (i64, bool) {
    let loaded = Checkpoint::load(path).unwrap();
    assert!(loaded.fallback.as_ref().is_none_or(|e| e.is_missing()), "{:?}", loaded.fallback);
    let values = loaded.checkpoint.variables[0].2.to_i64s();
    assert!(values.iter().all(|n| *n == values[0]), "a mixture of two saves");
    (values[0], loaded.fallback.is_some())
}

/// Saves one checkpoint after the other, from the one that is there.
pub(crate) fn save_forever(path: &Path) {
    let first = if path.exists() { number(path).0 } else { 0 };
    for n in first + 1.. {
        numbered(n).save(path).unwrap();
        println!("{n}");
    }
}

/// Saves a checkpoint; what went wrong is said, and no panic.
pub(crate) fn save_once(path: &Path) {
    match numbered(2).save(path) {
        Ok(()) => println!("saved"),
        Err(error) => println!("{error}"),
    }
}

pub(crate) fn a_save_that_is_killed_at_any_moment_loses_nothing(kills: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let (mut last, mut fell_back) = (0, 0);
    for kill in 0..kills {
        let (mut child, mut output) = start(&["saves", path.to_str().unwrap()]);
        last = line(&mut output).expect("a save").parse().unwrap();
        std::thread::sleep(Duration::from_secs_f64(0.01 * Key(19).uniform_f64(kill as u64)));
        child.kill().unwrap();
        while let Some(line) = line(&mut output) {
            last = line.parse().unwrap();
        }
        child.wait().unwrap();
        let (found, fallback) = number(&path);
        // The last one that was said, or the next, which was killed before it could say so.
        assert!((last..=last + 1).contains(&found), "found {found} after {last}");
        fell_back += usize::from(fallback);
        // A missing newest would let the next process begin at 1.
        if fallback {
            numbered(found).save(&path).unwrap();
        }
    }
    println!("{kills} saves killed, {last} made, {fell_back} killed between their two renames");
}

/// A file may have half of what the checkpoint needs: as on a full disk, the write fails.
#[cfg(unix)]
pub(crate) fn a_disk_that_is_full_keeps_the_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    numbered(1).save(&path).unwrap();
    let program = std::env::current_exe().unwrap();
    // Blocks are of 512 or 1024 bytes.
    let limited = "trap '' XFSZ; ulimit -f 32; exec \"$0\" \"$@\"";
    let shell = ["-c", limited, program.to_str().unwrap(), "save", path.to_str().unwrap()];
    let output = Command::new("sh").args(shell).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with(&format!("{}: cannot write: ", path.display())), "{said}");
    assert_eq!(number(&path), (1, false));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file is left");
    println!("a full disk: {}", said.trim_end());
}

/// There is no such limit elsewhere.
#[cfg(not(unix))]
pub(crate) fn a_disk_that_is_full_keeps_the_last_checkpoint() {}
