//! Kills of a run, and what must be true of it afterwards.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use pleach::tensor::Key;

use crate::rules::{RULES, SCHEDULES, each_once, pairs};
use crate::train::{Said, train};

/// This program again, in another part.
pub(crate) fn start(args: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program).args(args).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// The next line; not one that a kill has cut.
pub(crate) fn line(output: &mut BufReader<ChildStdout>) -> Option<String> {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.ends_with('\n').then(|| line.trim_end().to_string())
}

/// One process of a run: it ends by itself, or is killed some time after it has resumed.
fn live(rule: &str, schedule: &str, path: &Path, kill: Option<Duration>) -> (Said, Duration) {
    let (mut child, mut output) = start(&["train", rule, schedule, path.to_str().unwrap()]);
    let mut said = Said::default();
    said.hear(&line(&mut output).expect("the run begins"));
    let begin = Instant::now();
    if let Some(after) = kill {
        std::thread::sleep(after);
        child.kill().unwrap();
    }
    while let Some(line) = line(&mut output) {
        said.hear(&line);
    }
    let time = begin.elapsed();
    let status = child.wait().unwrap();
    assert!(kill.is_some() || status.success(), "{rule}, {schedule}: {status}");
    (said, time)
}

/// How many kills there were, and where.
#[derive(Debug, Default)]
struct Kills {
    all: usize,
    before_the_first_save: usize,
    in_a_save: usize,
    between_two_renames: usize,
}

/// A run that is killed `kills` times, unless it is at its end before.
fn kill_and_resume(rule: &str, schedule: &str, kills: usize, key: Key, count: &mut Kills) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let (whole, time) = live(rule, schedule, &folder.path().join("whole"), None);
    let alone = RefCell::new(Said::default());
    let hash = train(rule, schedule, None, &|line| alone.borrow_mut().hear(&line));
    let (end, alone) = (Some(format!("{hash:016x}")), alone.into_inner());
    assert_eq!((&whole.end, &whole.losses), (&end, &alone.losses), "a save changes the run");

    let (mut saving, mut saved) = (0, 0);
    for life in 0..=kills {
        let after = time.mul_f64(key.uniform_f64(life as u64));
        let (said, _) = live(rule, schedule, &path, (life < kills).then_some(after));
        let (from, fell_back) = said.resumed.unwrap();
        let about = format!("{rule}, {schedule}, life {life}");
        assert!((saved..=saving).contains(&from), "{about}: {from} is not {saved}..={saving}");
        for (step, loss) in &said.losses {
            assert_eq!(Some(loss), alone.losses.get(step), "{about}: loss of step {step}");
        }
        saved = said.saved.unwrap_or(from).max(from);
        saving = said.saving.unwrap_or(saved).max(saved);
        count.between_two_renames += usize::from(fell_back);
        if said.end.is_some() {
            assert_eq!(said.end, end, "{about}: not the same values");
            break;
        }
        count.all += 1;
        count.before_the_first_save += usize::from(saving == 0);
        count.in_a_save += usize::from(saving != saved);
    }
    // Whatever the killed saves have left is gone but for what the last of them left.
    let left = std::fs::read_dir(folder.path()).unwrap();
    let names = left.map(|e| e.unwrap().file_name().into_string().unwrap());
    let temporary = names.filter(|name| name.ends_with(".tmp")).count();
    assert!(temporary <= 1, "{temporary} temporary files");
}

/// Every rule and every schedule once, with a kill each; or all pairs, with `kills` of them at least,
/// several a run.
pub(crate) fn a_run_that_is_killed_and_resumed_has_the_same_bits(kills: Option<usize>) {
    assert!(SCHEDULES.len() <= RULES.len(), "a schedule without a run");
    let all: Vec<(&str, &str)> = match kills {
        Some(_) => pairs().collect(),
        None => each_once().collect(),
    };
    let a_run = kills.map_or(1, |kills| kills.div_ceil(all.len()).max(2));
    let (mut count, mut runs) = (Kills::default(), 0);
    while runs == 0 || count.all < kills.unwrap_or(1) {
        for (rule, schedule) in &all {
            kill_and_resume(rule, schedule, a_run, Key(17).fold(runs), &mut count);
            runs += 1;
        }
        assert!(count.all > 0, "no run was alive when it was to be killed");
    }
    let (rules, schedules) = (RULES.len(), SCHEDULES.len());
    println!("{runs} runs of {rules} rules and {schedules} schedules: {count:?}");
}
