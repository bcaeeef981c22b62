//! What goes wrong, and where it leaves the point.

use std::convert::Infallible;

use super::rosenbrock;
use expect_test::expect;
use pleach_optim::{Ended, Lbfgs, LbfgsError, LbfgsMemory};

const START: [f64; 4] = [-1.2, 1.0, -1.2, 1.0];

/// The loss of every point that was evaluated.
type Seen = Vec<(f64, Vec<f64>)>;

fn best(seen: &Seen) -> &[f64] {
    let least = seen.iter().min_by(|a, b| a.0.total_cmp(&b.0));
    least.map_or(&START, |(_, x)| x.as_slice())
}

/// Whichever evaluation fails, `x` is the best point seen in the call, what was learned is kept, and
/// the next call goes on to the end.
#[test]
fn a_failed_evaluation_loses_nothing() {
    for lbfgs in [Lbfgs::new(1.0).strong_wolfe(), Lbfgs::new(0.02)] {
        for fails in 1..=18 {
            let (mut memory, mut x) = (LbfgsMemory::default(), START);
            let mut seen = Seen::new();
            let evaluate = |x: &[f64]| {
                if seen.len() + 1 == fails {
                    return Err("the disk is full");
                }
                let (loss, gradient) = rosenbrock(x).unwrap();
                seen.push((loss, x.to_vec()));
                Ok((loss, gradient))
            };
            let error = lbfgs.step(&mut memory, &mut x, evaluate).unwrap_err();
            assert_eq!(error, LbfgsError::Evaluate("the disk is full"));
            assert_eq!(memory.evaluations, fails as u64);
            assert_eq!(x, best(&seen), "evaluation {fails}");
            let more = Lbfgs::new(1.0).strong_wolfe().max_iterations(200);
            more.step(&mut memory, &mut x, rosenbrock).unwrap();
            assert!(x.iter().all(|x| (x - 1.0).abs() < 1e-4), "evaluation {fails}: {x:?}");
        }
    }
}

/// A failed first evaluation changes nothing: the next call is the one that would have been.
#[test]
fn a_failed_first_evaluation_changes_nothing() {
    let lbfgs = Lbfgs::new(1.0).strong_wolfe().max_iterations(3);
    let (mut memory, mut x) = (LbfgsMemory::default(), START);
    lbfgs.step(&mut memory, &mut x, rosenbrock).unwrap();
    let (mut other, mut y) = (memory.clone(), x);
    lbfgs.step(&mut other, &mut y, |_| Err(())).unwrap_err();
    lbfgs.step(&mut other, &mut y, rosenbrock).unwrap();
    lbfgs.step(&mut memory, &mut x, rosenbrock).unwrap();
    assert_eq!(x, y);
    assert_eq!(memory.evaluations + 1, other.evaluations);
}

/// Not a number outside of the unit ball.
fn bounded(x: &[f64]) -> Result<(f64, Vec<f64>), Infallible> {
    let inside = 1.0 - x.iter().map(|x| x * x).sum::<f64>();
    // -ln of a negative number is not a number, of 0 infinite.
    Ok((
        -inside.ln() - 3.0 * x[0],
        x.iter()
            .enumerate()
            .map(|(i, x)| 2.0 * x / inside - if i == 0 { 3.0 } else { 0.0 })
            .collect(),
    ))
}

#[test]
fn without_a_line_search_not_a_number_is_an_error() {
    let (mut memory, mut x) = (LbfgsMemory::default(), [0.0, 0.5]);
    let mut seen = Seen::new();
    let evaluate = |x: &[f64]| {
        let answer = bounded(x);
        seen.push((answer.clone().unwrap().0, x.to_vec()));
        answer
    };
    let error = Lbfgs::new(3.0).step(&mut memory, &mut x, evaluate).unwrap_err();
    expect![[r#"lbfgs: evaluation 2 of this call is not finite: loss NaN, a finite gradient"#]]
        .assert_eq(&error.to_string());
    assert_eq!(x, [0.0, 0.5]);
    assert_eq!(seen.len(), 2);
}

/// Trials outside of the domain are too long; the minimum inside is found.
#[test]
fn a_line_search_stays_where_the_loss_is_finite() {
    for rate in [1.0, 3.0, 100.0] {
        let (mut memory, mut x) = (LbfgsMemory::default(), [0.0, 0.5]);
        let mut outside = 0;
        let evaluate = |x: &[f64]| {
            outside += usize::from(!bounded(x).unwrap().0.is_finite());
            bounded(x)
        };
        let lbfgs = Lbfgs::new(rate).strong_wolfe().max_iterations(50);
        let report = lbfgs.step(&mut memory, &mut x, evaluate).unwrap();
        assert!(report.ended.converged(), "{report:?}");
        assert!(rate == 1.0 || outside > 0);
        // 2x = 3(1 - x²).
        assert!((x[0] - (10f64.sqrt() - 1.0) / 3.0).abs() < 1e-4 && x[1].abs() < 1e-4, "{x:?}");
    }
}

#[test]
fn a_line_search_without_any_finite_trial_is_an_error() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let (mut memory, mut x) = (LbfgsMemory::default(), START);
        let evaluate = |x: &[f64]| match x == START {
            true => rosenbrock(x),
            false => Ok((bad, vec![bad; 4])),
        };
        let lbfgs = Lbfgs::new(1.0).strong_wolfe().max_iterations(4);
        let error = lbfgs.step(&mut memory, &mut x, evaluate).unwrap_err();
        assert!(matches!(error, LbfgsError::NotFinite { evaluation: 6, element: Some(0), .. }));
        assert_eq!(x, START);
        let start = lbfgs.step(&mut memory, &mut x, |_| Ok::<_, Infallible>((bad, vec![0.0; 4])));
        assert!(matches!(start, Err(LbfgsError::NotFinite { evaluation: 1, element: None, .. })));
    }
}

#[test]
fn lengths_that_differ_are_refused() {
    let (mut memory, mut x) = (LbfgsMemory::default(), START);
    let lbfgs = Lbfgs::new(1.0);
    let short = lbfgs.step(&mut memory, &mut x, |_| Ok::<_, Infallible>((1.0, vec![0.0])));
    expect!["lbfgs: the gradient has 1 numbers, and x 4"]
        .assert_eq(&short.unwrap_err().to_string());
    lbfgs.step(&mut memory, &mut x, rosenbrock).unwrap();
    let other = lbfgs.step(&mut memory, &mut [1.0, 2.0], rosenbrock);
    expect!["lbfgs: the memory has 4 numbers, and x 2"].assert_eq(&other.unwrap_err().to_string());
    memory.forget();
    assert_eq!(
        lbfgs.step(&mut memory, &mut [1.0, 1.0], rosenbrock).unwrap().ended,
        Ended::Gradient
    );
}

#[test]
fn options_out_of_range_are_refused() {
    let good = || Lbfgs::new(1.0);
    let wrong = [
        Lbfgs::new(-1.0),
        Lbfgs::new(f64::NAN).named("fit"),
        good().history(0),
        good().max_iterations(0),
        good().max_evaluations(0),
        good().tolerance_gradient(-1.0),
        good().tolerance_change(f64::INFINITY),
    ];
    let mut lines = String::new();
    for lbfgs in wrong {
        let (mut memory, mut x) = (LbfgsMemory::default(), START);
        let error = lbfgs.step(&mut memory, &mut x, rosenbrock).unwrap_err();
        assert!(matches!(error, LbfgsError::Options(_)));
        lines += &format!("{error}\n");
    }
    expect![[r#"
        lbfgs: rate must be at least 0, got -1
        fit: rate must be at least 0, got NaN
        lbfgs: history must be at least 1, got 0
        lbfgs: max iterations must be at least 1, got 0
        lbfgs: max evaluations must be at least 1, got 0
        lbfgs: tolerance of the gradient must be at least 0, got -1
        lbfgs: tolerance of changes must be at least 0, got inf
    "#]]
    .assert_eq(&lines);
}
