//! The journal of a search: what is done stays done, whenever the process or the machine stops.
//!
//! JSON lines: first the identity of the search, then every piece of work that ended, each written
//! and synced before the search goes on. What follows the last line end was torn by a stop: it is
//! cut off, and its work is done again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::race::{Job, Race};
use crate::{Outcome, Trial, TuneError};

/// A line for work that ended. The trial is there for readers: it follows from the identity.
#[derive(Serialize)]
struct Written<'a> {
    trial: &'a Trial,
    rung: usize,
    outcome: &'a Outcome,
}

#[derive(Deserialize)]
struct Line {
    trial: Trial,
    rung: usize,
    outcome: Outcome,
}

/// An open journal. It is locked: two searches cannot write to one.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    trials: Vec<Trial>,
}

impl Journal {
    /// Opens or begins the journal at `path`, and puts what it holds of `trials` into the race.
    pub(crate) fn open(
        path: &Path,
        identity: &Json,
        trials: &[Trial],
        race: &mut Race,
    ) -> Result<Journal, TuneError> {
        let fail =
            |action| move |source| TuneError::Io { path: path.to_path_buf(), action, source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(fail("open the journal"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(TuneError::Busy { path: path.into() }),
            Err(TryLockError::Error(source)) => return Err(fail("lock the journal")(source)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fail("read the journal"))?;
        let header = format!("{identity}\n");
        let whole = match bytes.iter().position(|&b| b == b'\n') {
            Some(end) => {
                same_search(path, identity, &bytes[..end])?;
                end + 1 + replay(path, &bytes[end + 1..], trials, race)?
            }
            None if header.as_bytes().starts_with(&bytes) => 0,
            None => return Err(TuneError::NotAJournal { path: path.into() }),
        };
        file.set_len(whole as u64).map_err(fail("cut off a torn line"))?;
        file.seek(SeekFrom::End(0)).map_err(fail("go to the end of the journal"))?;
        let mut journal = Journal { path: path.into(), file, trials: trials.to_vec() };
        if whole == 0 {
            journal.append(&header)?;
            sync_folder(path).map_err(fail("sync the folder of the journal"))?;
        }
        Ok(journal)
    }

    /// Appends a piece of work that ended; once this returns, it is there for good.
    pub(crate) fn write(&mut self, job: Job, outcome: &Outcome) -> Result<(), TuneError> {
        let line = Written { trial: &self.trials[job.trial], rung: job.rung, outcome };
        let text = serde_json::to_string(&line).map_err(|error| TuneError::Io {
            path: self.path.clone(),
            action: "write the journal",
            source: error.into(),
        })?;
        self.append(&format!("{text}\n"))
    }

    fn append(&mut self, line: &str) -> Result<(), TuneError> {
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        let (path, action) = (self.path.clone(), "write the journal");
        written.map_err(|source| TuneError::Io { path, action, source })
    }
}

impl Drop for Journal {
    /// Closing is not enough: a process that is being started by another thread holds a copy of the
    /// open file for a moment, and with it the lock.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Is the first line of the file this identity?
fn same_search(path: &Path, identity: &Json, line: &[u8]) -> Result<(), TuneError> {
    let found: Option<Json> = serde_json::from_slice(line).ok();
    let pair = found.as_ref().and_then(Json::as_object).zip(identity.as_object());
    let Some((found, expected)) = pair.filter(|(found, _)| found.contains_key(FORMAT)) else {
        return Err(TuneError::NotAJournal { path: path.into() });
    };
    let differs = |key: &&String| found.get(*key) != expected.get(*key);
    let Some(field) = expected.keys().chain(found.keys()).find(differs) else { return Ok(()) };
    let show = |value: Option<&Json>| value.map_or("not said".into(), Json::to_string);
    let (expected, found) = (show(expected.get(field)), show(found.get(field)));
    Err(TuneError::OtherSearch { path: path.into(), field: field.clone(), expected, found })
}

/// The key that tells a journal from any other file; its value is the version of the format.
pub(crate) const FORMAT: &str = "pleach_tune";

/// Records all whole lines; the number of their bytes.
fn replay(
    path: &Path,
    bytes: &[u8],
    trials: &[Trial],
    race: &mut Race,
) -> Result<usize, TuneError> {
    let mut whole = 0;
    for (i, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        let torn = line.last() != Some(&b'\n');
        let last = whole + line.len() == bytes.len();
        let read = serde_json::from_slice::<Line>(line);
        if torn || last && read.is_err() {
            break;
        }
        let damaged =
            |reason: String| TuneError::Damaged { path: path.into(), line: i + 2, reason };
        let Line { trial, rung, outcome } = read.map_err(|error| damaged(error.to_string()))?;
        whole += line.len();
        // A random search may have been longer; the trials it shares with this one are the same.
        let Some(expected) = trials.get(trial.number) else { continue };
        if trial.seed != expected.seed {
            return Err(damaged(format!("trial {} has another seed", trial.number)));
        }
        if !race.record(Job { trial: trial.number, rung }, outcome) {
            return Err(damaged(format!("trial {} is there twice, or on no rung", trial.number)));
        }
    }
    Ok(whole)
}

/// A folder can be opened and synced on Unix only.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
