//! Mutation of gradient rules: every planted error is caught, every right twin passes.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod plants;

use pleach_check::{CheckError, GradCheck, Mode, Report, operator};
use pleach_ops::{Custom, Graph, Op};
use pleach_tensor::Tensor;

use plants::{BINARY, Planted, Square, Table, UNARY};

struct Outcome {
    name: &'static str,
    wrong: Result<Report, CheckError>,
    right: Result<Report, CheckError>,
}

fn outcomes() -> Vec<Outcome> {
    fn of<const N: usize>() -> Vec<Outcome>
    where
        Planted<N>: Table<N>,
    {
        let check = |plant: &plants::Plant<N>, wrong| {
            operator(Planted::<N>::op(plant.name, wrong), &plant.operands())
        };
        let outcome = |plant: &'static plants::Plant<N>| Outcome {
            name: plant.name,
            wrong: check(plant, true),
            right: check(plant, false),
        };
        Planted::<N>::table().iter().map(outcome).collect()
    }
    let x = || [Tensor::new([3], vec![0.3, -1.2, 1.7]).unwrap()];
    let square = Outcome {
        name: "x² claims to be linear",
        wrong: operator(Op::Custom(Custom::new(Square::<true>)), &x()),
        right: operator(Op::Custom(Custom::new(Square::<false>)), &x()),
    };
    let mut all = of::<1>();
    all.extend(of::<2>());
    all.push(square);
    all
}

/// Is it the answer to a wrong rule, and not a failure to check?
fn is_finding(error: &CheckError) -> bool {
    matches!(error, CheckError::Wrong(_) | CheckError::Missing(_))
}

#[test]
fn every_planted_error_is_caught_and_every_right_twin_passes() {
    let outcomes = outcomes();
    assert!(outcomes.len() >= 45, "{}", outcomes.len());
    let mut table = format!("{:<48} {:<8} {:<8} found\n", "planted", "caught", "twin");
    let mut failed = false;
    for Outcome { name, wrong, right } in &outcomes {
        let caught = wrong.as_ref().is_err_and(is_finding);
        let passes = right.as_ref().is_ok_and(|report| report.compared > 0);
        failed |= !caught || !passes;
        let word = |good: bool| if good { "yes" } else { "NO" };
        let found = wrong.as_ref().err().map_or("nothing".into(), ToString::to_string);
        table += &format!("{name:<48} {:<8} {:<8} {found}\n", word(caught), word(passes));
        if let Err(error) = right {
            table += &format!("    the right twin: {error}\n");
        }
    }
    assert!(!failed, "\n{table}");
}

fn wrong_in(name: &str) -> (Mode, u8) {
    let outcomes = outcomes();
    let outcome = outcomes.iter().find(|o| o.name == name).unwrap();
    match &outcome.wrong {
        Err(CheckError::Wrong(wrong)) => (wrong.mode, wrong.order),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_mode_and_order_catches_what_only_it_can_see() {
    assert_eq!(wrong_in("transpose forgotten"), (Mode::Reverse, 1));
    assert_eq!(wrong_in("own jvp without the factor 2, vjp right"), (Mode::Forward, 1));
    assert_eq!(wrong_in("own jvp drops a term when both operands move"), (Mode::Forward, 1));
    assert_eq!(wrong_in("precision lost in a cast"), (Mode::Adjoint, 1));
    assert_eq!(wrong_in("exp right to first order, half detached"), (Mode::Reverse, 2));
}

/// A check of the first order alone cannot see what is detached, so the second is the default.
#[test]
fn only_the_second_order_sees_a_detached_rule() {
    let first = GradCheck { second_order: false, ..GradCheck::default() };
    let name = "exp right to first order, half detached";
    let plant = UNARY.iter().find(|p| p.name == name).unwrap();
    let op = || Planted::<1>::op(name, true);
    // The forward rule that follows from such a rule is right, too.
    assert!(first.operator(op(), &plant.operands()).is_ok());
    assert!(operator(op(), &plant.operands()).is_err());
}

/// Directions at random must find what the whole Jacobian finds.
#[test]
fn random_directions_catch_the_same_errors() {
    let sparse = GradCheck { jacobian: 0, ..GradCheck::default() };
    let mut missed = vec![];
    for plant in UNARY {
        if sparse.operator(Planted::<1>::op(plant.name, true), &plant.operands()).is_ok() {
            missed.push(plant.name);
        }
        sparse.operator(Planted::<1>::op(plant.name, false), &plant.operands()).unwrap();
    }
    for plant in BINARY {
        if sparse.operator(Planted::<2>::op(plant.name, true), &plant.operands()).is_ok() {
            missed.push(plant.name);
        }
        sparse.operator(Planted::<2>::op(plant.name, false), &plant.operands()).unwrap();
    }
    assert!(missed.is_empty(), "{missed:?}");
}

/// The planted element is found by bisection among a thousand.
#[test]
fn the_wrong_element_of_a_large_operand_is_named() {
    let n = 1000;
    let x = Tensor::build(&pleach_tensor::Type::new(pleach_tensor::F64, [n]).unwrap(), |i| {
        0.5 + i as f64 / n as f64
    });
    let error = pleach_check::function(&[x], |g: &Graph, x| {
        // Detached at one element: the gradient lacks there.
        use pleach_ops::GraphExt;
        let here = g.iota(pleach_tensor::I64, [n], 0).equal(617);
        let y = here.select(x[0].stop_gradient(), x[0]);
        (y * y).sum_all()
    });
    let Err(CheckError::Wrong(wrong)) = error else { panic!("{error:?}") };
    assert_eq!(wrong.by.element, Some(vec![617]));
    assert_eq!(wrong.analytic, 0.0);
    assert_eq!(wrong.culprit.unwrap().op, "stop_gradient");
}
