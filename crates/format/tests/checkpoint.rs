//! Checkpoints on disk: the last two are kept, and what is damaged is not loaded.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pleach_format::checkpoint::{Checkpoint, Loaded};
use pleach_format::{FormatError, safetensors};
use pleach_ops::Kind;
use pleach_tensor::Tensor;
use tempfile::tempdir;

fn run(step: i64) -> Checkpoint {
    let w = Tensor::new([2, 2], vec![0.5f32, -0.0, f32::NAN, step as f32]).unwrap();
    let variables = vec![
        ("w".into(), Kind::Param, w.clone()),
        ("mean".into(), Kind::Buffer, Tensor::new::<f64>([0, 3], vec![]).unwrap()),
        ("adam.m/w".into(), Kind::Slot, w),
        ("adam.steps".into(), Kind::Slot, Tensor::scalar(step)),
        ("on".into(), Kind::Buffer, Tensor::new([3], vec![true, false, true]).unwrap()),
    ];
    let checkpoint = Checkpoint { seed: u64::MAX, variables, ..Checkpoint::default() };
    checkpoint.with("data", &(step as u64, 17usize)).unwrap()
}

fn step(loaded: &Loaded) -> i64 {
    loaded.checkpoint.variables[3].2.to_i64s()[0]
}

fn previous(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.previous", path.display()))
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_was_saved_comes_back_bit_by_bit_in_its_order() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("run");
    run(5).save(&path).unwrap();
    let Loaded { checkpoint, fallback } = Checkpoint::load(&path).unwrap();
    assert!(fallback.is_none());
    assert_eq!(checkpoint.seed, u64::MAX);
    let order: Vec<_> =
        checkpoint.variables.iter().map(|(name, kind, _)| (&**name, *kind)).collect();
    let wanted = [
        ("w", Kind::Param),
        ("mean", Kind::Buffer),
        ("adam.m/w", Kind::Slot),
        ("adam.steps", Kind::Slot),
        ("on", Kind::Buffer),
    ];
    assert_eq!(order, wanted);
    assert_eq!(checkpoint.notes.get::<(u64, usize)>("data").unwrap(), Some((5, 17)));
    // Bytes, because one of the values is not a number.
    assert_eq!(checkpoint.to_bytes().unwrap(), run(5).to_bytes().unwrap());
    assert_eq!(fs::read(&path).unwrap(), run(5).to_bytes().unwrap());
}

#[test]
fn notes_come_back_exactly_or_are_refused_when_they_are_put() {
    let floats = vec![0.1, 1e-310, 123456789.12345679, f64::MAX, f64::MIN_POSITIVE, -0.0];
    let floats: Vec<f64> = floats.into_iter().chain((1..500).map(|i| 1.0 / f64::from(i))).collect();
    let checkpoint = run(1).with("floats", &floats).unwrap().with("ü", &"\u{0}\"é".to_string());
    let bytes = checkpoint.unwrap().to_bytes().unwrap();
    let notes = Checkpoint::from_bytes(&bytes).unwrap().notes;
    let read = notes.get::<Vec<f64>>("floats").unwrap().unwrap();
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read), bits(&floats));
    assert_eq!(notes.get::<String>("ü").unwrap().unwrap(), "\u{0}\"é");
    assert_eq!(notes.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["data", "floats", "ü"]);

    for value in [f64::NAN, f64::INFINITY] {
        let error = run(1).with("best", &value).unwrap_err();
        assert!(matches!(&error, FormatError::Note { name, .. } if name == "best"), "{error}");
    }
    let error = run(1).notes.get::<String>("data").unwrap_err().to_string();
    assert!(error.starts_with("note \"data\": invalid type"), "{error}");
}

#[test]
fn the_last_two_are_kept() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("run");
    assert!(Checkpoint::load(&path).unwrap_err().is_missing());
    run(1).save(&path).unwrap();
    assert_eq!(names(dir.path()), ["run"]);
    for n in 2..5 {
        run(n).save(&path).unwrap();
        assert_eq!(names(dir.path()), ["run", "run.previous"]);
        assert_eq!(step(&Checkpoint::load(&path).unwrap()), n);
        assert_eq!(step(&Checkpoint::load(previous(&path)).unwrap()), n - 1);
    }
}

#[test]
fn a_damaged_newest_falls_back_and_says_so_and_is_never_kept_in_place_of_the_good_one() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("run");
    let mut flipped = run(2).to_bytes().unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    let cut = run(2).to_bytes().unwrap()[..700].to_vec();
    let weights = safetensors::to_bytes([("w", &Tensor::scalar(1.0f32))], &BTreeMap::new());
    for (damaged, says) in [
        (flipped, "tensor \"on\" is damaged: its CRC-32 is not the one that was written"),
        (cut, "header of "),
        (vec![], "expected at least 8 bytes, found 0"),
        (weights.unwrap(), "not a checkpoint"),
    ] {
        run(1).save(&path).unwrap();
        run(2).save(&path).unwrap();
        fs::write(&path, &damaged).unwrap();
        let loaded = Checkpoint::load(&path).unwrap();
        assert_eq!(step(&loaded), 1);
        let said = loaded.fallback.unwrap().to_string();
        assert!(said.starts_with(&format!("{}: {says}", path.display())), "{said}");
        // The next save replaces the damaged file, and keeps the good one.
        run(3).save(&path).unwrap();
        assert_eq!(step(&Checkpoint::load(&path).unwrap()), 3);
        assert_eq!(step(&Checkpoint::load(previous(&path)).unwrap()), 1);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_save_that_was_killed_between_its_two_renames_loses_nothing() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("run");
    run(1).save(&path).unwrap();
    fs::rename(&path, previous(&path)).unwrap();
    let loaded = Checkpoint::load(&path).unwrap();
    assert_eq!(step(&loaded), 1);
    assert!(loaded.fallback.unwrap().is_missing());
    run(2).save(&path).unwrap();
    assert_eq!(step(&Checkpoint::load(&path).unwrap()), 2);
    assert_eq!(step(&Checkpoint::load(previous(&path)).unwrap()), 1);
}

#[test]
fn two_damaged_files_are_an_error_with_both_reasons() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("run");
    fs::write(&path, [0; 3]).unwrap();
    let alone = Checkpoint::load(&path).unwrap_err();
    assert!(matches!(alone.reason(), FormatError::Short(3)), "{alone}");
    fs::write(previous(&path), [0; 4]).unwrap();
    let error = Checkpoint::load(&path).unwrap_err();
    let FormatError::NoneIntact { newest, previous } = &error else { panic!("{error}") };
    assert!(matches!(newest.reason(), FormatError::Short(3)));
    assert!(matches!(previous.reason(), FormatError::Short(4)));
    // Not "nothing was ever saved": a run must not begin anew over this.
    fs::remove_file(&path).unwrap();
    assert!(!Checkpoint::load(&path).unwrap_err().is_missing());
}

/// Metadata with a sum that is right.
fn summed(mut metadata: BTreeMap<String, String>) -> BTreeMap<String, String> {
    metadata.remove("pleach.crc32");
    let mut sum = crc32fast::Hasher::new();
    for text in metadata.iter().flat_map(|(key, value)| [key, value]) {
        sum.update(&(text.len() as u64).to_le_bytes());
        sum.update(text.as_bytes());
    }
    metadata.insert("pleach.crc32".into(), format!("{:08x}", sum.finalize()));
    metadata
}

/// A checkpoint whose metadata were changed by somebody who knows how to sum them.
fn changed(change: impl FnOnce(&mut safetensors::Contents)) -> Vec<u8> {
    let mut contents = safetensors::from_bytes(&run(1).to_bytes().unwrap()).unwrap();
    change(&mut contents);
    safetensors::to_bytes(&contents.tensors, &summed(contents.metadata)).unwrap()
}

fn refusal(bytes: &[u8]) -> String {
    Checkpoint::from_bytes(bytes).unwrap_err().to_string()
}

#[test]
fn a_later_format_is_an_error_and_is_kept() {
    let later = changed(|c| {
        c.metadata.insert("pleach.format".into(), "2".into());
        c.metadata.insert("pleach.manifest".into(), "whatever".into());
    });
    assert_eq!(refusal(&later), "expected a checkpoint of format 1, found format \"2\"");
    let dir = tempdir().unwrap();
    let path = dir.path().join("run");
    run(1).save(&path).unwrap();
    run(2).save(&path).unwrap();
    fs::write(&path, &later).unwrap();
    let error = Checkpoint::load(&path).unwrap_err();
    assert!(matches!(error.reason(), FormatError::Version(_)), "{error}");
    run(3).save(&path).unwrap();
    assert_eq!(fs::read(previous(&path)).unwrap(), later);
}

#[test]
fn files_whose_parts_disagree_are_refused_although_their_sums_are_right() {
    assert_eq!(Checkpoint::from_bytes(&changed(|_| ())).unwrap().seed, u64::MAX);
    let manifest = |from: &'static str, to: &'static str| {
        changed(move |c| {
            let text = c.metadata.get_mut("pleach.manifest").unwrap();
            assert!(text.contains(from), "{text}");
            *text = text.replacen(from, to, 1);
        })
    };
    for (from, to, says) in [
        ("\"w\"", "\"v\"", "tensor \"v\": file and manifest disagree"),
        ("\"on\"", "\"w\"", "tensor \"w\": file and manifest disagree"),
        ("f32[2, 2]", "f32[4]", "tensor \"w\": file and manifest disagree"),
        ("f32[2, 2]", "i32[2, 2]", "tensor \"w\": file and manifest disagree"),
        ("f32[2, 2]", "f32[9999999999, 9999999999]", "manifest: "),
        ("\"param\"", "\"weight\"", "manifest: unknown variant"),
        ("\"seed\":18446744073709551615", "\"seed\":-1", "manifest: "),
        ("\"seed\"", "\"sead\"", "manifest: unknown field `sead`"),
        ("{\"pleach\"", "{\"device\":\"cuda\",\"pleach\"", "manifest: unknown field `device`"),
    ] {
        let said = refusal(&manifest(from, to));
        assert!(said.starts_with(says), "{from} -> {to}: {said}");
    }
    let more = changed(|c| {
        c.tensors.insert("more".into(), Tensor::scalar(1i64));
    });
    assert_eq!(refusal(&more), "tensor \"more\": file and manifest disagree");
    let less = changed(|c| {
        c.tensors.remove("on");
    });
    assert_eq!(refusal(&less), "tensor \"on\": file and manifest disagree");
    let deep = changed(|c| {
        c.metadata.insert("pleach.manifest".into(), "[".repeat(1_000_000));
    });
    assert!(refusal(&deep).starts_with("manifest: "));
    let long = changed(|c| {
        c.metadata.insert("pleach.manifest".into(), " ".repeat((1 << 25) + 1));
    });
    let limit = "33554433 bytes of a manifest, at most 33554432 can be written";
    assert_eq!(refusal(&long), limit);
}

#[test]
fn what_killed_saves_have_left_is_removed_and_nothing_else() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("run");
    let others =
        [".pleach-abcdef.tmp", ".pleach-run-abc.tmp", ".pleach-run2-abcdef.tmp", "run.tmp"];
    for name in others.iter().chain(&[".pleach-run-abcdef.tmp", ".pleach-run-aBc123.tmp"]) {
        fs::write(dir.path().join(name), "left").unwrap();
    }
    run(1).save(&path).unwrap();
    let mut wanted = others.to_vec();
    wanted.push("run");
    wanted.sort_unstable();
    assert_eq!(names(dir.path()), wanted);
}

/// Where nothing can be created: as a folder without write permission, and for root, whom
/// permissions do not stop, in the folder of the processes.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_an_error_and_keeps_the_last_checkpoint() {
    use std::os::unix::fs::PermissionsExt;
    let refused = |path: &Path| {
        let error = run(3).save(path).unwrap_err();
        let FormatError::File { path: named, reason } = &error else { panic!("{error}") };
        assert_eq!(named, path);
        assert!(matches!(**reason, FormatError::Io { .. }), "{error}");
    };
    refused(Path::new("/proc/run"));

    let dir = tempdir().unwrap();
    let path = dir.path().join("run");
    run(1).save(&path).unwrap();
    run(2).save(&path).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let is_root = fs::write(dir.path().join("probe"), "").is_ok();
    if !is_root {
        refused(&path);
        assert_eq!(names(dir.path()), ["run", "run.previous"]);
        assert_eq!(step(&Checkpoint::load(&path).unwrap()), 2);
        assert_eq!(step(&Checkpoint::load(previous(&path)).unwrap()), 1);
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_save_that_fails_at_any_step_keeps_the_last_checkpoint() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("run");
    run(1).save(&path).unwrap();
    // Before anything is written.
    let twice = Checkpoint { variables: [run(2).variables, run(2).variables].concat(), ..run(2) };
    let error = twice.save(&path).unwrap_err();
    assert!(matches!(error.reason(), FormatError::DuplicateName(_)), "{error}");
    // When the old file is to be kept.
    fs::create_dir(previous(&path)).unwrap();
    let error = run(2).save(&path).unwrap_err();
    assert!(matches!(error.reason(), FormatError::Io { action: "keep the file before it", .. }));
    assert_eq!(names(dir.path()), ["run", "run.previous"]);
    assert_eq!(step(&Checkpoint::load(&path).unwrap()), 1);
    // Something else is there, or no file can be.
    for wrong in [dir.path(), Path::new(""), Path::new("..")] {
        assert!(run(1).save(wrong).is_err());
        assert!(Checkpoint::load(wrong).is_err());
    }
}
