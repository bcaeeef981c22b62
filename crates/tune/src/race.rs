//! Who runs next: trials on rungs. A search without rungs is a race with one.

use crate::{Direction, Outcome};

/// One piece of work: a trial that climbs to a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) trial: usize,
    pub(crate) rung: usize,
}

/// When a trial goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// As soon as it is among the best `1/reduction` of those seen on its rung (ASHA).
    AtOnce,
    /// When all of its rung are done.
    Together,
}

/// The state of a race. What comes next is a function of the outcomes so far and of what is under
/// way, never of time.
#[derive(Debug)]
pub(crate) struct Race {
    rule: Rule,
    direction: Direction,
    reduction: usize,
    rungs: Vec<Rung>,
    /// [`Rule::Together`]: the rung that is run now, and who runs on it.
    current: usize,
    cohort: Vec<usize>,
    /// No trial of the cohort before this one is unbegun.
    next: usize,
}

#[derive(Debug)]
struct Rung {
    begun: Vec<bool>,
    outcomes: Vec<Option<Outcome>>,
    ended: usize,
    /// Trials that have a number here, best first; of equal ones the lower number.
    order: Vec<usize>,
    /// No trial before this one is unbegun.
    next: usize,
}

impl Race {
    pub(crate) fn new(
        rule: Rule,
        direction: Direction,
        reduction: usize,
        trials: usize,
        rungs: usize,
    ) -> Race {
        let rung = || Rung {
            begun: vec![false; trials],
            outcomes: vec![None; trials],
            ended: 0,
            order: Vec::new(),
            next: 0,
        };
        let rungs = (0..rungs).map(|_| rung()).collect();
        Race {
            rule,
            direction,
            reduction,
            rungs,
            current: 0,
            cohort: (0..trials).collect(),
            next: 0,
        }
    }

    /// The next piece of work while `running` others are under way. None: nothing before one of
    /// them ends; the end of the race if there are none.
    pub(crate) fn next(&mut self, running: usize) -> Option<Job> {
        let job = match self.rule {
            Rule::AtOnce => self.at_once(running),
            Rule::Together => self.together(running),
        }?;
        self.rungs[job.rung].begun[job.trial] = true;
        Some(job)
    }

    fn at_once(&mut self, running: usize) -> Option<Job> {
        let top = self.rungs.len() - 1;
        for rung in (0..top).rev() {
            let share = self.rungs[rung].ended / self.reduction;
            if let Some(trial) = self.waiting(rung, share) {
                return Some(Job { trial, rung: rung + 1 });
            }
        }
        if let Some(trial) = self.rungs[0].unbegun() {
            return Some(Job { trial, rung: 0 });
        }
        // All have begun and none is due. The best of the highest rung goes on to the top, so that
        // there is a winner.
        let best = |rung: usize| self.waiting(rung, usize::MAX).map(|trial| (trial, rung + 1));
        let reached = self.rungs[top].order.is_empty();
        let last = (0..top).rev().find_map(best).filter(|_| reached && running == 0);
        last.map(|(trial, rung)| Job { trial, rung })
    }

    /// The best of the first `share` of a rung that has not gone on.
    fn waiting(&self, rung: usize, share: usize) -> Option<usize> {
        let gone = &self.rungs[rung + 1].begun;
        self.rungs[rung].order.iter().copied().take(share).find(|&trial| !gone[trial])
    }

    fn together(&mut self, running: usize) -> Option<Job> {
        loop {
            let rung = self.current;
            let begun = &self.rungs[rung].begun;
            while self.cohort.get(self.next).is_some_and(|&trial| begun[trial]) {
                self.next += 1;
            }
            if let Some(&trial) = self.cohort.get(self.next) {
                return Some(Job { trial, rung });
            }
            if running > 0 || rung + 1 == self.rungs.len() || self.cohort.is_empty() {
                return None;
            }
            let keep = (self.cohort.len() / self.reduction).max(1);
            self.cohort = self.rungs[rung].order.iter().copied().take(keep).collect();
            (self.current, self.next) = (rung + 1, 0);
        }
    }

    /// Notes how a piece of work ended. False if it is none of this race, or was noted before.
    pub(crate) fn record(&mut self, job: Job, outcome: Outcome) -> bool {
        let Some(rung) = self.rungs.get_mut(job.rung) else { return false };
        if !rung.outcomes.get(job.trial).is_some_and(Option::is_none) {
            return false;
        }
        if let Some(score) = outcome.number() {
            let outcomes = &rung.outcomes;
            let before = |&other: &usize| {
                let theirs = outcomes[other].as_ref().and_then(Outcome::number);
                let theirs = theirs.unwrap_or(f64::NAN);
                self.direction.compare(theirs, score).then(other.cmp(&job.trial)).is_lt()
            };
            rung.order.insert(rung.order.partition_point(before), job.trial);
        }
        rung.begun[job.trial] = true;
        rung.outcomes[job.trial] = Some(outcome);
        rung.ended += 1;
        true
    }

    /// What a trial reached, rung by rung from the lowest.
    pub(crate) fn outcomes(&self, trial: usize) -> impl Iterator<Item = &Outcome> {
        self.rungs.iter().map_while(move |rung| rung.outcomes[trial].as_ref())
    }
}

impl Rung {
    fn unbegun(&mut self) -> Option<usize> {
        while *self.begun.get(self.next)? {
            self.next += 1;
        }
        Some(self.next)
    }
}
