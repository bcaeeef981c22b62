//! Runs a race by threads, and writes down what ends.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::journal::Journal;
use crate::race::{Job, Race};
use crate::{Outcome, TuneError};

struct Shared {
    race: Race,
    journal: Option<Journal>,
    /// Pieces of work under way.
    running: usize,
    error: Option<TuneError>,
    panic: Option<Box<dyn std::any::Any + Send>>,
}

/// Runs all work of `race` by `threads` threads, this one among them, and returns it when it has
/// ended. Every outcome is in the journal before it has a consequence.
///
/// A panic of `run` ends the race and goes on in this thread; an error of the journal ends it too.
/// Work under way is finished first.
pub(crate) fn drive(
    race: Race,
    threads: usize,
    journal: Option<Journal>,
    run: impl Fn(Job) -> Outcome + Sync,
) -> Result<Race, TuneError> {
    let shared = Mutex::new(Shared { race, journal, running: 0, error: None, panic: None });
    let changed = Condvar::new();
    let work = || worker(&shared, &changed, &run);
    thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    match (shared.panic, shared.error) {
        (Some(panic), _) => resume_unwind(panic),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(shared.race),
    }
}

fn worker(shared: &Mutex<Shared>, changed: &Condvar, run: &(impl Fn(Job) -> Outcome + Sync)) {
    while let Some(job) = next(shared, changed) {
        let ended = catch_unwind(AssertUnwindSafe(|| run(job)));
        let mut state = lock(shared);
        state.running -= 1;
        match ended {
            Err(panic) => state.panic = Some(panic),
            Ok(outcome) => {
                let written = state.journal.as_mut().map(|journal| journal.write(job, &outcome));
                match written {
                    Some(Err(error)) => state.error = Some(error),
                    _ => {
                        state.race.record(job, outcome);
                    }
                }
            }
        }
        drop(state);
        changed.notify_all();
    }
}

/// Waits for the next piece of work; none at the end of the race.
fn next(shared: &Mutex<Shared>, changed: &Condvar) -> Option<Job> {
    let mut state = lock(shared);
    loop {
        if state.error.is_some() || state.panic.is_some() {
            return None;
        }
        let running = state.running;
        match state.race.next(running) {
            Some(job) => {
                state.running += 1;
                return Some(job);
            }
            None if running == 0 => return None,
            None => state = changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
