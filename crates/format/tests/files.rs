//! Files on disk: replaced in one step, and only files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Error;
use std::path::Path;

use pleach_format::safetensors::{load, save, to_bytes};
use pleach_format::{FormatError, atomic};
use pleach_tensor::Tensor;
use tempfile::tempdir;

fn put(path: &Path, value: f32) -> Result<(), FormatError> {
    save(path, [("w", &Tensor::scalar(value))], &BTreeMap::new())
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn saving_replaces_and_leaves_nothing_else() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    for value in [1.0, 2.0] {
        put(&path, value).unwrap();
        assert_eq!(load(&path).unwrap().tensors["w"], Tensor::scalar(value));
        assert_eq!(names(dir.path()), ["model.safetensors"]);
    }
}

#[test]
fn a_write_that_fails_keeps_the_old_file() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    put(&path, 1.0).unwrap();
    let err = atomic::write(&path, |w| {
        w.write_all(&[7; 100_000])?;
        Err(Error::other("disk full"))
    })
    .unwrap_err();
    assert_eq!(err.to_string(), format!("{}: cannot write: disk full", path.display()));
    assert_eq!(load(&path).unwrap().tensors["w"], Tensor::scalar(1.0f32));
    assert_eq!(names(dir.path()), ["model.safetensors"]);
}

#[test]
fn names_given_twice_and_the_reserved_name_are_refused_before_anything_is_written() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let (x, y) = (Tensor::scalar(1.0f32), Tensor::scalar(1i64));
    let err = save(&path, [("w", &x), ("w", &y)], &BTreeMap::new()).unwrap_err();
    assert_eq!(err.to_string(), format!("{}: the name \"w\" is given twice", path.display()));
    let err = save(&path, [("__metadata__", &x)], &BTreeMap::new()).unwrap_err();
    assert!(matches!(err.reason(), FormatError::ReservedName));
    assert!(names(dir.path()).is_empty());
    assert!(to_bytes([("w", &x), ("w", &y)], &BTreeMap::new()).is_err());
}

#[test]
fn missing_files_and_folders_are_errors() {
    let dir = tempdir().unwrap();
    let err = load(dir.path().join("none")).unwrap_err();
    assert!(matches!(err.reason(), FormatError::Io { action: "open", .. }), "{err}");
    assert!(err.to_string().starts_with(&dir.path().display().to_string()));
    let err = put(&dir.path().join("none/model.safetensors"), 1.0).unwrap_err();
    assert!(matches!(err.reason(), FormatError::Io { .. }), "{err}");
}

#[test]
fn directories_and_paths_without_a_name_are_no_files() {
    let dir = tempdir().unwrap();
    for path in [dir.path(), Path::new("/"), Path::new("..")] {
        assert!(matches!(load(path).unwrap_err().reason(), FormatError::NotAFile));
        assert!(matches!(put(path, 1.0).unwrap_err().reason(), FormatError::NotAFile));
    }
    assert!(put(Path::new(""), 1.0).is_err());
    assert!(load("").is_err());
}

#[test]
fn a_damaged_file_is_named() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    fs::write(&path, [0; 3]).unwrap();
    let err = load(&path).unwrap_err();
    assert_eq!(err.to_string(), format!("{}: expected at least 8 bytes, found 3", path.display()));
    // A length of terabytes in a file of bytes.
    fs::write(&path, (1u64 << 42).to_le_bytes()).unwrap();
    assert!(matches!(load(&path).unwrap_err().reason(), FormatError::HeaderLength { .. }));
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_has_the_usual_permissions_and_a_replaced_one_its_own() {
        let dir = tempdir().unwrap();
        let (path, plain) = (dir.path().join("model"), dir.path().join("plain"));
        fs::write(&plain, "").unwrap();
        put(&path, 1.0).unwrap();
        assert_eq!(mode(&path), mode(&plain));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        put(&path, 2.0).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_symbolic_link_is_replaced_and_its_target_left_alone() {
        let dir = tempdir().unwrap();
        let (link, target) = (dir.path().join("link"), dir.path().join("target"));
        put(&target, 1.0).unwrap();
        symlink(&target, &link).unwrap();
        put(&link, 2.0).unwrap();
        assert_eq!(load(&target).unwrap().tensors["w"], Tensor::scalar(1.0f32));
        assert_eq!(load(&link).unwrap().tensors["w"], Tensor::scalar(2.0f32));
    }

    #[test]
    fn devices_are_not_read_by_name_or_by_link() {
        for device in ["/dev/zero", "/dev/null"].map(Path::new) {
            assert!(matches!(load(device).unwrap_err().reason(), FormatError::NotAFile));
            let dir = tempdir().unwrap();
            let link = dir.path().join("link");
            symlink(device, &link).unwrap();
            assert!(matches!(load(&link).unwrap_err().reason(), FormatError::NotAFile));
        }
    }

    #[test]
    fn a_socket_is_not_replaced() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(put(&path, 1.0).unwrap_err().reason(), FormatError::NotAFile));
        assert!(matches!(load(&path).unwrap_err().reason(), FormatError::NotAFile));
    }
}
