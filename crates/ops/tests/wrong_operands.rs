//! Wrong operands and wrong attributes are typed errors, for every operator: nothing panics, and
//! what is accepted has a value of the type that was promised. No operator is named.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

mod common;

use std::collections::BTreeMap;

use common::*;
use pleach_ops::prelude::*;
use pleach_ops::{OPERATORS, Registry, Sample};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// What was done to the operands of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    OneLess,
    OneMore,
    AnotherDType,
    OneAxisMore,
    OneAxisLess,
    AnotherLength,
    EmptyAxis,
    Overflow,
}

/// Values that are too large to be evaluated here.
const SMALL: usize = 1 << 14;

/// The types of a sample's operands, wrong in every way.
fn mutants(sample: &Sample, seed: u64) -> Vec<(Wrong, Vec<Type>)> {
    let own: Vec<Type> = sample.inputs.iter().map(|x| x.ty.clone()).collect();
    let mut found =
        vec![(Wrong::OneMore, own.iter().cloned().chain(own.first().cloned()).collect())];
    if own.is_empty() {
        found = vec![(Wrong::OneMore, vec![Type::scalar(F64)])];
    }
    for i in 0..own.len() {
        let mut with = |wrong: Wrong, ty: Option<Type>| {
            let mut x = own.clone();
            match ty {
                Some(ty) => x[i] = ty,
                None => drop(x.remove(i)),
            }
            found.push((wrong, x));
        };
        with(Wrong::OneLess, None);
        let (ty, shape) = (&own[i], own[i].shape().to_vec());
        for dtype in DType::ALL.into_iter().filter(|&dtype| dtype != ty.dtype()) {
            with(Wrong::AnotherDType, Some(ty.with_dtype(dtype)));
        }
        let at = Key(seed).below(i as u64, shape.len() as u64 + 1) as usize;
        let changed = |f: &dyn Fn(&mut Vec<usize>)| {
            let mut shape = shape.clone();
            f(&mut shape);
            ty.with_shape(shape).ok()
        };
        let more = |n: usize| changed(&|shape| shape.insert(at, n));
        for n in [1, 3] {
            with(Wrong::OneAxisMore, more(n));
        }
        with(Wrong::EmptyAxis, more(0));
        let huge = [usize::MAX / 2 / ty.bytes().max(8), 1 << 40, 1 << 31].map(more);
        huge.into_iter().flatten().for_each(|ty| with(Wrong::Overflow, Some(ty)));
        if let Some(axis) = at.checked_sub(1) {
            with(
                Wrong::OneAxisLess,
                changed(&|shape| {
                    shape.remove(axis);
                }),
            );
            with(Wrong::AnotherLength, changed(&|shape| shape[axis] += 1));
            with(Wrong::EmptyAxis, changed(&|shape| shape[axis] = 0));
        }
    }
    found
}

/// Operands of these types are refused, with a reason, or understood: types, costs, lowerings,
/// gradients, tangents, and, where it is small enough, a value of the type that was promised.
/// Were they accepted?
fn refused_or_understood(op: &Op, x: &[Type], key: Key) -> Result<bool, String> {
    let types: Vec<&Type> = x.iter().collect();
    let g = Graph::new();
    let input = |(i, x): (usize, &Type)| g.input(&format!("x{i}"), x.dtype(), x.shape());
    let vars: Vec<Var<'_>> = x.iter().enumerate().map(input).collect();
    let y = Var::new(&g, g.push(op.clone(), &ids(&vars)));
    let inferred = match op.infer(&types) {
        Err(reason) => {
            let error = y.ok().err().ok_or("refused by infer, not by the graph")?;
            if error.reason != reason || reason.to_string().is_empty() {
                return Err(format!("{reason} became {error}"));
            }
            return Ok(false);
        }
        Ok(inferred) => inferred,
    };
    if y.ty() != Some(inferred.clone()) {
        return Err(format!("{inferred} became {:?}", y.ty()));
    }
    op.cost(&types, &inferred);
    op.lower(&types, &inferred);
    op.axes(&types, &inferred);
    let floats: Vec<Var<'_>> = vars.iter().copied().filter(|v| v.dtype().is_float()).collect();
    if y.dtype().is_float() {
        g.grad(y, &floats);
        let along: Vec<(Var<'_>, Var<'_>)> =
            floats.iter().map(|&x| (x, x.full_like(1.0))).collect();
        g.jvp_of(y, &along);
    }
    g.check().map_err(|e| format!("derivatives: {e}"))?;
    if inferred.numel() > SMALL || x.iter().any(|x| x.numel() > SMALL) {
        return Ok(true);
    }
    let draw = |(i, ty): (usize, &Type)| {
        let key = key.fold(i as u64);
        Tensor::build(ty, |j| key.uniform_f64(j as u64) * 4.0 - 1.0)
    };
    let values: Vec<Tensor> = x.iter().enumerate().map(draw).collect();
    match op.eval(&refs(&values), &inferred) {
        Ok(value) if *value.ty() != inferred => {
            Err(format!("a value of type {} for {inferred}", value.ty()))
        }
        // An index out of range can be told from values alone.
        _ => Ok(true),
    }
}

/// Numbers that an attribute must not be, mostly.
const ODD: [&str; 8] =
    ["0", "1", "7", "99", "1099511627776", "9223372036854775807", "18446744073709551615", "-1"];

/// The text of an operator with one of its numbers replaced by an odd one.
fn odd_texts(text: &str) -> Vec<String> {
    let digits: Vec<usize> = text
        .char_indices()
        .filter(|(at, c)| {
            let before = text[..*at].chars().next_back();
            c.is_ascii_digit() && !before.is_some_and(|b| b.is_ascii_alphanumeric() || b == '.')
        })
        .map(|(at, _)| at)
        .collect();
    let mut found = Vec::new();
    for at in digits.into_iter().filter(|&at| text.find('(').is_some_and(|open| open < at)) {
        let end = text[at..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |n| at + n);
        for odd in ODD {
            found.push(format!("{}{odd}{}", &text[..at], &text[end..]));
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn wrong_operands_are_refused_or_understood(dims in dims(), seed: u64) {
        for (_, sample) in samples(&dims) {
            for (wrong, x) in mutants(&sample, seed) {
                let outcome = refused_or_understood(&sample.op, &x, Key(seed));
                prop_assert!(outcome.is_ok(), "{} {:?} {:?}: {:?}", sample.op, wrong, x, outcome);
            }
        }
    }

    #[test]
    fn odd_attributes_are_refused_or_understood(dims in dims(), seed: u64) {
        for (_, sample) in samples(&dims) {
            let x: Vec<Type> = sample.inputs.iter().map(|x| x.ty.clone()).collect();
            for text in odd_texts(&sample.op.to_string()) {
                let Ok(op) = Op::parse(&text, None, &Registry::new()) else { continue };
                let outcome = refused_or_understood(&op, &x, Key(seed));
                prop_assert!(outcome.is_ok(), "{} {:?}: {:?}", text, x, outcome);
            }
        }
    }
}

/// Every operator refuses another number of operands, always; and something of every other kind
/// that its samples were made wrong in, unless it takes anything of that kind.
#[test]
fn every_operator_refuses_something() {
    let mut runner = TestRunner::new_with_rng(
        Default::default(),
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let mut refused: BTreeMap<&str, BTreeMap<Wrong, [usize; 2]>> = BTreeMap::new();
    for _ in 0..40 {
        let dims = dims().new_tree(&mut runner).unwrap().current();
        for (operator, sample) in samples(&dims) {
            let place = sample.op.place().map(|place| OPERATORS[place].name);
            assert_eq!(place, Some(operator.name));
            for (wrong, x) in mutants(&sample, dims.seed) {
                let is_refused = sample.op.infer(&x.iter().collect::<Vec<_>>()).is_err();
                let counts = refused.entry(operator.name).or_default().entry(wrong).or_default();
                counts[usize::from(is_refused)] += 1;
            }
        }
    }
    for operator in OPERATORS.iter() {
        let Some(counts) = refused.get(operator.name) else { continue };
        for (wrong, [accepted, _]) in counts {
            let arity = matches!(wrong, Wrong::OneLess | Wrong::OneMore);
            let any = !arity || *accepted == 0 || operator.operands.is_none();
            assert!(any, "{} accepts {wrong:?}", operator.name);
        }
    }
    // What operators of several operands have in common: they do not take just anything.
    for (name, counts) in &refused {
        let several =
            OPERATORS.iter().any(|o| o.name == *name && o.operands.is_some_and(|n| n > 1));
        let kinds = [Wrong::AnotherDType, Wrong::OneAxisMore, Wrong::AnotherLength];
        let refuses = kinds.iter().any(|kind| counts.get(kind).is_some_and(|c| c[1] > 0));
        assert!(!several || refuses, "{name} takes any operands: {counts:?}");
    }
}
