//! Picks pass elementwise operators, and sums what was scattered: where it pays, and only there.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use pleach_ops::prelude::*;
use pleach_passes::testing::{Sample, preserves, run};
use pleach_passes::{Level, PassCx, Pick, Pipeline, Simplify};
use pleach_tensor::Key;

/// How often each rule fires at a level; values, gradients and price are kept.
fn fired(g: Graph, level: Level) -> [usize; 2] {
    let inputs = g.inputs();
    let simpler = run(&Simplify::default(), &g, &mut PassCx::reference(level)).0;
    let g = simpler.unwrap_or(g);
    let (new, ledger) = run(&Pick, &g, &mut PassCx::reference(level));
    let count = ["pick_first", "sum_of_scattered"].map(|rule| ledger.applications(rule));
    assert_eq!(new.is_some(), count != [0, 0]);
    let (sample, pipeline) = (Sample { graph: g, inputs }, Pipeline::new(vec![Arc::new(Pick)]));
    for seed in 0..5 {
        preserves(&pipeline, &sample, level, Key(seed)).unwrap();
    }
    count
}

/// The graph of what `f` makes of a value and indices of these shapes.
fn of<'g>(g: &'g Graph, x: &[usize], i: &[usize], f: impl Fn(Var<'g>, Var<'g>) -> Var<'g>) {
    let (x, i) = (g.input("x", F64, x), g.input("i", I64, i));
    g.output("y", f(x, i.less(2).cast(I64)).id());
}

#[test]
fn the_loss_of_labels_takes_few_logarithms_and_its_gradient_no_sum_of_zeros() {
    for (level, want) in [(Level::Default, [1, 1]), (Level::Exact, [1, 0])] {
        let g = Graph::new();
        let (x, i) = (g.input("x", F64, [4, 5]), g.input("i", I64, [4]));
        let loss = x.cross_entropy(i.less(2).cast(I64));
        g.output("loss", loss.id());
        g.output("dx", g.grad(loss, &[x])[0].id());
        assert_eq!(fired(g, level), want);
    }
}

#[test]
fn picks_pass_all_that_is_the_same_along_the_axis() {
    let g = Graph::new();
    of(&g, &[3, 4], &[3, 2], |x, i| {
        let row = x.sum(Keep(1)).broadcast_to([3, 4]);
        ((x - row).exp() * 2.0).gather(1, i)
    });
    assert_eq!(fired(g, Level::Exact), [1, 0]);
    let g = Graph::new();
    of(&g, &[3, 4], &[1, 4], |x, i| (x * x.max(0).broadcast_to([3, 4])).gather(0, i));
    assert_eq!(fired(g, Level::Exact), [1, 0]);
}

#[test]
fn several_scattered_elements_are_added_up_in_their_order() {
    let sum = |axes: &'static [usize]| {
        let g = Graph::new();
        of(&g, &[3, 2], &[3, 2], |x, i| x.scatter_sum(1, i, 7).sum(axes));
        g
    };
    assert_eq!(fired(sum(&[1]), Level::Default), [0, 1]);
    assert_eq!(fired(sum(&[0, 1]), Level::Default), [0, 1]);
    assert_eq!(fired(sum(&[0]), Level::Default), [0, 0]);
    assert_eq!(fired(sum(&[1]), Level::Exact), [0, 0]);
}

#[test]
fn picks_do_not_pass_what_differs_or_is_needed_as_a_whole() {
    // As many elements as there are.
    let g = Graph::new();
    of(&g, &[3, 4], &[3, 4], |x, i| x.exp().gather(1, i));
    assert_eq!(fired(g, Level::Default), [0, 0]);
    // Two values would be picked from.
    let g = Graph::new();
    of(&g, &[3, 4], &[3, 1], |x, i| (x + x.cumsum(1)).gather(1, i));
    assert_eq!(fired(g, Level::Default), [0, 0]);
    // Broadcast along another axis.
    let g = Graph::new();
    of(&g, &[3, 4], &[3, 1], |x, i| (x - x.sum(Keep(0)).broadcast_to([3, 4])).gather(1, i));
    assert_eq!(fired(g, Level::Default), [0, 0]);
    // Used as a whole.
    let g = Graph::new();
    of(&g, &[3, 4], &[3, 1], |x, i| x.exp().gather(1, i) + x.exp().sum(Keep(1)));
    assert_eq!(fired(g, Level::Default), [0, 0]);
}
