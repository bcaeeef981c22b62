//! Grid and random search.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use crate::drive::drive;
use crate::findings::{Findings, findings};
use crate::journal::{FORMAT, Journal};
use crate::race::{Job, Race, Rule};
use crate::space::MOST_TRIALS;
use crate::{Direction, IntoOutcome, Outcome, Space, Trial, TuneError};

/// What all searches have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What the trials measure, in words. It is part of the identity of a journal: say here what
    /// the closure does, and results of another closure are not taken for its own.
    pub name: String,
    /// Which scores are better.
    pub direction: Direction,
    /// Trials and their seeds are functions of it.
    pub seed: u64,
    /// Trials that run at the same time, at least 1. Grid, random and synchronous searches give
    /// the same for any number.
    pub threads: usize,
    /// A file to resume from. It is begun if it is not there; its folder must be.
    pub journal: Option<PathBuf>,
}

impl Default for Options {
    /// Minimizes, with seed 0, by one thread, without a journal.
    fn default() -> Self {
        let (name, direction) = (String::new(), Direction::default());
        Options { name, direction, seed: 0, threads: 1, journal: None }
    }
}

/// Tries every combination of `counts[name]` values for each float parameter, evenly spaced (on a
/// log scale for [`log_uniform`](Space::log_uniform)) with both ends; a single one is in the
/// middle. An integer without a count takes all its values, as choices do. The last parameter
/// changes fastest.
///
/// # Errors
/// Those of [`Space::check`]; [`TuneError::UnknownName`] or [`TuneError::Points`] for a count;
/// [`TuneError::Trials`] for more than 100,000 combinations; [`TuneError::Option`] for 0
/// threads; those of the journal. Errors of trials are kept in the findings.
///
/// ```
/// use pleach_tune::{Options, Space, TuneError, grid};
/// let space = Space::new().log_uniform("rate", 0.01, 1.0).choice("steps", [1, 2]);
/// let found = grid(&space, &[("rate", 3)], &Options::default(), |trial| {
///     let distance = (trial.float("rate")? - 0.1).abs();
///     Ok::<f64, TuneError>(distance + trial.float("steps")?)
/// })?;
/// assert_eq!(found.trials.len(), 6);
/// let best = found.best().expect("a trial has a score");
/// assert!((best.trial.float("rate")? - 0.1).abs() < 1e-12);
/// assert_eq!(best.trial.int("steps")?, 1);
/// # Ok::<(), TuneError>(())
/// ```
pub fn grid<R: IntoOutcome>(
    space: &Space,
    counts: &[(&str, usize)],
    options: &Options,
    run: impl Fn(&Trial) -> R + Sync,
) -> Result<Findings, TuneError> {
    space.check()?;
    let trials = space.grid(options.seed, counts)?;
    let identity =
        json!({ "search": "grid", "counts": counts.iter().copied().collect::<BTreeMap<_, _>>() });
    plain(space, trials, options, identity, run)
}

/// Tries `trials` points drawn from the space.
///
/// Trial `i` is [`Space::trial`]`(seed, i)`: a longer search begins with the trials of a shorter
/// one, so a journal can be continued with more of them.
///
/// # Errors
/// Those of [`Space::check`]; [`TuneError::Trials`] unless there are 1 to 100,000;
/// [`TuneError::Option`] for 0 threads; those of the journal. Errors of trials are kept in the
/// findings.
///
/// ```
/// use pleach_tune::{Direction, Options, Space, TuneError, random};
/// let space = Space::new().uniform("x", -1.0, 3.0);
/// let options = Options { direction: Direction::Maximize, seed: 1, ..Options::default() };
/// let found = random(&space, 50, &options, |trial| {
///     Ok::<f64, TuneError>(1.0 - (trial.float("x")? - 1.0).powi(2))
/// })?;
/// let best = found.best().expect("a trial has a score");
/// assert!((best.trial.float("x")? - 1.0).abs() < 0.1);
/// # Ok::<(), TuneError>(())
/// ```
///
/// **Source** Bergstra and Bengio, JMLR 13, 2012.
pub fn random<R: IntoOutcome>(
    space: &Space,
    trials: usize,
    options: &Options,
    run: impl Fn(&Trial) -> R + Sync,
) -> Result<Findings, TuneError> {
    space.check()?;
    let trials = drawn(space, trials, options.seed)?;
    plain(space, trials, options, json!({ "search": "random" }), run)
}

fn plain<R: IntoOutcome>(
    space: &Space,
    trials: Vec<Trial>,
    options: &Options,
    identity: serde_json::Value,
    run: impl Fn(&Trial) -> R + Sync,
) -> Result<Findings, TuneError> {
    let race = Race::new(Rule::Together, options.direction, 2, trials.len(), 1);
    let work = |trial: &Trial, _: Job| run(trial).into_outcome();
    search(space, trials, options, identity, race, &[], work)
}

/// The first `n` trials of a random search.
pub(crate) fn drawn(space: &Space, n: usize, seed: u64) -> Result<Vec<Trial>, TuneError> {
    if n == 0 || n > MOST_TRIALS {
        return Err(TuneError::Trials { got: n, most: MOST_TRIALS });
    }
    Ok((0..n).map(|number| space.trial(seed, number)).collect())
}

/// Runs a race from where its journal is to its end. `rungs` are resources, none without rungs.
pub(crate) fn search(
    space: &Space,
    trials: Vec<Trial>,
    options: &Options,
    mut identity: serde_json::Value,
    mut race: Race,
    rungs: &[u64],
    work: impl Fn(&Trial, Job) -> Outcome + Sync,
) -> Result<Findings, TuneError> {
    if options.threads == 0 {
        return Err(TuneError::option("search", "threads", "at least 1", 0));
    }
    identity[FORMAT] = json!(1);
    identity["name"] = json!(options.name);
    identity["direction"] = json!(options.direction);
    identity["seed"] = json!(options.seed);
    identity["space"] = json!(space);
    let open = |path: &PathBuf| Journal::open(path, &identity, &trials, &mut race);
    let journal = options.journal.as_ref().map(open).transpose()?;
    let race = drive(race, options.threads, journal, |job| work(&trials[job.trial], job))?;
    Ok(findings(space, options.direction, trials, &race, rungs))
}
