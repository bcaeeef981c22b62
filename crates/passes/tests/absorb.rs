//! What scales a product goes into weights that no run changes: where it pays, and only there.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use std::sync::Arc;

use pleach_ops::prelude::*;
use pleach_ops::{Broadcast, ConvOptions, Init, Op, Params};
use pleach_passes::testing::{Sample, preserves, run};
use pleach_passes::{Absorb, Level, PassCx, Pipeline, Simplify};
use pleach_tensor::Key;

/// How often each rule fires; values, gradients and price are kept. The operators that are left.
fn absorbed(g: Graph) -> ([usize; 3], Vec<Op>) {
    let inputs = g.inputs();
    let simpler = run(&Simplify::default(), &g, &mut PassCx::reference(Level::Default)).0;
    let g = simpler.unwrap_or(g);
    let (new, ledger) = run(&Absorb, &g, &mut PassCx::reference(Level::Default));
    let rules = ["scale_of_product", "fixed_factors", "fixed_terms"];
    let count = rules.map(|rule| ledger.applications(rule));
    assert_eq!(new.is_some(), count != [0; 3]);
    let left = new.as_ref().unwrap_or(&g);
    let live = left.live();
    let ops = left.ids().filter(|id| live[id.index()]).map(|id| left.op(id)).collect();
    let (sample, pipeline) = (Sample { graph: g, inputs }, Pipeline::new(vec![Arc::new(Absorb)]));
    for level in [Level::Default, Level::Exact] {
        for seed in 0..4 {
            preserves(&pipeline, &sample, level, Key(seed)).unwrap();
        }
    }
    (count, ops)
}

fn param<'g>(g: &'g Graph, params: &Params, name: &str, shape: &[usize]) -> Var<'g> {
    g.param(&params.param(name, shape, Init::normal(0.0, 1.0)))
}

/// A value scaled and shifted as a batch normalization does it.
fn normalized<'g>(g: &'g Graph, params: &Params, y: Var<'g>, shape: &[usize]) -> Var<'g> {
    let [mean, var, w, b] = ["mean", "var", "w", "b"].map(|name| param(g, params, name, shape));
    (y - mean) * (1.0 / (var * var + 1e-5).sqrt()) * w + b
}

#[test]
fn a_convolution_takes_its_normalization() {
    for (batch, channels, groups) in [(2, 4, 1), (2, 4, 2), (16, 2, 1)] {
        let (g, params) = (Graph::eval(), Params::seeded(0));
        let x = g.input("x", F32, [batch, channels, 9, 9]);
        let weight = param(&g, &params, "conv", &[4, channels / groups, 3, 3]);
        let bias = param(&g, &params, "bias", &[4]);
        let y = x.conv(weight, Some(bias), &ConvOptions::default().padding(1).groups(groups));
        let y = normalized(&g, &params, y, &[4, 1, 1]);
        g.output("y", y.id());
        g.output("dx", g.grad((y * y).sum(All), &[x])[0].id());
        // The gradient scales by the same numbers, before products with the weight: that stays.
        let (count, _) = absorbed(g);
        assert_eq!([count[0], count[2]], [2, 2], "{count:?}");
    }
}

#[test]
fn one_sum_is_left_of_a_linear_layer_and_its_normalization() {
    let (g, params) = (Graph::eval(), Params::seeded(0));
    let (x, w) = (g.input("x", F32, [64, 5]), param(&g, &params, "linear", &[5, 3]));
    let y = normalized(&g, &params, x.matmul(w) + param(&g, &params, "bias", &[3]), &[3]);
    g.output("y", y.id());
    let (count, ops) = absorbed(g);
    assert_eq!(count, [2, 0, 2]);
    // All that is done to 64 rows: the product, and one sum of what is spread over them.
    assert_eq!(ops.iter().filter(|op| matches!(op, Op::MatMul(_))).count(), 1);
    let spread = |op: &&Op| matches!(op, Op::Broadcast(b) if *b == Broadcast::new(&[64, 3]));
    assert_eq!(ops.iter().filter(spread).count(), 1);
    let (g, params) = (Graph::eval(), Params::seeded(0));
    // Weights that a batch shares are scaled once.
    let (x, w) = (g.input("x", F32, [4, 16, 5]), param(&g, &params, "linear", &[5, 3]));
    g.output("y", (x.matmul(w) * param(&g, &params, "s", &[3])).id());
    assert_eq!(absorbed(g).0, [1, 0, 0]);
}

#[test]
fn factors_along_several_axes_find_their_way_through_views() {
    // Every weight of a batch has factors of its own, and axes go round.
    let (g, params) = (Graph::eval(), Params::seeded(0));
    let (x, w) = (g.input("x", F32, [3, 8, 5]), param(&g, &params, "w", &[3, 5, 2]));
    let y = x.matmul(w).permute(&[1, 2, 0]);
    g.output("y", (y * param(&g, &params, "s", &[2, 3])).id());
    assert_eq!(absorbed(g).0, [1, 0, 0]);
    // A weight that a batch shares, with factors that it does not share.
    let (g, params) = (Graph::eval(), Params::seeded(0));
    let (x, w) = (g.input("x", F32, [4, 16, 5]), param(&g, &params, "w", &[5, 3]));
    g.output("y", (x.matmul(w) * param(&g, &params, "s", &[4, 1, 3])).id());
    assert_eq!(absorbed(g).0, [1, 0, 0]);
}

#[test]
fn factors_and_terms_without_a_product_are_joined() {
    let (g, params) = (Graph::eval(), Params::seeded(0));
    let x = g.input("x", F32, [64, 3]);
    g.output("y", normalized(&g, &params, x.relu(), &[3]).id());
    assert_eq!(absorbed(g).0, [0, 1, 0]);
    let (g, params) = (Graph::eval(), Params::seeded(0));
    let x = g.input("x", F32, [64, 3]);
    let [a, b, c] = ["a", "b", "c"].map(|name| param(&g, &params, name, &[3]));
    g.output("y", (x - a + b - c).id());
    assert_eq!(absorbed(g).0, [0, 0, 2]);
}

#[test]
fn what_changes_differs_or_is_used_elsewhere_stays() {
    let of = |record: for<'g> fn(&'g Graph, &Params) -> Var<'g>| {
        let (g, params) = (Graph::eval(), Params::seeded(0));
        g.output("y", record(&g, &params).id());
        absorbed(g).0
    };
    // A factor of the run, a weight of the run.
    assert_eq!(
        of(|g, p| {
            let x = g.input("x", F32, [64, 5]);
            x.matmul(param(g, p, "w", &[5, 3])) * g.input("s", F32, [3])
        }),
        [0; 3]
    );
    assert_eq!(
        of(|g, p| {
            let x = g.input("x", F32, [64, 5]);
            x.matmul(g.input("w", F32, [5, 3])) * param(g, p, "s", &[3])
        }),
        [0; 3]
    );
    // Factors of rows, which the weight does not have.
    assert_eq!(
        of(|g, p| {
            let x = g.input("x", F32, [64, 5]);
            x.matmul(param(g, p, "w", &[5, 3])) * param(g, p, "s", &[64, 1])
        }),
        [0; 3]
    );
    // The product is asked for, too.
    assert_eq!(
        of(|g, p| {
            let y = g.input("x", F32, [64, 5]).matmul(param(g, p, "w", &[5, 3]));
            y * param(g, p, "s", &[3]) + y.sum(All)
        }),
        [0; 3]
    );
    // More would be scaled than is saved.
    assert_eq!(
        of(|g, p| {
            let y = g.input("x", F32, [2, 50]).matmul(param(g, p, "w", &[50, 3]));
            y * param(g, p, "s", &[3])
        }),
        [0; 3]
    );
    // A weight that the graph writes.
    let (g, params) = (Graph::eval(), Params::seeded(0));
    let w = param(&g, &params, "w", &[5, 3]);
    let y = g.input("x", F32, [64, 5]).matmul(w) * param(&g, &params, "s", &[3]);
    g.output("y", y.id());
    g.assign("w", w.id(), (w * 0.5).id());
    assert_eq!(absorbed(g).0, [0; 3]);
}
