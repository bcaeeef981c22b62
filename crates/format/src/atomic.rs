//! Files that are there as a whole or not at all.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

use crate::FormatError;

/// Random characters in the name of a temporary file.
const RANDOM: usize = 6;

/// Replaces the file at `path` by what `body` writes, in one step.
///
/// A temporary file `.pleach-….tmp` in the same folder is written, synced, renamed to `path`, and
/// the folder is synced: whenever the process or the machine stops, `path` holds the old or the
/// new contents as a whole, and once this returns, the new. On an error the old file is untouched
/// and the temporary file removed; if the process is killed, the temporary file stays. A file that
/// is replaced hands on its permissions; a symbolic link is replaced, not followed.
///
/// # Errors
/// [`FormatError::File`] with [`FormatError::NotAFile`] if `path` is a directory, a device or a
/// pipe, or [`FormatError::Io`], also if `body` fails.
pub fn write(
    path: impl AsRef<Path>,
    body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FormatError> {
    let path = path.as_ref();
    replace(path, ".pleach-".as_ref(), None, body).map_err(|reason| reason.at(path))
}

/// As [`write`], and the file that was at `path` moves to `kept`, if that is given.
///
/// Between the two renames nothing is at `path`, and the old file at `kept`: one of the two always
/// holds a whole file. What killed writes to this `path` have left is removed before, so one
/// process at a time may write to it.
pub(crate) fn rotate(
    path: &Path,
    kept: Option<&Path>,
    body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FormatError> {
    let mut prefix = OsString::from(".pleach-");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push("-");
    if let Some(folder) = folder(path) {
        sweep(folder, &prefix);
    }
    replace(path, &prefix, kept, body).map_err(|reason| reason.at(path))
}

/// The folder of a file.
fn folder(path: &Path) -> Option<&Path> {
    path.file_name()?;
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Removes temporary files of this prefix. What cannot be removed stays: it is in nobody's way.
fn sweep(folder: &Path, prefix: &OsStr) {
    let prefix = prefix.as_encoded_bytes();
    let ours = |name: &[u8]| {
        let random = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(b".tmp"));
        random.is_some_and(|random| random.len() == RANDOM)
    };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|e| ours(e.file_name().as_encoded_bytes())) {
        let _ = fs::remove_file(entry.path());
    }
}

fn replace(
    path: &Path,
    prefix: &OsStr,
    kept: Option<&Path>,
    body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FormatError> {
    let folder = folder(path).ok_or(FormatError::NotAFile)?;
    let old = match fs::symlink_metadata(path) {
        Ok(old) if old.is_file() => Some(old),
        Ok(old) if old.is_symlink() => None,
        Ok(_) => return Err(FormatError::NotAFile),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(FormatError::io("write")(error)),
    };
    let mut file =
        temporary(folder, prefix).map_err(FormatError::io("create a file in its folder"))?;
    let mut writer = BufWriter::with_capacity(1 << 16, file.as_file_mut());
    body(&mut writer).and_then(|()| writer.flush()).map_err(FormatError::io("write"))?;
    drop(writer);
    if let Some(old) = old {
        let kept = file.as_file().set_permissions(old.permissions());
        kept.map_err(FormatError::io("keep its permissions"))?;
    }
    file.as_file().sync_all().map_err(FormatError::io("sync"))?;
    if let Some(kept) = kept {
        fs::rename(path, kept).map_err(FormatError::io("keep the file before it"))?;
    }
    file.persist(path).map_err(|error| FormatError::io("rename")(error.error))?;
    sync_folder(folder).map_err(FormatError::io("sync its folder"))
}

fn temporary(folder: &Path, prefix: &OsStr) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(prefix).suffix(".tmp").rand_bytes(RANDOM);
    // As any new file; by default a temporary file is the owner's alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// A folder can be opened and synced on Unix only.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
