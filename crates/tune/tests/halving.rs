//! Laws of successive halving.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

use pleach_tune::{Findings, Halving, Options, Outcome, Space, Trial, TuneError};
use proptest::prelude::*;

fn space() -> Space {
    Space::new().uniform("x", 0.0, 1.0)
}

fn options(seed: u64, threads: usize) -> Options {
    Options { seed, threads, ..Options::default() }
}

/// Closed form: the order of the trials changes from rung to rung; some fail, some are NaN.
fn score(trial: &Trial, part: &Range<u64>) -> Result<f64, String> {
    let mixed = (trial.seed ^ part.end).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    match mixed % 11 {
        0 => Err("bad luck".into()),
        1 => Ok(f64::NAN),
        rest => Ok(rest as f64 / part.end as f64),
    }
}

fn text(found: &Findings) -> String {
    serde_json::to_string(found).unwrap()
}

/// Outcomes by rung, then by trial.
fn by_rung(found: &Findings, rungs: &[u64]) -> Vec<BTreeMap<usize, Outcome>> {
    let mut all = vec![BTreeMap::new(); rungs.len()];
    for tried in &found.trials {
        for (rung, reached) in tried.rungs.iter().enumerate() {
            assert_eq!(reached.resource, rungs[rung]);
            all[rung].insert(tried.trial.number, reached.outcome.clone());
        }
        assert_eq!(text_of(&tried.rungs.last().unwrap().outcome), text_of(&tried.outcome));
    }
    all
}

fn text_of(outcome: &Outcome) -> String {
    serde_json::to_string(outcome).unwrap()
}

/// Trials that have a number, best first: what a rung hands on from.
fn ranked(rung: &BTreeMap<usize, Outcome>) -> Vec<usize> {
    let mut scored: Vec<(f64, usize)> =
        rung.iter().filter_map(|(&trial, outcome)| Some((outcome.number()?, trial))).collect();
    scored.sort_by(|a, b| a.partial_cmp(b).unwrap());
    scored.into_iter().map(|(_, trial)| trial).collect()
}

fn any_halving() -> impl Strategy<Value = Halving> {
    (1..60usize, 1..4u64, 0..200u64, 2..5u64).prop_map(|(trials, min, more, reduction)| Halving {
        trials,
        min,
        max: min + more,
        reduction,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rungs_grow_by_the_factor_up_to_the_top(halving in any_halving()) {
        let rungs = halving.rungs().unwrap();
        let Halving { min, max, reduction, .. } = halving;
        prop_assert_eq!(*rungs.last().unwrap(), max);
        prop_assert!(rungs[0] >= min && rungs[0] < min * reduction + reduction);
        for pair in rungs.windows(2) {
            // Rounded up, so by less than one.
            prop_assert!(pair[0] < pair[1]);
            prop_assert!(pair[0] * reduction >= pair[1] && (pair[0] - 1) * reduction < pair[1] + reduction);
        }
    }

    #[test]
    fn together_the_best_share_of_each_rung_goes_on(
        halving in any_halving(), seed: u64, threads in 1..5usize,
    ) {
        let run = |threads| {
            halving.synchronous(&space(), &options(seed, threads), |t, part| score(t, &part))
        };
        let found = run(threads).unwrap();
        prop_assert_eq!(text(&found), text(&run(1).unwrap()));
        let rungs = halving.rungs().unwrap();
        let all = by_rung(&found, &rungs);
        prop_assert_eq!(all[0].len(), halving.trials);
        for pair in all.windows(2) {
            let keep = (pair[0].len() / halving.reduction as usize).max(1);
            let mut expected: Vec<usize> = ranked(&pair[0]).into_iter().take(keep).collect();
            expected.sort_unstable();
            prop_assert_eq!(pair[1].keys().copied().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn at_once_nobody_is_left_who_is_due(
        halving in any_halving(), seed: u64, threads in 1..5usize,
    ) {
        let ran = Mutex::new(Vec::new());
        let found = halving.asha(&space(), &options(seed, threads), |trial, part| {
            ran.lock().unwrap().push((trial.number, part.clone()));
            score(trial, &part)
        }).unwrap();
        let rungs = halving.rungs().unwrap();
        let all = by_rung(&found, &rungs);
        prop_assert_eq!(all[0].len(), halving.trials);
        for pair in all.windows(2) {
            let scored = ranked(&pair[0]);
            prop_assert!(pair[1].keys().all(|trial| scored.contains(trial)));
            let share = pair[0].len() / halving.reduction as usize;
            prop_assert!(scored.iter().take(share).all(|trial| pair[1].contains_key(trial)));
        }
        // Somebody reached the top with a number, or everybody who went on was stopped on the way.
        let (top, below) = all.split_last().unwrap();
        let stuck = below.iter().zip(&all[1..]).all(|(a, b)| ranked(a).len() == b.len());
        prop_assert!(!ranked(top).is_empty() || stuck);
        // Every part ran once, from where the trial was.
        let mut ran = ran.into_inner().unwrap();
        let jobs: usize = all.iter().map(BTreeMap::len).sum();
        prop_assert_eq!(ran.len(), jobs);
        ran.sort_by_key(|(trial, part)| (*trial, part.start));
        for (trial, part) in ran {
            let rung = rungs.iter().position(|&r| r == part.end).unwrap();
            prop_assert_eq!(part.start, rung.checked_sub(1).map_or(0, |below| rungs[below]));
            prop_assert_eq!(text_of(&all[rung][&trial]), text_of(&{
                let trial = space().trial(seed, trial);
                pleach_tune::IntoOutcome::into_outcome(score(&trial, &part))
            }));
        }
    }

    #[test]
    fn by_one_thread_the_search_is_a_function_of_its_seed(halving in any_halving(), seed: u64) {
        let run = || halving.asha(&space(), &options(seed, 1), |t, part| score(t, &part)).unwrap();
        prop_assert_eq!(text(&run()), text(&run()));
    }
}

/// Li et al. 2020, Alg. 2, by hand: 4 trials of falling scores, reduced to a half, rungs 1, 2, 4.
#[test]
fn asha_promotes_in_the_order_of_the_paper() {
    let halving = Halving { trials: 4, min: 1, max: 4, reduction: 2 };
    let order = Mutex::new(Vec::new());
    halving
        .asha(&space(), &Options::default(), |trial, part| {
            order.lock().unwrap().push((trial.number, part.end));
            -(trial.number as f64)
        })
        .unwrap();
    // 0 and 1 begin; 1 is the better half, and goes on; 2 begins (half of 3 is 1: the best one, 2,
    // goes on); of rung 2 the better half of {1, 2} is 2, which goes to the top; then 3 does all that.
    let expected = [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (2, 4), (3, 1), (3, 2), (3, 4)];
    assert_eq!(*order.lock().unwrap(), expected);
}

/// A score is no worse for having been measured further on.
#[test]
fn who_reached_more_comes_first() {
    let rising = |t: &Trial, part: Range<u64>| part.end as f64 + t.number as f64 / 100.0;
    let found = Halving::new(9, 9).synchronous(&space(), &Options::default(), rising).unwrap();
    let reached: Vec<usize> = found.trials.iter().map(|t| t.rungs.len()).collect();
    assert_eq!(reached, [3, 2, 2, 1, 1, 1, 1, 1, 1]);
    let numbers: Vec<usize> = found.trials.iter().map(|t| t.trial.number).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_race_of_few_has_a_winner_at_the_top() {
    let found = Halving::new(2, 27).asha(&space(), &Options::default(), |t, _| t.number as f64);
    let found = found.unwrap();
    let best = found.best().unwrap();
    assert_eq!((best.trial.number, best.rungs.len()), (0, 4));
    assert_eq!(found.trials[1].rungs.len(), 1);
}

#[test]
fn options_out_of_range_are_typed_errors() {
    let said = |halving: Halving| halving.rungs().unwrap_err().to_string();
    let wrong = Halving { reduction: 1, ..Halving::new(3, 9) };
    assert_eq!(said(wrong), "successive halving: reduction must be at least 2, got 1");
    let wrong = Halving { min: 10, ..Halving::new(3, 9) };
    let text = "successive halving: min must be at least 1 and at most max = 9, got 10";
    assert_eq!(said(wrong), text);
    assert!(said(Halving::new(3, 0)).contains("at most max = 0, got 1"));
    let none = Halving::new(0, 9).asha(&space(), &Options::default(), |_, _| 0.0);
    assert!(matches!(none, Err(TuneError::Trials { got: 0, .. })));
    let huge = Halving { reduction: u64::MAX, min: 1, max: u64::MAX, trials: 1 };
    assert_eq!(huge.rungs().unwrap(), [1, u64::MAX]);
}
