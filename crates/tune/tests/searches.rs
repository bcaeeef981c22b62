//! Laws of grid and random search.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pleach_tune::{
    Direction, Findings, Options, Outcome, Space, Trial, TuneError, Value, grid, random,
};
use proptest::prelude::*;

fn space() -> Space {
    Space::new()
        .uniform("a", -2.0, 3.0)
        .log_uniform("b", 1e-5, 10.0)
        .integer("c", -3, 3)
        .choice("d", ["x", "y", "z"])
}

/// A score with equal values, NaN and failures among it.
fn score(trial: &Trial) -> Result<f64, String> {
    match trial.seed % 7 {
        0 => Err(format!("trial {} is unlucky", trial.number)),
        1 => Ok(f64::NAN),
        2 => Ok(0.5),
        _ => Ok(trial.float("a").unwrap() * trial.float("c").unwrap()),
    }
}

/// NaN is equal to itself here.
fn text(found: &Findings) -> String {
    serde_json::to_string(found).unwrap()
}

fn floats(found: &Findings, name: &str) -> Vec<f64> {
    let mut values: Vec<(usize, f64)> =
        found.trials.iter().map(|t| (t.trial.number, t.trial.float(name).unwrap())).collect();
    values.sort_by_key(|(number, _)| *number);
    values.into_iter().map(|(_, value)| value).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn draws_lie_in_their_domains(seed: u64, number in 0..100_000usize) {
        let trial = space().trial(seed, number);
        prop_assert!((-2.0..3.0).contains(&trial.float("a").unwrap()));
        prop_assert!((1e-5..10.0).contains(&trial.float("b").unwrap()));
        prop_assert!((-3..=3).contains(&trial.int("c").unwrap()));
        prop_assert!(["x", "y", "z"].contains(&trial.text("d").unwrap()));
    }

    #[test]
    fn any_range_of_integers_is_drawn_from(low: i64, high: i64, seed: u64) {
        prop_assume!(low < high);
        let value = Space::new().integer("n", low, high).trial(seed, 0).int("n").unwrap();
        prop_assert!((low..=high).contains(&value));
    }

    #[test]
    fn threads_change_nothing(seed: u64, threads in 2..6usize, n in 1..40usize) {
        let one = Options { seed, ..Options::default() };
        let many = Options { threads, ..one.clone() };
        let (a, b) = (random(&space(), n, &one, score), random(&space(), n, &many, score));
        prop_assert_eq!(text(&a.unwrap()), text(&b.unwrap()));
        let counts = [("a", 2), ("b", n % 5 + 1), ("c", 2)];
        let (a, b) = (grid(&space(), &counts, &one, score), grid(&space(), &counts, &many, score));
        prop_assert_eq!(text(&a.unwrap()), text(&b.unwrap()));
    }

    #[test]
    fn the_best_comes_first_and_losers_last(seed: u64, n in 1..60usize, maximize: bool) {
        let direction = if maximize { Direction::Maximize } else { Direction::Minimize };
        let options = Options { seed, direction, ..Options::default() };
        let found = random(&space(), n, &options, score).unwrap();
        prop_assert_eq!(found.trials.len(), n);
        let numbers: Vec<f64> = found.trials.iter().map_while(|t| t.outcome.number()).collect();
        let sorted = numbers.is_sorted_by(|a, b| if maximize { a >= b } else { a <= b });
        prop_assert!(sorted);
        let (nan, failed) = (found.nan().count(), found.failed().count());
        prop_assert_eq!(numbers.len() + nan + failed, n);
        prop_assert!(found.trials[n - failed..].iter().all(|t| matches!(t.outcome, Outcome::Failed(_))));
        for (trial, error) in found.failed() {
            prop_assert_eq!(error, format!("trial {} is unlucky", trial.number));
        }
        prop_assert_eq!(found.best().is_some(), !numbers.is_empty());
        // Every trial ran with its own seed and point, whatever ran before.
        for tried in &found.trials {
            prop_assert_eq!(&tried.trial, &space().trial(seed, tried.trial.number));
        }
        let again: Findings = serde_json::from_str(&text(&found)).unwrap();
        prop_assert_eq!(text(&again), text(&found));
    }

    #[test]
    fn a_grid_holds_every_combination_once(a in 1..6usize, b in 1..6usize, c in 1..12usize) {
        let counts = [("a", a), ("b", b), ("c", c)];
        let found = grid(&space(), &counts, &Options::default(), score).unwrap();
        let mut points: Vec<String> =
            found.trials.iter().map(|t| format!("{:?}", t.trial.point)).collect();
        points.sort();
        points.dedup();
        prop_assert_eq!(points.len(), a * b * c.min(7) * 3);
    }
}

#[test]
fn grids_are_evenly_spaced_with_both_ends() {
    let options = Options::default();
    let run = |space: Space, n| grid(&space, &[("x", n)], &options, |_| 0.0).unwrap();
    let close = |a: &[f64], b: &[f64]| {
        assert_eq!(a.len(), b.len());
        assert!(a.iter().zip(b).all(|(a, b)| (a / b - 1.0).abs() < 1e-12), "{a:?} {b:?}");
    };
    close(&floats(&run(Space::new().uniform("x", 1.0, 3.0), 5), "x"), &[1.0, 1.5, 2.0, 2.5, 3.0]);
    close(&floats(&run(Space::new().log_uniform("x", 1e-2, 1e2), 3), "x"), &[1e-2, 1.0, 1e2]);
    close(&floats(&run(Space::new().log_uniform("x", 1e-2, 1e2), 1), "x"), &[1.0]);
    close(&floats(&run(Space::new().integer("x", 1, 10), 4), "x"), &[1.0, 4.0, 7.0, 10.0]);
    close(&floats(&run(Space::new().integer("x", 1, 3), 9), "x"), &[1.0, 2.0, 3.0]);
    let all = grid(&Space::new().integer("x", 1, 3), &[], &options, |_| 0.0).unwrap();
    close(&floats(&all, "x"), &[1.0, 2.0, 3.0]);
}

#[test]
fn the_last_parameter_of_a_grid_changes_fastest() {
    let space = Space::new().choice("a", [0, 1]).choice("b", [0, 1, 2]);
    let found = grid(&space, &[], &Options::default(), |t| t.number as f64).unwrap();
    let pairs: Vec<(i64, i64)> = found
        .trials
        .iter()
        .map(|t| (t.trial.int("a").unwrap(), t.trial.int("b").unwrap()))
        .collect();
    assert_eq!(pairs, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
}

#[test]
fn neither_more_trials_nor_more_parameters_change_a_draw() {
    let more = space().uniform("e", 0.0, 1.0);
    for number in 0..20 {
        let (a, b) = (space().trial(3, number), more.trial(3, number));
        assert_eq!(a.seed, b.seed);
        assert!(a.point.iter().all(|(name, value)| b.point[name] == *value));
        assert_ne!(a.seed, space().trial(3, number + 1).seed);
        assert_ne!(a.seed, space().trial(4, number).seed);
    }
}

#[test]
fn log_uniform_draws_are_uniform_in_the_logarithm() {
    let space = Space::new().log_uniform("x", 1e-4, 1e4);
    let n = 4000;
    let below = (0..n).filter(|&i| space.trial(0, i).float("x").unwrap() < 1e-2).count();
    assert!((below as f64 / n as f64 - 0.25).abs() < 0.03, "{below}");
}

#[test]
fn values_are_asked_for_by_name_and_kind() {
    let trial = space().trial(0, 0);
    let error = |e: Result<f64, TuneError>| e.unwrap_err().to_string();
    assert_eq!(error(trial.float("d")), r#""d": expected a number, it is a text"#);
    let names = r#"no parameter is named "rate", there are ["a", "b", "c", "d"]"#;
    assert_eq!(error(trial.float("rate")), names);
    let said = trial.int("a").unwrap_err().to_string();
    assert_eq!(said, r#""a": expected an integer, it is a float"#);
    assert!(matches!(trial.text("c"), Err(TuneError::Kind { .. })));
    assert_eq!(trial.point["c"], Value::Int(trial.int("c").unwrap()));
}

#[test]
fn a_search_that_makes_no_sense_is_a_typed_error() {
    let said = |space: Space| space.check().unwrap_err().to_string();
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let cases = [
        (Space::new(), "space: expected at least one parameter, got none"),
        (space().uniform("a", 0.0, 1.0), r#"space: two parameters are named "a""#),
        (
            Space::new().uniform("x", 1.0, 1.0),
            r#"space: "x": expected low < high, got 1.0 and 1.0"#,
        ),
        (
            Space::new().uniform("x", nan, 1.0),
            r#"space: "x": expected low < high, got NaN and 1.0"#,
        ),
        (
            Space::new().uniform("x", 0.0, inf),
            r#"space: "x": expected low < high, got 0.0 and inf"#,
        ),
        (
            Space::new().log_uniform("x", 0.0, 1.0),
            r#"space: "x": expected 0 < low < high, got 0.0 and 1.0"#,
        ),
        (Space::new().integer("n", 2, 2), r#"space: "n": expected low < high, got 2 and 2"#),
        (
            Space::new().choice("c", Vec::<i64>::new()),
            r#"space: "c": expected a choice of at least one value"#,
        ),
        (Space::new().choice("c", [inf]), r#"space: "c": expected a choice of finite numbers"#),
    ];
    for (space, text) in cases {
        assert_eq!(said(space), text);
    }
    let options = Options::default();
    let said = |counts: &[(&str, usize)]| {
        grid(&space(), counts, &options, |_| 0.0).unwrap_err().to_string()
    };
    assert_eq!(said(&[("a", 2)]), r#"grid: "b": expected a number, got none"#);
    assert_eq!(said(&[("a", 0), ("b", 1)]), r#"grid: "a": expected at least 1, got 0"#);
    assert!(said(&[("e", 1)]).starts_with(r#"no parameter is named "e""#));
    assert!(said(&[("a", 1), ("b", 1), ("d", 1)]).contains("a choice takes all its values"));
    assert!(said(&[("a", 1 << 40), ("b", 1 << 40)]).starts_with("search: expected 1 to 100000"));
    let none = random(&space(), 0, &options, |_| 0.0);
    assert!(matches!(none, Err(TuneError::Trials { got: 0, .. })));
    let no_threads = Options { threads: 0, ..Options::default() };
    let said = random(&space(), 1, &no_threads, |_| 0.0).unwrap_err().to_string();
    assert_eq!(said, "search: threads must be at least 1, got 0");
}

#[test]
fn a_panic_of_a_trial_goes_on_in_the_caller() {
    for threads in [1, 3] {
        let options = Options { threads, ..Options::default() };
        let search =
            || random(&space(), 9, &options, |t| if t.number == 5 { panic!("five") } else { 0.0 });
        let panic = std::panic::catch_unwind(search).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"five"));
    }
}
