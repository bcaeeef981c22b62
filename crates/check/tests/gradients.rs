//! The law over the registry: gradients of every operator are right, in every mode and order.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use pleach_check::{GradCheck, dims};
use pleach_graph::{Gradient, Operator};
use pleach_ops::{Dims, OPERATORS, OperatorInfo, prelude::*};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// Shapes generated for an operator; `PLEACH_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PLEACH_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(512)
}

/// Shapes on which derivatives must have been compared: a shape without elements has none.
const CHECKED: u32 = 64;

/// Values come from outside: there is nothing to evaluate.
const SOURCES: [&str; 3] = ["input", "variable", "parameter"];

fn shapes(n: usize) -> Vec<Dims> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Default::default(), rng);
    (0..n).map(|_| dims().new_tree(&mut runner).unwrap().current()).collect()
}

/// Has it anything to differentiate: a float operand, a float result, a differentiable sample?
fn is_differentiable(info: &OperatorInfo, shapes: &[Dims]) -> bool {
    shapes.iter().flat_map(info.samples).any(|sample| {
        let types: Vec<&Type> = sample.inputs.iter().map(|x| &x.ty).collect();
        let float = |ty: &Type| ty.dtype().is_float();
        let y = sample.op.infer(&types).unwrap();
        sample.differentiable && types.iter().any(|ty| float(ty)) && float(&y)
    })
}

/// Two halves of the registry, so that two cores share the work.
fn law_holds_for(half: usize) {
    let shapes = shapes(20);
    let mut wrong = vec![];
    for info in OPERATORS.iter().skip(half).step_by(2) {
        match GradCheck::default().law(info.samples, cases()) {
            Err(error) => wrong.push(format!("{}: {error}", info.name)),
            Ok(covered) if is_differentiable(info, &shapes) && covered.checked < CHECKED => {
                wrong.push(format!("{}: compared on {} shapes only", info.name, covered.checked));
            }
            Ok(_) => {}
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn gradients_of_the_first_half_of_the_operators_are_right() {
    law_holds_for(0);
}

#[test]
fn gradients_of_the_second_half_of_the_operators_are_right() {
    law_holds_for(1);
}

#[test]
fn every_operator_has_samples() {
    let shapes = shapes(100);
    let without = |info: &&OperatorInfo| shapes.iter().all(|dims| (info.samples)(dims).is_empty());
    let names: Vec<&str> = OPERATORS
        .iter()
        .filter(without)
        .map(|info| info.name)
        .filter(|name| !SOURCES.contains(name))
        .collect();
    assert!(names.is_empty(), "operators without samples: {names:?}");
}

/// Operators whose gradient is another function's, by their meaning.
const ESTIMATORS: [&str; 1] = ["straight_through"];

/// An operator that says of all its samples that they cannot be differentiated must not claim a
/// gradient.
#[test]
fn operators_for_values_only_have_no_gradient() {
    let shapes = shapes(40);
    let mut wrong = vec![];
    for info in OPERATORS {
        let samples: Vec<_> = shapes.iter().flat_map(info.samples).collect();
        let differentiable = samples.iter().any(|sample| sample.differentiable);
        if differentiable || ESTIMATORS.contains(&info.name) {
            continue;
        }
        for (i, sample) in samples.iter().enumerate() {
            let g = Graph::raw();
            let values = sample.draw(Key(i as u64));
            let xs: Vec<_> = sample
                .inputs
                .iter()
                .enumerate()
                .map(|(i, x)| g.input(&format!("x{i}"), x.ty.dtype(), x.ty.shape().clone()).id())
                .collect();
            let y = g.push(sample.op.clone(), &xs);
            let floats: Vec<_> =
                xs.iter().copied().filter(|&x| g.ty(x).dtype().is_float()).collect();
            if !g.ty(y).dtype().is_float() || floats.is_empty() {
                continue;
            }
            let seed = Var::new(&g, y).full_like(1.5).id();
            let feeds: Vec<&Tensor> = values.iter().collect();
            for grad in g.reverse(&[(y, seed)], &floats).unwrap() {
                let Gradient::Value(dx) = grad else { continue };
                let dx = Var::new(&g, dx).eval(&feeds).unwrap();
                if dx.to_f64s().iter().any(|&d| d != 0.0) {
                    wrong.push(format!("{}: its gradient is {dx:?}", sample.op));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
