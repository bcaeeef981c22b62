//! Laws of the range test, of cross-validation and of early stopping.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pleach_tensor::Key;
use pleach_tune::Verdict::{Improved, Stop, Waiting};
use pleach_tune::{
    Direction, EarlyStopping, RangeCurve, RangeTest, TuneError, Verdict, cross_validate,
};
use proptest::prelude::*;

fn range(test: &RangeTest, mut loss: impl FnMut(f64) -> f64) -> RangeCurve {
    test.run(|rate| Ok::<f64, TuneError>(loss(rate))).unwrap()
}

/// The logarithm of the factor between two rates of a test.
fn gap(test: &RangeTest) -> f64 {
    (test.high / test.low).ln() / (test.steps - 1) as f64
}

proptest! {
    /// A loss that falls as a hyperbolic tangent around `centre` is steepest there.
    #[test]
    fn the_steepest_descent_of_a_known_curve_is_found(
        centre in -8.0..-2.0f64, sharp in 0.5..2.0f64, noise in 0.0..0.02f64, seed: u64,
    ) {
        let test = RangeTest { low: (-12f64).exp(), high: 2f64.exp(), ..RangeTest::default() };
        let mut i = 0;
        let curve = range(&test, |rate| {
            i += 1;
            2.0 - (sharp * (rate.ln() - centre)).tanh() + noise * Key(seed).uniform_f64(i)
        });
        prop_assert_eq!((curve.points.len(), curve.diverged), (100, false));
        let found = curve.suggestion.unwrap().ln();
        let near = if noise == 0.0 { gap(&test) } else { 6.0 * gap(&test) };
        prop_assert!((found - centre).abs() <= near, "{found} for {centre}");
    }

    /// A line in the logarithm of the rate is its own smoothing, whatever the window.
    #[test]
    fn a_line_is_smoothed_to_itself(slope in -3.0..3.0f64, half in 1..6usize) {
        let test = RangeTest {
            low: 1e-3, high: 1.0, steps: 40, window: 2 * half + 1, diverged: f64::INFINITY,
        };
        let curve = range(&test, |rate| 5.0 + slope * rate.ln());
        for (i, point) in curve.points.iter().enumerate() {
            prop_assert_eq!(point.smooth.is_some(), i >= half && i + half < 40);
            if let Some(smooth) = point.smooth {
                prop_assert!((smooth.loss - point.loss).abs() < 1e-9);
                prop_assert!((smooth.slope - slope).abs() < 1e-9);
            }
        }
        prop_assert_eq!(curve.suggestion.is_some(), slope < 0.0);
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_folds(scores in prop::collection::vec(-1e3..1e3f64, 2..9)) {
        let got = cross_validate(&scores, |i, &s| {
            assert_eq!(s, scores[i]);
            Ok::<f64, TuneError>(s)
        }).unwrap();
        let n = scores.len() as f64;
        let mean = scores.iter().sum::<f64>() / n;
        // The other formula: the mean of the squares.
        let variance = (scores.iter().map(|s| s * s).sum::<f64>() - n * mean * mean) / (n - 1.0);
        prop_assert_eq!(&got.folds, &scores);
        prop_assert!((got.value - mean).abs() < 1e-9);
        prop_assert!((got.deviation().unwrap().powi(2) - variance).abs() < 1e-6);
    }

    /// Against the definition, over the whole past; saved and loaded at any moment.
    #[test]
    fn early_stopping_is_what_it_says(
        scores in prop::collection::vec(prop_oneof![(-4i32..5).prop_map(f64::from), Just(f64::NAN)], 0..30),
        patience in 1..5u64, delta in 0..2u32, maximize: bool, saved in 0..30usize,
    ) {
        let direction = if maximize { Direction::Maximize } else { Direction::Minimize };
        let sign = if maximize { -1.0 } else { 1.0 };
        let mut watch = EarlyStopping::new(direction, patience, f64::from(delta)).unwrap();
        let mut best: Option<(f64, usize)> = None;
        for (i, &score) in scores.iter().enumerate() {
            if i == saved {
                let text = serde_json::to_string(&watch).unwrap();
                watch = serde_json::from_str(&text).unwrap();
            }
            let improves = best.map_or(!score.is_nan(), |(b, _)| sign * score < sign * b - f64::from(delta));
            if improves {
                best = Some((score, i));
            }
            let waited = best.map_or(i + 1, |(_, at)| i - at) as u64;
            let expected: Verdict = match waited {
                _ if improves => Improved,
                n if n >= patience => Stop,
                _ => Waiting,
            };
            prop_assert_eq!(watch.check(score), expected);
            prop_assert_eq!(watch.best().map(|b| (b.score, b.check as usize)), best);
            prop_assert_eq!((watch.waited(), watch.checks()), (waited, i as u64 + 1));
        }
    }
}

#[test]
fn rates_rise_by_one_factor_from_low_to_high() {
    let test = RangeTest { low: 1e-4, high: 1.0, steps: 41, ..RangeTest::default() };
    let curve = range(&test, |_| 1.0);
    assert_eq!(curve.points.len(), 41);
    assert_eq!((curve.points[0].rate, curve.points[40].rate), (1e-4, 1.0));
    for pair in curve.points.windows(2) {
        assert!((pair[1].rate / pair[0].rate / 10f64.powf(0.1) - 1.0).abs() < 1e-12);
    }
    assert_eq!((curve.suggestion, curve.diverged), (None, false));
}

#[test]
fn the_test_ends_when_the_loss_diverges() {
    let test = RangeTest::default();
    for worst in [f64::NAN, f64::INFINITY, 1e6] {
        let curve = range(&test, |rate| if rate < 0.1 { 1.0 / (1.0 + 1e3 * rate) } else { worst });
        assert!(curve.diverged);
        let last = curve.points.last().unwrap();
        assert!(last.rate >= 0.1 && last.rate < 0.12, "{last:?}");
        assert!(curve.suggestion.unwrap() < 0.1);
    }
    // At the very last step.
    let curve = range(&test, |rate| if rate < 9.99 { 1.0 } else { f64::NAN });
    assert_eq!((curve.diverged, curve.points.len()), (true, 100));
    let text = serde_json::to_string(&curve).unwrap();
    let again: RangeCurve = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
}

/// Past its least a loss may fall steeply again, from a height: no rate to begin with.
#[test]
fn the_suggestion_is_before_the_loss_is_least() {
    let test = RangeTest { low: 1e-4, high: 1.0, diverged: f64::INFINITY, ..RangeTest::default() };
    let curve = range(&test, |rate| match rate {
        0.0..0.01 => -rate.ln(),
        0.01..0.1 => 100.0,
        _ => 10.0,
    });
    assert!(curve.suggestion.unwrap() < 0.01, "{:?}", curve.suggestion);
}

#[test]
fn a_negative_loss_is_no_divergence() {
    let curve = range(&RangeTest::default(), |rate| -10.0 - rate.ln());
    assert!(!curve.diverged && curve.suggestion.is_some());
}

#[test]
fn a_fold_that_fails_ends_it_and_nan_is_kept() {
    let failed =
        cross_validate(0..5, |i, _| if i == 2 { Err(TuneError::EmptySpace) } else { Ok(1.0) });
    assert!(matches!(failed, Err(TuneError::EmptySpace)));
    let nan =
        cross_validate(0..3, |i, _| Ok::<f64, TuneError>(if i == 1 { f64::NAN } else { 1.0 }));
    let nan = nan.unwrap();
    assert!(nan.value.is_nan() && nan.folds[0] == 1.0 && nan.folds[1].is_nan());
    for folds in 0..2usize {
        let error = cross_validate(0..folds, |_, _| Ok::<f64, TuneError>(1.0)).unwrap_err();
        let text = format!("cross-validation: expected at least 2 folds, got {folds}");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn options_out_of_range_are_typed_errors() {
    let said = |test: RangeTest| test.run(|_| Ok::<f64, TuneError>(0.0)).unwrap_err().to_string();
    let good = RangeTest::default;
    let cases = [
        (
            RangeTest { low: 0.0, ..good() },
            "range test: low must be positive and below high, got 0.0, 10.0",
        ),
        (
            RangeTest { low: 10.0, ..good() },
            "range test: low must be positive and below high, got 10.0, 10.0",
        ),
        (RangeTest { window: 4, ..good() }, "range test: window must be odd and at least 3, got 4"),
        (RangeTest { steps: 8, ..good() }, "range test: steps must be at least window, got 8"),
        (RangeTest { diverged: 1.0, ..good() }, "range test: diverged must be over 1, got 1.0"),
    ];
    for (test, text) in cases {
        assert_eq!(said(test), text);
    }
    let said = |patience, delta| {
        EarlyStopping::new(Direction::Minimize, patience, delta).unwrap_err().to_string()
    };
    assert_eq!(said(0, 0.0), "early stopping: patience must be at least 1, got 0");
    assert_eq!(said(1, -0.5), "early stopping: min_delta must be finite and at least 0, got -0.5");
    assert_eq!(
        said(1, f64::NAN),
        "early stopping: min_delta must be finite and at least 0, got NaN"
    );
}
