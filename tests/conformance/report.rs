//! What passed, what failed and why, kind by kind; runs cases on all processors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What became of one case.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    /// There is nothing here that it could be run with.
    Unsupported,
}

impl Outcome {
    pub(crate) fn passed(&self) -> bool {
        matches!(self, Outcome::Passed)
    }
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Outcome {
        result.map_or_else(Outcome::Failed, |()| Outcome::Passed)
    }
}

/// The cases of one kind: `operator/case`, and what became of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) kind: &'static str,
    pub(crate) cases: Vec<(String, Outcome)>,
}

/// One case to run.
pub(crate) type Job<'a> = (String, Box<dyn Fn() -> Outcome + Send + Sync + 'a>);

impl Report {
    /// Runs the jobs on all processors. A panic is a failure of its case.
    pub(crate) fn run(kind: &'static str, jobs: &[Job<'_>]) -> Report {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(vec![None; jobs.len()]);
        let work = || {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some((_, job)) = jobs.get(i) else { break };
                let outcome = catch_unwind(AssertUnwindSafe(job))
                    .unwrap_or_else(|cause| Outcome::Failed(format!("panic: {}", said(&*cause))));
                if let Ok(mut done) = done.lock() {
                    done[i] = Some(outcome);
                }
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        let done = done.into_inner().unwrap_or_default();
        let outcome = |o: Option<Outcome>| o.unwrap_or_else(|| Outcome::Failed("not run".into()));
        let cases = jobs.iter().zip(done).map(|((name, _), o)| (name.clone(), outcome(o)));
        Report { kind, cases: cases.collect() }
    }

    pub(crate) fn passed(&self) -> usize {
        self.cases.iter().filter(|(_, outcome)| outcome.passed()).count()
    }

    pub(crate) fn failures(&self) -> Vec<(&str, &str)> {
        let mut failures = Vec::new();
        for (name, outcome) in &self.cases {
            if let Outcome::Failed(why) = outcome {
                failures.push((name.as_str(), why.as_str()));
            }
        }
        failures
    }

    /// The names of the cases that cannot be run.
    pub(crate) fn unsupported(&self) -> Vec<&str> {
        let missing = self.cases.iter().filter(|(_, o)| matches!(o, Outcome::Unsupported));
        missing.map(|(name, _)| name.as_str()).collect()
    }

    /// `ops: N passed, M failed, K unsupported`.
    pub(crate) fn line(&self) -> String {
        let (passed, failed) = (self.passed(), self.failures().len());
        let unsupported = self.cases.len() - passed - failed;
        format!("{}: {passed} passed, {failed} failed, {unsupported} unsupported", self.kind)
    }
}

fn said(cause: &(dyn std::any::Any + Send)) -> &str {
    let owned = cause.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

/// The operator of a case: what stands before the `/`.
pub(crate) fn operator(case: &str) -> &str {
    case.split('/').next().unwrap_or(case)
}
