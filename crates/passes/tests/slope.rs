//! Gradients of activations become their slope times what came, and the slope is made where the activation is.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use std::sync::Arc;

use pleach_graph::NodeId;
use pleach_ops::prelude::*;
use pleach_ops::{Fused, Op};
use pleach_passes::testing::{keeps, run};
use pleach_passes::{Fuse, Ledger, Level, PassCx, Pipeline, Slope};
use proptest::prelude::*;

fn sloped(g: &Graph) -> (Option<Graph>, Ledger) {
    run(&Slope, g, &mut PassCx::reference(Level::Default))
}

type Activation = for<'g> fn(Var<'g>) -> Var<'g>;

/// What has a gradient of several terms.
const ACTIVATIONS: [(&str, Activation); 5] = [
    ("gelu", |x| x.gelu()),
    ("gelu_tanh", |x| x.gelu_tanh()),
    ("silu", |x| x.silu()),
    ("mish", |x| x.mish()),
    ("a polynomial", |x| x * x * x + x * 0.5),
];

/// An activation between two products, and the gradient of what goes in.
fn graph(f: Activation, rows: usize) -> Graph {
    let g = Graph::new();
    let (x, w) = (g.input("x", F64, [rows, 5]), g.input("w", F64, [5, 7]));
    let v = g.input("v", F64, [7, 5]);
    let y = f(x.matmul(w)).matmul(v);
    let loss = y.square().sum(All);
    g.output("loss", loss.id());
    for (dx, name) in g.grad(loss, &[w, v]).into_iter().zip(["dw", "dv"]) {
        g.output(name, dx.id());
    }
    g.check().unwrap();
    g
}

/// Live elementwise operators of the activation's shape that read what a product made of the other weight.
fn readers_of_what_came(g: &Graph, rows: usize) -> usize {
    let live = g.live();
    let elementwise = |id: NodeId| {
        !matches!(g.op(id), Op::MatMul(_) | Op::Input(_) | Op::Permute(_) | Op::Full(_))
            && g.ty(id).shape()[..] == [rows, 7]
    };
    // The second product of this shape goes back.
    let products: Vec<NodeId> = g
        .ids()
        .filter(|id| live[id.index()] && matches!(g.op(*id), Op::MatMul(_)))
        .filter(|id| g.ty(*id).shape()[..] == [rows, 7])
        .collect();
    let mut reads = vec![false; g.len()];
    reads[products[1].index()] = true;
    let mut count = 0;
    for id in g.ids().filter(|id| live[id.index()] && elementwise(*id)) {
        if g.node(id).inputs.iter().any(|x| reads[x.index()]) {
            (reads[id.index()], count) = (true, count + 1);
        }
    }
    count
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_are_a_slope_times_what_came(kind in 0usize..5, rows in 2usize..5, key: u64) {
        let (name, f) = ACTIVATIONS[kind];
        let g = graph(f, rows);
        let (new, ledger) = sloped(&g);
        prop_assert!(new.is_some(), "{}: {}\n{}", name, ledger, g);
        let new = new.unwrap();
        prop_assert!(readers_of_what_came(&g, rows) > 1);
        prop_assert_eq!(readers_of_what_came(&new, rows), 1, "{}: {}", name, new);
        keeps(&Pipeline::new(vec![Arc::new(Slope)]), &g, Level::Default, key)?;
        let both = Pipeline::new(vec![Arc::new(Slope), Arc::new(Fuse::default())]);
        keeps(&both, &g, Level::Default, key)?;
    }
}

#[test]
fn other_sums_stay() {
    let fires = |f: &dyn for<'g> Fn([Var<'g>; 4]) -> Var<'g>| {
        let g = Graph::new();
        let [x, y, z, w] = ["x", "y", "z", "w"].map(|name| g.input(name, F64, [6]));
        g.output("out", f([x, y, z, w]).id());
        g.check().unwrap();
        sloped(&g).0.is_some()
    };
    assert!(fires(&|[x, y, z, w]| w * x + (w * y) * z));
    assert!(fires(&|[x, y, z, w]| w * x - (w * y) / z));
    assert!(fires(&|[x, y, z, w]| {
        let zero = x.graph().full(F64, [6], 0.0);
        w * x + x.less(y).select(zero, w * z) + w * y * -z
    }));
    assert!(!fires(&|[x, y, z, w]| w * x + y * z), "no factor in common");
    assert!(!fires(&|[x, y, z, w]| w * x + (w * y * z + 1.0)), "a term without the factor");
    assert!(!fires(&|[x, y, z, w]| w * x + (y / w) * z), "a factor below the line");
    assert!(!fires(&|[x, _, z, w]| w * x + (w * w) * z), "a square");
    assert!(!fires(&|[x, _, _, w]| w * x + w), "as many operators");
    assert!(
        !fires(&|[x, y, z, w]| {
            let (a, b) = (w * x, (w * y) * z);
            (a + b) * a.exp() * b.exp()
        }),
        "terms that are read elsewhere"
    );
    let g = graph(ACTIVATIONS[0].1, 3);
    assert!(run(&Slope, &g, &mut PassCx::reference(Level::Exact)).0.is_none(), "bits are kept");
}

/// How many operands and results the live regions have, in order, without repetition.
fn regions(g: &Graph) -> Vec<(usize, usize)> {
    let live = g.live();
    let of = |id: NodeId| match g.op(id) {
        Op::Fused(fused) => Some(sizes(&fused)),
        _ => None,
    };
    let mut all: Vec<_> = g.ids().filter(|id| live[id.index()]).filter_map(of).collect();
    all.dedup();
    all
}

fn sizes(fused: &Fused) -> (usize, usize) {
    (fused.body().params(), fused.body().results().len())
}

/// An activation with a slope of its own, as `%g · slope` far behind it, and what else is read there.
fn apart(more: impl for<'g> Fn(Var<'g>, Var<'g>) -> Var<'g>, tanh: bool) -> Graph {
    let g = Graph::new();
    let (x, w) = (g.input("x", F64, [4, 6]), g.input("w", F64, [6, 6]));
    let x = x.matmul(w) * 0.5;
    let c = if tanh { x.tanh() } else { x.normal_cdf() };
    let y = if tanh { c } else { x * c };
    let came = y.matmul(w);
    let slope = if tanh { 1.0 - c * c } else { c + x * (x * x * -0.5).exp() };
    g.output("y", y.id());
    g.output("dx", (more(came, x) * slope).id());
    g.check().unwrap();
    g
}

#[test]
fn a_slope_is_made_where_the_activation_is_if_less_is_kept() {
    let fused = |g: &Graph| {
        keeps(&Pipeline::new(vec![Arc::new(Fuse::default())]), g, Level::Exact, 3).unwrap();
        let (new, ledger) = run(&Fuse::default(), g, &mut PassCx::reference(Level::Exact));
        (regions(&new.unwrap()), ledger.applications("ahead"))
    };
    // Forward the value and the slope leave the region; what goes back is one product.
    assert_eq!(fused(&apart(|came, _| came, false)), (vec![(1, 2)], 1));
    assert_eq!(fused(&apart(|came, _| came.exp(), false)), (vec![(1, 2), (2, 1)], 1));
    // The slope of a hyperbolic tangent is made of its value, which is kept anyway.
    assert_eq!(fused(&apart(|came, _| came, true)).1, 0);
    // What else is read there would be kept, too.
    assert_eq!(fused(&apart(|came, x| came * x.sin(), false)).1, 0);
    assert_eq!(fused(&apart(|came, x| came * x, false)).1, 0);
}

#[test]
fn a_slope_stays_where_it_is_asked_for_or_where_there_is_no_room() {
    let slope = |g: &Graph, max_size: usize| {
        let fuse = Fuse { max_size, ..Fuse::default() };
        keeps(&Pipeline::new(vec![Arc::new(fuse)]), g, Level::Exact, 3).unwrap();
        run(&fuse, g, &mut PassCx::reference(Level::Exact)).1.applications("ahead")
    };
    let g = apart(|came, _| came, false);
    // Three operators forward, and the five of the slope.
    assert_eq!((slope(&g, 7), slope(&g, 8)), (0, 1));
    // Its bell, the exponential, is an output.
    let bell = g.ids().find(|id| matches!(g.op(*id), Op::Exp(_))).unwrap();
    g.output("bell", bell);
    assert_eq!(slope(&g, 8), 0);
}

#[test]
fn what_was_recorded_first_can_be_done_ahead() {
    let g = Graph::new();
    let first = g.full(F64, [4, 6], 0.4).exp();
    let (x, w) = (g.input("x", F64, [4, 6]), g.input("w", F64, [6, 6]));
    let x = x.matmul(w) * 0.5;
    let c = x.normal_cdf();
    let y = x * c;
    g.output("y", y.exp().sum(All).id());
    g.output("dx", (y.matmul(w) * (c + x * (x * first))).id());
    keeps(&Pipeline::new(vec![Arc::new(Fuse::default())]), &g, Level::Exact, 3).unwrap();
    let (new, ledger) = run(&Fuse::default(), &g, &mut PassCx::reference(Level::Exact));
    assert_eq!(ledger.applications("ahead"), 1, "{ledger}");
    new.unwrap().check().unwrap();
}
