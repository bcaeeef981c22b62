//! Whether a run of operators is a loop, and which.

use pleach_ops::Op;

use super::is_heavy;
use super::letter::{From, Letter};
use super::runs::Run;
use super::tape::Tape;

/// A loop of a tape: `steps` times `period` operators from `start` on.
#[derive(Debug)]
pub(super) struct Rolled {
    pub(super) start: usize,
    pub(super) period: usize,
    pub(super) steps: usize,
    /// The operators of a step.
    pub(super) letters: Vec<Letter>,
    /// Does it go over its slices from the last to the first?
    pub(super) reverse: bool,
    pub(super) sums: Vec<PartSum>,
}

/// A carry to which every step adds a part of its own, among zeros: after the loop, all parts are one value. So
/// is the gradient of what each step has a slice of. Places in a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartSum {
    pub(super) part: usize,
    pub(super) pad: usize,
    pub(super) add: usize,
}

impl Rolled {
    /// The loop of at least so many steps that a run is, if it is one.
    pub(super) fn of(
        tape: &Tape<'_>,
        found: &[Rolled],
        run: &Run,
        min_steps: usize,
    ) -> Option<Rolled> {
        let period = run.period;
        // The letters are those of a step in the middle, and of the one before.
        let middle = run.start + (run.end - run.start) / period / 2 * period;
        let letters: Vec<Letter> = (middle..middle + period)
            .map(|at| Letter::of(tape, found, run, at))
            .collect::<Option<_>>()?;
        let fits = |at: usize, first: bool| {
            let distance = at as isize - middle as isize;
            let step = distance.div_euclid(period as isize);
            let offset = distance.rem_euclid(period as isize) as usize;
            letters[offset].fits(tape, found, (at, middle + offset), step, first)
        };
        let end = (middle..run.end).find(|&at| fits(at, false).is_none()).unwrap_or(run.end);
        let strict = (run.start..middle).rev().take_while(|&at| fits(at, false).is_some());
        let strict = strict.last().unwrap_or(middle);
        // Values that are the same in all steps are made before.
        let letter = |(i, letter): (usize, &Letter)| {
            let made = |(slot, from): (usize, &From)| match from {
                From::Same(id) => tape.place(*id),
                From::Part { .. } => {
                    let (_, slice) = tape.part(letter.operand(tape, middle + i, slot))?;
                    tape.place(tape.g.node(slice).inputs[0])
                }
                _ => None,
            };
            letter.from.iter().enumerate().filter_map(made).max()
        };
        let same = letters.iter().enumerate().filter_map(letter);
        let earliest = same.max().map_or(run.start, |place| run.start.max(place + 1));
        // The first step may begin with what no step made.
        let (mut starts, mut bound) = (Vec::new(), earliest);
        for at in (strict.saturating_sub(period).max(run.start)..strict + period).rev() {
            bound = match fits(at, true) {
                Some(after) => bound.max(after),
                None => bound.max(at + 1),
            };
            if bound <= at {
                starts.push(at);
            }
        }
        let costs = carried(tape, &letters, middle);
        let offset = |at: usize| (at + period - middle % period) % period;
        let enough = |at: &&usize| end.saturating_sub(**at) / period >= min_steps;
        let starts = starts.iter().filter(enough);
        let (_, start) = starts.filter_map(|&at| Some((costs[offset(at)]?, at))).min()?;
        let mut letters = letters;
        letters.rotate_left(offset(start));
        let mut of = Rolled { start, period, steps: 0, letters, reverse: false, sums: Vec::new() };
        of.steps = end.saturating_sub(start) / period;
        of.settle(tape, found).filter(|of| of.steps >= min_steps)
    }

    /// The loop with a direction, if it is one; without a last step of which more is asked for than of
    /// the others.
    fn settle(mut self, tape: &Tape<'_>, found: &[Rolled]) -> Option<Rolled> {
        if self.steps < 2 {
            return None;
        }
        let carries = self.carries();
        let heavy = (0..self.period).any(|i| is_heavy(&tape.nodes[self.start + i].op));
        self.sums = self.part_sums(tape)?;
        if carries.len() <= self.sums.len() || !heavy {
            return None;
        }
        let by = self.letters.iter().flat_map(|letter| {
            let of = letter.from.iter().filter_map(|from| match from {
                From::Of { number, by, .. } if found[*number].reverse => Some(-by),
                From::Of { by, .. } => Some(*by),
                From::Part { by, .. } => Some(by.signum()),
                _ => None,
            });
            of.chain(letter.window.map(|(_, by)| by.signum()))
        });
        let by: Vec<isize> = by.collect();
        self.reverse = by.first() == Some(&-1);
        if by.iter().any(|b| *b != by[0]) {
            return None;
        }
        let only_last = |offset: usize| {
            let used = |step: usize| self.is_used(tape, step, offset);
            used(self.steps - 1) && !(0..self.steps - 1).any(used)
        };
        if (0..self.period).any(|offset| !carries.contains(&offset) && only_last(offset)) {
            self.steps -= 1;
        }
        let asked = |sum: &PartSum| {
            (0..self.steps).any(|step| self.is_used(tape, step, sum.pad))
                || (1..self.steps).any(|step| self.is_used(tape, step - 1, sum.add))
        };
        (!self.sums.iter().any(asked)).then_some(self)
    }

    /// What is done with operands among zeros that move; `None` if it is anything else.
    fn part_sums(&self, tape: &Tape<'_>) -> Option<Vec<PartSum>> {
        let is_pad = |i: &usize| {
            self.letters[*i].window.is_some() && matches!(tape.nodes[self.start + i].op, Op::Pad(_))
        };
        // Who uses a place of a step: operators of the same step or the next one.
        let users = |made: usize| {
            let uses = move |(i, from): (usize, &From)| match *from {
                From::Before(n) if (made + n) % self.period == i => Some(i),
                _ => None,
            };
            let all = self.letters.iter().enumerate();
            all.flat_map(|(i, letter)| letter.from.iter().map(move |from| (i, from)))
                .filter_map(uses)
                .collect::<Vec<usize>>()
        };
        let sum = |pad: usize| {
            let (&[From::Before(n)], &[add]) = (&self.letters[pad].from[..], &users(pad)[..])
            else {
                return None;
            };
            let part = pad.checked_sub(n)?;
            let own = From::Before(self.period);
            let term = From::Before(add.checked_sub(pad)?);
            let is_sum = matches!(tape.nodes[self.start + add].op, Op::Add(_))
                && [[own, term], [term, own]].contains(self.letters[add].from[..].try_into().ok()?)
                && users(add) == [add];
            is_sum.then_some(PartSum { part, pad, add })
        };
        (0..self.period).filter(is_pad).map(sum).collect()
    }

    /// The places in a step of what the next step uses.
    pub(super) fn carries(&self) -> Vec<usize> {
        let mut carries: Vec<usize> = Vec::new();
        for (i, letter) in self.letters.iter().enumerate() {
            carries.extend(letter.from.iter().filter_map(|from| match *from {
                From::Before(n) if n > i => Some(i + self.period - n),
                _ => None,
            }));
        }
        carries.sort_unstable();
        carries.dedup();
        carries
    }

    pub(super) fn end(&self) -> usize {
        self.start + self.steps * self.period
    }

    pub(super) fn has(&self, place: usize) -> bool {
        (self.start..self.end()).contains(&place)
    }

    /// Leaves of a run the longer part outside of the loop.
    pub(super) fn clip(&self, run: &mut Run) {
        let before = run.start..run.end.min(self.start).max(run.start);
        let after = run.start.max(self.end()).min(run.end)..run.end;
        let part = if before.len() > after.len() { before } else { after };
        (run.start, run.end) = (part.start, part.end);
    }

    /// The slice that a step sees.
    pub(super) fn slice(&self, step: usize) -> usize {
        if self.reverse { self.steps - 1 - step } else { step }
    }

    /// Step and place in it.
    pub(super) fn split(&self, place: usize) -> (usize, usize) {
        ((place - self.start) / self.period, (place - self.start) % self.period)
    }

    /// Does anything after the loop use this value?
    pub(super) fn is_used(&self, tape: &Tape<'_>, step: usize, offset: usize) -> bool {
        tape.last[self.start + step * self.period + offset] >= self.end()
    }

    /// What is asked for after the loop that is not the last value of a carry: places in a step.
    pub(super) fn stacks(&self, tape: &Tape<'_>) -> Vec<usize> {
        let carries = self.carries();
        let asked = |&offset: &usize| {
            let steps = self.steps - usize::from(carries.contains(&offset));
            (0..steps).any(|step| self.is_used(tape, step, offset))
                || self.sums.iter().any(|sum| sum.part == offset)
        };
        (0..self.period).filter(asked).collect()
    }

    /// The bytes of what is stacked.
    pub(super) fn stacked(&self, tape: &Tape<'_>) -> usize {
        let bytes = |offset: usize| tape.nodes[self.start + offset].ty.bytes();
        let step: usize = self.stacks(tape).into_iter().map(bytes).sum();
        step.saturating_mul(self.steps)
    }
}

/// For every place of a step, what a loop that begins there carries, in bytes; `None` if it needs what two
/// steps before made.
fn carried(tape: &Tape<'_>, letters: &[Letter], middle: usize) -> Vec<Option<usize>> {
    let period = letters.len();
    // How long after it was made each value is used last.
    let mut reach = vec![0; period];
    for (i, letter) in letters.iter().enumerate() {
        for from in &letter.from {
            if let From::Before(n) = *from {
                let made = (i + n.div_ceil(period) * period - n) % period;
                reach[made] = reach[made].max(n);
            }
        }
    }
    let crosses = |start: usize| {
        let mut bytes = 0usize;
        for (made, &reach) in reach.iter().enumerate() {
            // Operators from the one that makes it to the end of its step.
            let left = (start + period - 1 - made) % period + 1;
            if reach >= left + period {
                return None;
            }
            if reach >= left {
                bytes = bytes.saturating_add(tape.nodes[middle + made].ty.bytes());
            }
        }
        Some(bytes)
    };
    (0..period).map(crosses).collect()
}
