//! Files that are there as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

use crate::FormatError;

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
    replace(path, body).map_err(|reason| reason.at(path))
}

fn replace(
    path: &Path,
    body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FormatError> {
    let folder = match (path.file_name(), path.parent()) {
        (None, _) | (_, None) => return Err(FormatError::NotAFile),
        (Some(_), Some(parent)) if parent.as_os_str().is_empty() => Path::new("."),
        (Some(_), Some(parent)) => parent,
    };
    let old = match fs::symlink_metadata(path) {
        Ok(old) if old.is_file() => Some(old),
        Ok(old) if old.is_symlink() => None,
        Ok(_) => return Err(FormatError::NotAFile),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(FormatError::io("write")(error)),
    };
    let mut file = temporary(folder).map_err(FormatError::io("create a file in its folder"))?;
    let mut writer = BufWriter::with_capacity(1 << 16, file.as_file_mut());
    body(&mut writer).and_then(|()| writer.flush()).map_err(FormatError::io("write"))?;
    drop(writer);
    if let Some(old) = old {
        let kept = file.as_file().set_permissions(old.permissions());
        kept.map_err(FormatError::io("keep its permissions"))?;
    }
    file.as_file().sync_all().map_err(FormatError::io("sync"))?;
    file.persist(path).map_err(|error| FormatError::io("rename")(error.error))?;
    sync_folder(folder).map_err(FormatError::io("sync its folder"))
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".pleach-").suffix(".tmp");
    // As any new file; by default a temporary file is the owner's alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// A folder can be opened and synced on Unix only.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
