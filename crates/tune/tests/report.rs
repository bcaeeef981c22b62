//! Results as tables and drawings.
#![cfg(feature = "report")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use expect_test::expect;
use pleach_tune::{
    Findings, Halving, Options, RangeTest, Score, Space, Trial, TuneError, cross_validate, grid,
};

fn folds(trial: &Trial) -> Result<Score, TuneError> {
    let rate = trial.float("rate")?;
    match (trial.text("kind")?, rate) {
        ("bad", 0.5..) => Err(TuneError::EmptySpace),
        ("bad", _) => Ok(f64::NAN.into()),
        _ => cross_validate([1.0, 2.0, 4.0], |_, fold| Ok(fold * (rate - 0.1))),
    }
}

fn found() -> Findings {
    let space = Space::new().log_uniform("rate", 1e-4, 1.0).choice("kind", ["good", "bad"]);
    grid(&space, &[("rate", 3)], &Options::default(), folds).unwrap()
}

#[test]
fn a_table_holds_values_scores_deviations_and_losers() {
    expect![[r#"
        +-------+----------+------+---------------------------------------------------+-----------+
        | trial | rate     | kind | score                                             | deviation |
        +=========================================================================================+
        | 0     | 1.000e-4 | good | -0.2331                                           | 0.1526    |
        |-------+----------+------+---------------------------------------------------+-----------|
        | 2     | 0.01000  | good | -0.2100                                           | 0.1375    |
        |-------+----------+------+---------------------------------------------------+-----------|
        | 4     | 1.000    | good | 2.100                                             | 1.375     |
        |-------+----------+------+---------------------------------------------------+-----------|
        | 1     | 1.000e-4 | bad  | NaN                                               |           |
        |-------+----------+------+---------------------------------------------------+-----------|
        | 3     | 0.01000  | bad  | NaN                                               |           |
        |-------+----------+------+---------------------------------------------------+-----------|
        | 5     | 1.000    | bad  | failed: space: expected at least one parameter, … |           |
        +-------+----------+------+---------------------------------------------------+-----------+"#]]
    .assert_eq(&found().table(9));
    let halving = Halving::new(3, 3);
    let found = halving
        .asha(&Space::new().integer("n", 1, 9), &Options::default(), |_, part| part.end as f64);
    let text = found.unwrap().table(2);
    assert!(text.contains("reached") && text.lines().count() == 7, "{text}");
}

#[test]
fn a_drawing_has_a_panel_for_each_parameter_and_a_dot_for_each_score() {
    let svg = found().svg().unwrap();
    for text in [">rate<", ">kind<", ">good<", ">bad<", ">score<"] {
        let text = text.trim_matches(['<', '>']);
        assert!(svg.contains(text), "{text}");
    }
    assert_eq!(svg.matches("<circle").count(), 2 * 3);
    let space = Space::new().uniform("x", 0.0, 1.0);
    let run = |t: &Trial, _| t.float("x").unwrap();
    let found = Halving::new(9, 9).synchronous(&space, &Options::default(), run).unwrap();
    // 9 + 3 + 1 over the resource, 9 over the parameter.
    assert_eq!(found.svg().unwrap().matches("<circle").count(), 13 + 9);
}

#[test]
fn odd_findings_can_be_drawn() {
    let space = Space::new().integer("n", i64::MIN, i64::MAX).choice("c", ["a < b & \"c\""]);
    for score in [f64::NAN, f64::INFINITY, 1e308, -1e308, 0.0, 5e-324] {
        let found = grid(&space, &[("n", 2)], &Options::default(), |_| score).unwrap();
        let svg = found.svg().unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("a < b"), "text is escaped");
        assert!(!svg.contains("NaN"), "{score}");
    }
}

#[test]
fn a_range_test_is_drawn() {
    let loss = |rate: f64| Ok::<f64, TuneError>(1.0 / (1.0 + 100.0 * rate) + (rate * 2.0).exp2());
    let curve = RangeTest::default().run(loss).unwrap();
    assert!(curve.diverged);
    let svg = curve.svg().unwrap();
    assert!(svg.contains("rate") && svg.contains("loss"));
    let least = curve.points.iter().filter(|p| p.loss < 2.0).count();
    let dots = svg.matches("<circle").count();
    assert!(dots >= least && dots < curve.points.len() + 1, "{dots} {least}");
    let nothing = RangeTest::default().run(|_| Ok::<f64, TuneError>(f64::NAN)).unwrap();
    assert!(nothing.svg().unwrap().starts_with("<svg"));
}
