//! The cross-entropy of labels and its gradient become regions, with the same values and gradients.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use std::sync::Arc;

use pleach_ops::loss::{CrossEntropy, Reduction};
use pleach_ops::prelude::*;
use pleach_ops::{Fused, Op};
use pleach_passes::testing::{self, Broken, run};
use pleach_passes::{Entropy, Ledger, Level, PassCx, Pipeline};
use proptest::prelude::*;

fn made(g: &Graph) -> (Option<Graph>, Ledger) {
    run(&Entropy, g, &mut PassCx::reference(Level::Default))
}

/// Live exponentials and live regions.
fn count(g: &Graph) -> (usize, usize) {
    let live = g.live();
    let of = |f: fn(&Op) -> bool| g.ids().filter(|id| live[id.index()] && f(&g.op(*id))).count();
    (of(|op| matches!(op, Op::Exp(_))), of(|op| matches!(op, Op::Fused(Fused { .. }))))
}

/// Values, gradients and price are kept, and nothing fires twice.
fn keeps(g: &Graph, key: u64) -> Result<(), Broken> {
    testing::keeps(&Pipeline::new(vec![Arc::new(Entropy)]), g, Level::Default, key)
}

/// The loss of logits of this shape, with labels from a constant, and its gradient if asked for.
fn graph(rows: &[usize], classes: usize, how: &CrossEntropy<'_>, gradient: bool) -> Graph {
    let g = Graph::new();
    let x = g.input("x", F64, [rows, &[classes]].concat());
    let count: usize = rows.iter().product();
    let labels: Vec<i64> = (0..count).map(|i| (i * 7 % classes) as i64).collect();
    let labels = g.constant(Tensor::new(rows, labels).unwrap());
    let loss = how.call(x * 2.0, labels);
    let loss = loss.sum(All);
    g.output("loss", loss.id());
    if gradient {
        g.output("dx", g.grad(loss, &[x])[0].id());
    }
    g.check().unwrap();
    g
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_gradients_are_the_same(
        rows in 1usize..5, classes in 2usize..9, gradient: bool, reduction in 0usize..3, key: u64,
    ) {
        let reduction = [Reduction::Mean, Reduction::Sum, Reduction::None][reduction];
        let how = CrossEntropy { reduction, ..CrossEntropy::default() };
        let g = graph(&[rows], classes, &how, gradient);
        let (new, ledger) = made(&g);
        prop_assert!(new.is_some(), "{}\n{}", ledger, g);
        let new = new.unwrap();
        prop_assert_eq!(count(&new), (0, 1 + usize::from(gradient)), "{}", new);
        keeps(&g, key)?;
    }
}

#[test]
fn it_fires_in_the_pipeline_but_not_where_bits_are_kept() {
    let g = graph(&[6], 5, &CrossEntropy::default(), true);
    let fired = |level| {
        let pipeline = Pipeline::default();
        pipeline
            .optimize(&g, &mut PassCx::reference(level))
            .unwrap()
            .2
            .applications("cross_entropy")
    };
    assert_eq!((fired(Level::Default), fired(Level::Exact)), (2, 0));
}

/// How many operands and results the regions have that are there.
fn regions(g: &Graph) -> Vec<(usize, usize)> {
    let live = g.live();
    let of = |id: NodeId| match g.op(id) {
        Op::Fused(fused) => Some((fused.body().params(), fused.body().results().len())),
        _ => None,
    };
    g.ids().filter(|id| live[id.index()]).filter_map(of).collect()
}

#[test]
fn a_value_and_its_gradient_are_one_region_unless_one_waits_for_the_other() {
    let made_of = |loss: &dyn for<'g> Fn([Var<'g>; 2]) -> Var<'g>| {
        let g = Graph::new();
        let x = ["x", "z"].map(|name| g.input(name, F64, [3, 5]));
        let labels = g.constant(Tensor::new([3], vec![0i64, 4, 2]).unwrap());
        let how = CrossEntropy { reduction: Reduction::None, ..CrossEntropy::default() };
        let loss = loss(x.map(|x| how.call(x, labels))).sum(All);
        g.output("loss", loss.id());
        for (dx, name) in g.grad(loss, &x).into_iter().zip(["dx", "dz"]) {
            g.output(name, dx.id());
        }
        g.check().unwrap();
        let (new, ledger) = made(&g);
        keeps(&g, 7).unwrap();
        let mut found = regions(&new.unwrap_or_else(|| panic!("{ledger}")));
        found.sort_unstable();
        found
    };
    let (value, gradient, both) = ((2, 1), (3, 1), (3, 2));
    // Each result of a region is a node of its own.
    assert_eq!(made_of(&|[a, b]| a + b * 3.0), [both; 4]);
    assert_eq!(made_of(&|[a, b]| a * b), [value, value, gradient, gradient]);
    assert_eq!(made_of(&|[a, b]| a * a + b), [value, gradient, both, both]);
}

#[test]
fn weights_and_ignored_labels_are_outside_of_the_region() {
    let how = CrossEntropy::default().ignore_index(3);
    let g = graph(&[8], 5, &how, true);
    let (new, ledger) = made(&g);
    assert_eq!(count(&new.expect("it fires")), (0, 2), "{ledger}");
    keeps(&g, 3).unwrap();
}

#[test]
fn other_forms_stay() {
    let refused = |why: &str, f: &dyn for<'g> Fn(Var<'g>, Var<'g>) -> Vec<Var<'g>>| {
        let g = Graph::new();
        let x = g.input("x", F32, [6, 5]);
        let label = g.constant(Tensor::new([6, 1], vec![0i64, 1, 2, 3, 4, 0]).unwrap());
        let outputs = f(x, label);
        outputs.iter().zip(["y", "z"]).for_each(|(y, name)| g.output(name, y.id()));
        g.check().unwrap();
        let (new, ledger) = made(&g);
        assert!(new.is_none(), "{why}: {}", new.unwrap());
        assert!(ledger.to_string().contains(why), "{why}: {ledger}");
    };
    refused("what is inside is used elsewhere", &|x, label| {
        let y = x.log_softmax(-1);
        vec![y.gather(-1, label), y.exp()]
    });
    // Another axis, no softmax, several elements of a row.
    refused("", &|x, label| vec![x.log_softmax(0).gather(-1, label)]);
    refused("", &|x, label| vec![(x - 1.0 - x.max(Keep(-1))).gather(-1, label)]);
    refused("", &|x, label| vec![x.log_softmax(-1).gather(-1, label.concat(&[label], 1))]);
}
