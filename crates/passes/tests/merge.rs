//! Products with a common operand become one, with the same values and gradients.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use std::sync::Arc;

use pleach_ops::Op;
use pleach_ops::prelude::*;
use pleach_passes::testing::{self, Broken, run};
use pleach_passes::{Ledger, Level, Merge, PassCx, Pipeline};
use proptest::prelude::*;

fn merged(g: &Graph) -> (Option<Graph>, Ledger) {
    run(&Merge::default(), g, &mut PassCx::reference(Level::Default))
}

/// Shapes of the products that outputs need, in order of the nodes.
fn products(g: &Graph) -> Vec<Vec<usize>> {
    let live = g.live();
    let of = |id: &NodeId| live[id.index()] && matches!(g.op(*id), Op::MatMul(_));
    g.ids().filter(of).map(|id| g.ty(id).shape().to_vec()).collect()
}

/// How many values are put together.
fn concats(g: &Graph) -> usize {
    let live = g.live();
    g.ids().filter(|id| live[id.index()] && matches!(g.op(*id), Op::Concat(_))).count()
}

/// Values, gradients and price are kept, and nothing fires twice.
fn keeps(g: &Graph, key: u64) -> Result<(), Broken> {
    testing::keeps(&Pipeline::new(vec![Arc::new(Merge::default())]), g, Level::Default, key)
}

/// Which operand products have in common, and where the others come from.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Values of their own, on the right, repeated for the batch or not.
    Left { repeated: bool },
    /// Values of their own, on the left.
    Right,
    /// Slices of one value along this axis, on the left.
    Steps(usize),
}

/// `n` products of a kind, each followed by something else.
fn graph(kind: Kind, n: usize, batch: Option<usize>, [m, k, w]: [usize; 3]) -> Graph {
    let g = Graph::new();
    let lead = |last: [usize; 2]| batch.into_iter().chain(last).collect::<Vec<usize>>();
    let ys: Vec<Var<'_>> = match kind {
        Kind::Left { repeated } => {
            let x = g.input("x", F64, lead([m, k]));
            let shape = |w| if repeated { vec![k, w] } else { lead([k, w]) };
            (0..n).map(|i| x.matmul(g.input(&format!("w{i}"), F64, shape(w + i)))).collect()
        }
        Kind::Right => {
            let weight = g.input("w", F64, lead([k, w]));
            let x = |i| g.input(&format!("x{i}"), F64, lead([m + i, k]));
            (0..n).map(|i| x(i).matmul(weight)).collect()
        }
        Kind::Steps(axis) => {
            let mut shape = [m, m, k];
            shape[axis] = n;
            let (x, weight) = (g.input("x", F64, shape), g.input("w", F64, [k, w]));
            let step = |i: usize| x.slice(axis as i64, i..i + 1).squeeze(axis as i64);
            (0..n).map(|i| step(i).matmul(weight)).collect()
        }
    };
    for (i, y) in ys.into_iter().enumerate() {
        g.output(&format!("y{i}"), y.tanh().id());
    }
    g
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_gradients_are_the_same(
        kind in prop_oneof![
            any::<bool>().prop_map(|repeated| Kind::Left { repeated }),
            Just(Kind::Right),
            (0usize..2).prop_map(Kind::Steps),
        ],
        n in 2usize..5,
        batch in prop::option::of(1usize..4),
        sizes in any::<[u8; 3]>(),
        key in any::<u64>(),
    ) {
        // What is common is large beside what is put together, and beside each product.
        let [m, k, w] = sizes.map(|s| 1 + s as usize % 3);
        let k = 112 + k;
        let sizes = match kind {
            Kind::Left { .. } => [m + 40 * n, k, w],
            Kind::Right => [m, k, w + 40 * n],
            Kind::Steps(_) => [m, k, w],
        };
        let g = graph(kind, n, batch, sizes);
        let (new, ledger) = merged(&g);
        let new = new.expect("it fires");
        prop_assert_eq!(products(&new).len(), 1, "{}", new);
        prop_assert_eq!(ledger.applications("common_left") + ledger.applications("common_right"), n);
        let kept = keeps(&g, key);
        prop_assert!(kept.is_ok(), "{:?}", kept);
    }
}

#[test]
fn slices_of_one_value_are_not_copied() {
    for axis in [0, 1] {
        let new = merged(&graph(Kind::Steps(axis), 6, None, [2, 64, 4])).0.unwrap();
        assert_eq!((products(&new), concats(&new)), (vec![vec![12, 4]], 0), "{new}");
    }
}

#[test]
fn it_leaves_what_costs_more_than_it_saves() {
    let few_rows = graph(Kind::Left { repeated: false }, 3, None, [2, 8, 64]);
    let (new, ledger) = merged(&few_rows);
    assert!(new.is_none());
    assert!(ledger.to_string().contains("costs more than it saves"), "{ledger}");
    let (new, ledger) = run(
        &Merge { max_bytes: 1000, ..Merge::default() },
        &graph(Kind::Left { repeated: true }, 3, Some(2), [64, 8, 4]),
        &mut PassCx::reference(Level::Default),
    );
    assert!(new.is_none() && ledger.to_string().contains("too much memory"), "{ledger}");
}

#[test]
fn it_leaves_products_that_need_each_other_and_slices_with_holes() {
    let g = Graph::new();
    let (x, w) = (g.input("x", F32, [2, 64]), g.input("w", F32, [64, 64]));
    g.output("y", x.matmul(w).tanh().matmul(w).id());
    assert!(merged(&g).0.is_none(), "one needs the other");
    for (axis, shape) in [(0, [5, 2, 64]), (1, [2, 5, 64])] {
        let g = Graph::new();
        let (x, w) = (g.input("x", F32, shape), g.input("w", F32, [64, 4]));
        for i in [0, 2, 4] {
            g.output("y", x.slice(axis, i..i + 1).squeeze(axis).matmul(w).id());
        }
        assert!(merged(&g).0.is_none(), "rows that nobody asks for");
    }
}

/// A network recorded step by step, as loops in Rust unroll: its last state, and its weights.
fn unrolled(g: &Graph) -> (Var<'_>, [Var<'_>; 2]) {
    let (x, w) = (g.input("x", F64, [3, 2, 64]), g.input("w", F64, [64, 4]));
    let v = g.input("v", F64, [4, 4]);
    let mut h = g.input("h", F64, [2, 4]);
    for i in 0..3 {
        h = (x.slice(0, i..i + 1).squeeze(0).matmul(w) + h.matmul(v)).tanh();
    }
    (h, [w, v])
}

/// What is computed again for less memory, and what is kept, goes by the order of nodes.
#[test]
fn what_comes_after_the_loss_stays_after_it() {
    let g = Graph::new();
    let (h, weights) = unrolled(&g);
    let loss = (h * h).sum(All);
    g.output("loss", loss.id());
    g.grad(loss, &weights).iter().for_each(|d| g.output("gradient", d.id()));
    let after = |g: &Graph| {
        let loss = g.roots()[0].value;
        let mut needed = vec![false; g.len()];
        needed[loss.index()] = true;
        for id in g.ids().rev().filter(|id| *id <= loss) {
            if needed[id.index()] {
                g.node(id).inputs.iter().for_each(|x| needed[x.index()] = true);
            }
        }
        // Slices of an input are views, wherever they stand.
        let computes = |id: NodeId| !matches!(g.op(id), Op::Slice(_) | Op::Reshape(_));
        g.ids().filter(|&id| !needed[id.index()] && computes(id)).all(|id| id > loss)
    };
    assert!(after(&g), "as it was recorded");
    let new = merged(&g).0.unwrap();
    assert!(after(&new), "{new}");
}

#[test]
fn products_of_one_level_join_though_others_lie_between() {
    let g = Graph::new();
    let (h, _) = unrolled(&g);
    g.output("h", h.id());
    let new = merged(&g).0.unwrap();
    assert_eq!(products(&new).len(), 4, "{new}");
    keeps(&g, 3).unwrap();
}

#[test]
fn fixed_weights_are_put_together_once() {
    let p = Params::seeded(3);
    let g = Graph::new();
    let x = g.input("x", F32, [1, 64]);
    for name in ["a", "b", "c"] {
        let w = p.param(name, [64, 4], Init::normal(0.0, 1.0));
        g.output(name, x.matmul(g.param(&w)).id());
    }
    assert_eq!(products(&merged(&g).0.unwrap()), [[1, 12]]);
}

#[test]
fn it_leaves_what_is_small_beside_its_products() {
    let (new, ledger) = merged(&graph(Kind::Steps(0), 6, None, [2, 30, 4]));
    assert!(new.is_none() && ledger.to_string().contains("operand is small"), "{ledger}");
    let asked = Merge { large: 15, ..Merge::default() };
    let g = graph(Kind::Steps(0), 6, None, [2, 30, 4]);
    assert!(run(&asked, &g, &mut PassCx::reference(Level::Default)).0.is_some());
}

#[test]
fn products_of_a_step_of_a_loop_join() {
    let g = Graph::new();
    let (x, w) = (g.input("x", F64, [5, 2, 64]), g.input("w", F64, [64, 40]));
    // Two products of each step with one weight.
    let (last, _) = g.scan(x.slice(0, 0..1).squeeze(0), x, |c, x| {
        let y = x.matmul(w) + (x * 0.5).matmul(w);
        (c + y.sum(All), ())
    });
    g.output("last", last.id());
    keeps(&g, 7).unwrap();
    let pipeline = Pipeline::new(vec![Arc::new(Merge::default())]);
    let (new, ..) = pipeline.optimize(&g, &mut PassCx::reference(Level::Default)).unwrap();
    let live = new.live();
    let step = new.ids().filter(|id| live[id.index()]).find_map(|id| match new.op(id) {
        Op::Scan(scan) => Some(scan.of().clone()),
        _ => None,
    });
    let of_step = step.unwrap().body().nodes().to_vec();
    assert_eq!(of_step.iter().filter(|node| matches!(node.op, Op::MatMul(_))).count(), 1);
}

#[test]
fn a_product_of_two_groups_is_in_one() {
    let p = Params::seeded(3);
    let g = Graph::new();
    let of = |name: &str, shape| g.param(&p.param(name, shape, Init::normal(0.0, 1.0)));
    let ([x, y], [a, w]) = (["x", "y"].map(|n| of(n, [2, 64])), ["a", "w"].map(|n| of(n, [64, 2])));
    for (name, y) in [("xa", x.matmul(a)), ("xw", x.matmul(w)), ("yw", y.matmul(w))] {
        g.output(name, y.id());
    }
    let new = merged(&g).0.unwrap();
    let elements: usize = products(&new).iter().map(|shape| shape.iter().product::<usize>()).sum();
    assert_eq!(elements, 12, "{new}");
}

#[test]
fn what_a_loop_is_given_is_not_fixed_for_its_step() {
    let p = Params::seeded(3).dtype(F64);
    let g = Graph::new();
    let x = g.input("x", F64, [5, 1, 64]);
    let [a, b] = ["a", "b"].map(|name| g.param(&p.param(name, [64, 4], Init::normal(0.0, 1.0))));
    let (last, _) = g.scan(x.slice(0, 0..1).squeeze(0), x, |c, x| {
        (c + (x.matmul(a).tanh() + x.matmul(b)).sum(All), ())
    });
    g.output("last", last.id());
    g.check().unwrap();
    let pipeline = Pipeline::new(vec![Arc::new(Merge::default())]);
    let (.., ledger) = pipeline.optimize(&g, &mut PassCx::reference(Level::Default)).unwrap();
    assert_eq!(ledger.applications("common_left"), 0, "it would be copied in every step");
}

#[test]
fn exact_levels_are_left_alone() {
    let g = graph(Kind::Steps(0), 3, None, [2, 64, 4]);
    assert!(run(&Merge::default(), &g, &mut PassCx::reference(Level::Exact)).0.is_none());
}
