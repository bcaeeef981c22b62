//! A search that was stopped anywhere ends as one that was not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pleach_tensor::Key;
use pleach_tune::{Findings, Halving, Options, Space, Trial, TuneError, grid, random};

fn space() -> Space {
    Space::new().log_uniform("x", 0.01, 1.0).choice("c", ["a", "b"])
}

fn options(journal: Option<PathBuf>) -> Options {
    Options { seed: 5, journal, ..Options::default() }
}

/// Fails, is NaN, or a number, by its seed.
fn score(trial: &Trial, end: u64) -> Result<f64, String> {
    match Key(trial.seed).below(end, 9) {
        0 => Err("an error\nof two lines".into()),
        1 => Ok(f64::NAN),
        other => Ok(trial.float("x").unwrap() / other as f64),
    }
}

/// The kinds of search, each as a function of its options and of the closure that scores.
type Search = fn(
    &Options,
    &(dyn Fn(&Trial, u64) -> Result<f64, String> + Sync),
) -> Result<Findings, TuneError>;

const SEARCHES: [(&str, Search); 4] = [
    ("grid", |o, score| grid(&space(), &[("x", 5)], o, |t| score(t, 0))),
    ("random", |o, score| random(&space(), 11, o, |t| score(t, 0))),
    ("asha", |o, score| halving().asha(&space(), o, |t, part| score(t, part.end))),
    ("synchronous", |o, score| halving().synchronous(&space(), o, |t, part| score(t, part.end))),
];

fn halving() -> Halving {
    Halving { trials: 9, min: 1, max: 8, reduction: 2 }
}

fn text(found: &Findings) -> String {
    serde_json::to_string(found).unwrap()
}

#[test]
fn a_journal_cut_off_anywhere_gives_the_same_findings() {
    let folder = tempfile::tempdir().unwrap();
    for (name, search) in SEARCHES {
        let path = folder.path().join(name);
        let whole = text(&search(&options(None), &score).unwrap());
        assert_eq!(text(&search(&options(Some(path.clone())), &score).unwrap()), whole);
        let journal = fs::read(&path).unwrap();
        let jobs = journal.iter().filter(|&&b| b == b'\n').count() - 1;
        // Around every line end, and here and there between them.
        let is_end = |&at: &usize| at > 0 && journal[at - 1] == b'\n';
        let ends =
            (0..=journal.len()).filter(is_end).flat_map(|end| end.saturating_sub(2)..=end + 1);
        let cuts: BTreeSet<usize> = ends.chain((0..journal.len()).step_by(131)).collect();
        for cut in cuts.into_iter().filter(|&cut| cut <= journal.len()) {
            fs::write(&path, &journal[..cut]).unwrap();
            let kept = journal[..cut].iter().filter(|&&b| b == b'\n').count().saturating_sub(1);
            let ran = AtomicUsize::new(0);
            let found = search(&options(Some(path.clone())), &|trial, end| {
                ran.fetch_add(1, Ordering::Relaxed);
                score(trial, end)
            });
            assert_eq!(text(&found.unwrap()), whole, "{name} cut at {cut}");
            assert_eq!(ran.into_inner(), jobs - kept, "{name} cut at {cut}");
            assert_eq!(fs::read(&path).unwrap(), journal, "{name} cut at {cut}");
        }
    }
}

#[test]
fn any_byte_of_a_journal_may_be_damaged_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    for (name, search) in SEARCHES {
        let path = folder.path().join(name);
        search(&options(Some(path.clone())), &score).unwrap();
        let journal = fs::read(&path).unwrap();
        for at in (0..journal.len()).step_by(29) {
            let mut damaged = journal.clone();
            damaged[at] ^= 0x15;
            fs::write(&path, &damaged).unwrap();
            let _ = search(&options(Some(path.clone())), &score); // an error, or another score
        }
    }
}

#[test]
fn more_trials_go_on_from_fewer_in_a_random_search() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let all = options(Some(path));
    let ran = AtomicUsize::new(0);
    let count = |trial: &Trial| {
        ran.fetch_add(1, Ordering::Relaxed);
        score(trial, 0)
    };
    for n in [7, 20, 13, 20] {
        let found = random(&space(), n, &all, count).unwrap();
        assert_eq!(
            text(&found),
            text(&random(&space(), n, &options(None), |t| score(t, 0)).unwrap())
        );
    }
    assert_eq!(ran.load(Ordering::Relaxed), 20);
}

#[test]
fn the_journal_of_another_search_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let own = options(Some(path.clone()));
    random(&space(), 3, &own, |t| score(t, 0)).unwrap();
    let before = fs::read(&path).unwrap();
    let said = |result: Result<Findings, TuneError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, TuneError::OtherSearch { .. }), "{error}");
        let text = error.to_string();
        text.split_once("another search: ").unwrap().1.to_string()
    };
    let other = Options { seed: 6, ..own.clone() };
    assert_eq!(said(random(&space(), 3, &other, |_| 0.0)), "seed is 5 there, 6 here");
    let other = Options { name: "loss".into(), ..own.clone() };
    assert_eq!(said(random(&space(), 3, &other, |_| 0.0)), r#"name is "" there, "loss" here"#);
    let other = space().uniform("y", 0.0, 1.0);
    assert!(said(random(&other, 3, &own, |_| 0.0)).starts_with("space is "));
    assert!(said(grid(&space(), &[("x", 3)], &own, |_| 0.0)).contains("not said there"));
    assert!(said(halving().asha(&space(), &own, |_, _| 0.0)).contains("not said there"));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn other_files_are_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let own = options(Some(path.clone()));
    for contents in ["my notes", "my notes\n", "{\"a\": 1}\n", "\n"] {
        fs::write(&path, contents).unwrap();
        let error = random(&space(), 3, &own, |_| 0.0).unwrap_err();
        assert!(matches!(error, TuneError::NotAJournal { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), contents);
    }
    let nowhere = options(Some(folder.path().join("no/such/folder")));
    let error = random(&space(), 3, &nowhere, |_| 0.0).unwrap_err();
    assert!(error.to_string().contains("cannot open the journal"), "{error}");
}

#[test]
fn damage_before_the_last_line_is_named_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let own = options(Some(path.clone()));
    random(&space(), 4, &own, |_| 0.5).unwrap();
    let journal = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = journal.lines().collect();
    let said = |lines: &[&str]| {
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        let error = random(&space(), 4, &own, |_| 0.5).unwrap_err();
        assert!(matches!(error, TuneError::Damaged { .. }), "{error}");
        error.to_string()
    };
    assert!(said(&[lines[0], lines[1], "{}", lines[2]]).contains(":3: damaged journal: missing"));
    let twice = said(&[lines[0], lines[1], lines[2], lines[1]]);
    assert!(twice.contains(":4: damaged journal: trial 0 is there twice"), "{twice}");
    let seed = lines[2].replace("\"seed\":", "\"seed\":1");
    let said = said(&[lines[0], &seed, lines[1]]);
    assert!(said.contains(":2: damaged journal: "), "{said}");
}

/// After a power cut the file may be long enough before its last block is there.
#[test]
fn a_last_line_that_cannot_be_read_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let own = options(Some(path.clone()));
    let found = text(&random(&space(), 4, &own, |t| score(t, 0)).unwrap());
    let journal = fs::read(&path).unwrap();
    let mut hollow = journal.clone();
    let end = hollow.len() - 1;
    hollow[end - 40..end].fill(0);
    fs::write(&path, hollow).unwrap();
    assert_eq!(text(&random(&space(), 4, &own, |t| score(t, 0)).unwrap()), found);
    assert_eq!(fs::read(&path).unwrap(), journal);
}

#[test]
fn a_journal_is_written_by_one_search_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let own = options(Some(folder.path().join("journal")));
    let found = random(&space(), 1, &own, |_| match random(&space(), 1, &own, |_| 0.0) {
        Err(TuneError::Busy { .. }) => 1.0,
        _ => 0.0,
    });
    assert_eq!(found.unwrap().best().unwrap().outcome.number(), Some(1.0));
}

/// Set in the child: folder of journal and saved states, kind of search, number of threads.
const CHILD: &str = "PLEACH_TUNE_CHILD";
const KILLED: &str = "killed_searches_end_as_if_they_were_not";

/// A few milliseconds of work whose result nobody needs.
fn work() {
    let end = Instant::now() + Duration::from_millis(3);
    while Instant::now() < end {
        std::hint::black_box(Key(1).block(1));
    }
}

/// Goes on from what was saved at the last rung, and saves: its score has a memory.
fn saved_score(folder: &Path, trial: &Trial, part: std::ops::Range<u64>) -> Result<f64, String> {
    let file = |at: u64| folder.join(format!("state-{}-{at}", trial.number));
    let mut state = match part.start {
        0 => 1.0,
        start => fs::read_to_string(file(start)).unwrap().parse::<f64>().unwrap(),
    };
    for step in part.clone() {
        state = state * trial.float("x").unwrap() + Key(trial.seed).uniform_f64(step);
    }
    work();
    fs::write(file(part.end), format!("{state:?}")).unwrap();
    score(trial, part.end).map(|s| s + state)
}

fn child_search(folder: &Path, kind: &str, threads: usize) -> Findings {
    let journal = Some(folder.join("journal"));
    let options = Options { threads, ..options(journal) };
    let run = |trial: &Trial, part| saved_score(folder, trial, part);
    match kind {
        "random" => random(&space(), 12, &options, |t| run(t, 0..3)),
        "asha" => halving().asha(&space(), &options, run),
        _ => halving().synchronous(&space(), &options, run),
    }
    .unwrap()
}

fn spawn(folder: &Path, kind: &str, threads: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", KILLED])
        .env(CHILD, format!("{kind} {threads} {}", folder.display()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn killed_searches_end_as_if_they_were_not() {
    if let Ok(told) = std::env::var(CHILD) {
        let mut words = told.splitn(3, ' ');
        let [kind, threads, folder] = [(); 3].map(|()| words.next().unwrap());
        let found = child_search(Path::new(folder), kind, threads.parse().unwrap());
        return fs::write(Path::new(folder).join("found"), text(&found)).unwrap();
    }
    let mut kills = 0;
    for (round, (kind, threads)) in
        [("random", 1), ("random", 3), ("synchronous", 2), ("asha", 1)].into_iter().enumerate()
    {
        let whole = tempfile::tempdir().unwrap();
        let expected = text(&child_search(whole.path(), kind, threads));
        for again in 0..4 {
            let folder = tempfile::tempdir().unwrap();
            let key = Key(round as u64).fold(again);
            for attempt in 0.. {
                let mut child = spawn(folder.path(), kind, threads);
                let lives = Duration::from_micros(key.below(attempt, 40_000));
                let born = Instant::now();
                let ended = loop {
                    match child.try_wait().unwrap() {
                        Some(status) => break Some(status),
                        None if born.elapsed() > lives => break None,
                        None => std::thread::yield_now(),
                    }
                };
                if let Some(status) = ended {
                    assert!(status.success());
                    break;
                }
                child.kill().unwrap(); // SIGKILL
                child.wait().unwrap();
                kills += 1;
            }
            assert_eq!(
                fs::read_to_string(folder.path().join("found")).unwrap(),
                expected,
                "{kind}"
            );
            let journal = fs::read_to_string(folder.path().join("journal")).unwrap();
            let lines: HashSet<&str> = journal.lines().collect();
            assert_eq!(lines.len(), journal.lines().count(), "nothing is done twice");
        }
    }
    assert!(kills >= 20, "{kills} kills");
}
