//! Sums of products become one product, with the same values and gradients.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use std::sync::Arc;

use pleach_ops::Op;
use pleach_ops::prelude::*;
use pleach_passes::testing::{self, Broken, run};
use pleach_passes::{Ledger, Level, PassCx, Pipeline, Stack};
use proptest::prelude::*;

fn stacked(g: &Graph) -> (Option<Graph>, Ledger) {
    run(&Stack::default(), g, &mut PassCx::reference(Level::Default))
}

/// Live nodes of a kind.
fn count(g: &Graph, f: fn(&Op) -> bool) -> usize {
    let live = g.live();
    g.ids().filter(|id| live[id.index()] && f(&g.op(*id))).count()
}

fn products(g: &Graph) -> usize {
    count(g, |op| matches!(op, Op::MatMul(_)))
}

fn concats(g: &Graph) -> usize {
    count(g, |op| matches!(op, Op::Concat(_)))
}

/// Values, gradients and price are kept, and nothing fires twice.
fn keeps(g: &Graph, key: u64) -> Result<(), Broken> {
    testing::keeps(&Pipeline::new(vec![Arc::new(Stack::default())]), g, Level::Default, key)
}

/// How the left operands of products come.
#[derive(Clone, Copy, Debug)]
enum Left {
    Plain,
    Transposed,
    /// Some of them transposed.
    Mixed,
    /// Transposed steps of one value, from the last to the first.
    Steps,
}

/// `Σ aᵢ·bᵢ` of `n` products `m × w` of inner lengths about `k`, and a term more if asked for.
fn graph(left: Left, n: usize, [m, k, w]: [usize; 3], more: bool) -> Graph {
    let g = Graph::new();
    let steps = g.input("steps", F64, [n, k, m]);
    let term = |i: usize| {
        let inner = if matches!(left, Left::Steps) { k } else { k + i % 2 };
        let a = |shape: [usize; 2]| g.input(&format!("a{i}"), F64, shape);
        let turned = || a([inner, m]).permute(&[1, 0]);
        let a = match left {
            Left::Plain => a([m, inner]),
            Left::Transposed => turned(),
            Left::Mixed if i.is_multiple_of(2) => turned(),
            Left::Mixed => a([m, inner]),
            Left::Steps => {
                let at = n - 1 - i;
                steps.slice(0, at..at + 1).squeeze(0).permute(&[1, 0])
            }
        };
        a.matmul(g.input(&format!("b{i}"), F64, [inner, w]))
    };
    let mut sum = term(0);
    if more {
        sum = sum + g.input("more", F64, [m, w]).exp();
    }
    for i in 1..n {
        sum = sum + term(i);
    }
    g.output("y", sum.tanh().id());
    g.check().unwrap();
    g
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_gradients_are_the_same(
        kind in 0usize..4, n in 2usize..6, m in 8usize..12, w in 8usize..12, more: bool, key: u64,
    ) {
        let left = [Left::Plain, Left::Transposed, Left::Mixed, Left::Steps][kind];
        let g = graph(left, n, [m, 1, w], more);
        let (new, ledger) = stacked(&g);
        prop_assert!(new.is_some(), "{}\n{}", ledger, g);
        let new = new.unwrap();
        prop_assert_eq!(products(&new), 1, "{}", new);
        prop_assert_eq!(concats(&new), if kind == 3 { 1 } else { 2 }, "{}", new);
        keeps(&g, key)?;
    }
}

#[test]
fn what_was_transposed_is_put_together_as_it_was() {
    let (new, _) = stacked(&graph(Left::Transposed, 4, [20, 2, 20], false));
    let new = new.unwrap();
    let rows = |id| match new.op(id) {
        Op::Concat(_) => Some(new.ty(id).shape().to_vec()),
        _ => None,
    };
    let all: Vec<Vec<usize>> = new.ids().filter_map(rows).collect();
    assert_eq!(all, [vec![10, 20], vec![10, 20]], "{new}");
}

#[test]
fn it_does_not_fire_in_vain() {
    let refused = |why: &str, g: &Graph| {
        let (new, ledger) = stacked(g);
        assert!(new.is_none(), "{why}: {}", new.unwrap());
        assert!(ledger.to_string().contains(why), "{why}: {ledger}");
    };
    refused("costs more", &graph(Left::Plain, 4, [4, 40, 4], false));
    let small = Stack { max_bytes: 100 };
    let g = graph(Left::Plain, 4, [20, 2, 20], false);
    let (new, ledger) = run(&small, &g, &mut PassCx::reference(Level::Default));
    assert!(new.is_none() && ledger.to_string().contains("memory"), "{ledger}");
    // Products that are read elsewhere, sums too, a single product, products of a batch.
    let with = |f: &dyn for<'g> Fn(&'g Graph, Var<'g>, Var<'g>) -> Var<'g>| {
        let g = Graph::new();
        let product = |i: usize| {
            let a = g.input(&format!("a{i}"), F64, [20, 1]);
            a.matmul(g.input(&format!("b{i}"), F64, [1, 20]))
        };
        let y = f(&g, product(0), product(1));
        g.output("y", y.id());
        stacked(&g).0.is_some()
    };
    assert!(with(&|_, x, y| x + y));
    assert!(with(&|_, x, y| (x + 1.0) + (y + 2.0)));
    assert!(!with(&|_, x, y| (x + y) * x));
    assert!(!with(&|_, x, y| (x.exp() + y) + 1.0));
    assert!(!with(&|g, x, y| {
        let sum = x + 1.0;
        g.output("sum", sum.id());
        sum + y
    }));
    assert!(!with(&|_, x, y| x - y));
    for n in [1, 3] {
        let g = Graph::new();
        let batch = |name: &str| {
            let b = g.input(&format!("{name}b"), F64, [n, 1, 20]);
            g.input(name, F64, [n, 20, 1]).matmul(b)
        };
        g.output("y", (batch("x") + batch("z")).id());
        assert!(stacked(&g).0.is_none(), "a batch of {n}");
    }
}

#[test]
fn steps_with_gaps_and_steps_used_twice_are_put_together_one_by_one() {
    for at in [vec![0, 2, 3], vec![0, 2, 4], vec![1, 1, 2], vec![1, 2, 3]] {
        let g = Graph::new();
        let steps = g.input("steps", F64, [5, 2, 20]);
        let product = |(i, &at): (usize, &usize)| {
            let a = steps.slice(0, at..at + 1).squeeze(0).permute(&[1, 0]);
            a.matmul(g.input(&format!("b{i}"), F64, [2, 20]))
        };
        let y = at.iter().enumerate().map(product).reduce(|a, b| a + b).unwrap();
        g.output("y", y.id());
        keeps(&g, 5).unwrap();
        let together = if at == [1, 2, 3] { 1 } else { 2 };
        let new = stacked(&g).0.unwrap();
        assert_eq!((products(&new), concats(&new)), (1, together), "{at:?}\n{new}");
    }
}

#[test]
fn it_fires_in_the_pipeline_but_not_where_bits_are_kept() {
    // A weight that is used at three places: its gradient is one product.
    let g = Graph::new();
    let (x, w) = (g.input("x", F64, [4, 40]), g.input("w", F64, [40, 40]));
    let y = x.matmul(w).tanh().matmul(w).tanh().matmul(w);
    let dw = g.grad(y.square().sum(All), &[w])[0];
    g.output("dw", dw.id());
    let fired = |level| {
        let optimized = Pipeline::default().optimize(&g, &mut PassCx::reference(level)).unwrap();
        optimized.2.applications("sum_of_products")
    };
    assert_eq!((fired(Level::Default), fired(Level::Exact)), (1, 0));
}
