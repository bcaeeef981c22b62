//! Attention and its gradient become regions, with the same values and gradients.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use pleach_ops::prelude::*;
use pleach_ops::{Attention, Op};
use pleach_passes::testing::{agree, draw, interpreted, run, scale_of};
use pleach_passes::{Attend, Class, Ledger, Level, PassCx, Pipeline};
use pleach_tensor::Key;
use proptest::prelude::*;

fn attended(g: &Graph) -> (Option<Graph>, Ledger) {
    run(&Attend::default(), g, &mut PassCx::reference(Level::Default))
}

/// Live products outside of regions, and live regions.
fn count(g: &Graph) -> (usize, usize) {
    let live = g.live();
    let of = |f: fn(&Op) -> bool| g.ids().filter(|id| live[id.index()] && f(&g.op(*id))).count();
    (of(|op| matches!(op, Op::MatMul(_))), of(|op| matches!(op, Op::Fused(_))))
}

/// Attention of inputs of these shapes (heads, queries, keys, widths), as outputs its result and, if
/// asked for, gradients.
fn attention(
    g: &Graph,
    (heads, [l, s, e, d]): (&[usize], [usize; 4]),
    how: (bool, Option<f64>),
    gradients: bool,
) {
    let shape = |last: [usize; 2]| [heads, &last].concat();
    let inputs = [("q", [l, e]), ("k", [s, e]), ("v", [s, d])];
    let x = inputs.map(|(name, last)| g.input(name, F32, shape(last)));
    let (causal, scale) = how;
    let y = Attention { causal, scale, ..Attention::default() }.call(x[0], x[1], x[2]);
    g.output("y", y.id());
    if gradients {
        let grads = g.grad((y * y).sum(All), &x);
        grads.iter().zip(["dq", "dk", "dv"]).for_each(|(dx, name)| g.output(name, dx.id()));
    }
}

fn feeds(g: &Graph, key: u64) -> Vec<Tensor> {
    g.inputs().iter().zip(0..).map(|(i, at)| draw(i.ty(), Key(key ^ at))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_gradients_are_the_same(
        heads in prop::collection::vec(1usize..3, 0..3),
        l in 2usize..6, s in 2usize..6, e in 1usize..4, d in 1usize..4,
        causal in any::<bool>(), scaled in any::<bool>(), gradients in any::<bool>(), kept in any::<bool>(),
        key in any::<u64>(),
    ) {
        let g = Graph::new();
        let how = (causal, scaled.then_some(-0.3));
        attention(&g, (&heads, [l, s, e, d]), how, gradients);
        let pass = Attend { max_kept: if kept { usize::MAX } else { 0 }, ..Attend::default() };
        let (new, ledger) = run(&pass, &g, &mut PassCx::reference(Level::Default));
        prop_assert!(new.is_some(), "{ledger}\n{g}");
        let new = new.unwrap();
        let regions = if gradients { 4 + usize::from(kept) } else { 1 };
        prop_assert_eq!(count(&new), (0, regions), "{}", new);
        let feeds = feeds(&g, key);
        let wanted = |g: &Graph| -> Vec<NodeId> { g.roots().iter().map(|r| r.value).collect() };
        let scale = scale_of(&g, &feeds).unwrap();
        let want = interpreted(&g, &wanted(&g), &feeds).unwrap();
        let got = interpreted(&new, &wanted(&new), &feeds).unwrap();
        for (want, got) in want.iter().zip(&got) {
            let same = agree(Class::Rounding, got, want, scale);
            prop_assert!(same.is_ok(), "{:?}\n{}", same, new);
        }
        // Gradients that are taken later.
        let slopes = |g: &Graph| {
            let named = |name: &str| {
                let is = |id: &NodeId| matches!(g.op(*id), Op::Input(i) if g.inputs().iter().any(|x| x.name() == name && x.position() == i.position()));
                Var::new(g, g.ids().find(is).unwrap())
            };
            let sum = g.roots().iter().map(|r| Var::new(g, r.value)).map(|y| (y * y).sum(All)).reduce(|a, b| a + b);
            let grads = g.grad(sum.unwrap(), &["q", "k", "v"].map(named));
            grads.iter().map(|x| x.id()).collect::<Vec<_>>()
        };
        let want = interpreted(&g, &slopes(&g), &feeds).unwrap();
        let scale = scale_of(&g, &feeds).unwrap();
        let got = interpreted(&new, &slopes(&new), &feeds).unwrap();
        for (want, got) in want.iter().zip(&got) {
            prop_assert!(agree(Class::Rounding, got, want, scale).is_ok(), "{}", new);
        }
    }
}

/// Heads that are taken apart from one projection, twice in a row, through the whole pipeline.
#[test]
fn layers_of_attention_are_two_regions_each() {
    let g = Graph::new();
    let (x, w) = (g.input("x", F32, [2, 16, 8]), g.input("w", F32, [8, 24]));
    let mut y = x;
    for _ in 0..2 {
        let all = y.matmul(w);
        let part = |i: usize| {
            let part = all.slice(-1, 8 * i..8 * (i + 1));
            part.reshape([2, 16, 2, 4]).transpose(-3, -2)
        };
        let heads = Attention::default().causal().call(part(0), part(1), part(2));
        y = heads.transpose(-3, -2).reshape([2, 16, 8]) + y;
    }
    let dw = g.grad((y * y).sum(All), &[w])[0];
    g.output("dw", dw.id());
    let (new, ledger) = attended(&g);
    let new = new.expect("it fires");
    assert_eq!(count(&new).1, 10, "{ledger}");
    let (new, _, ledger) =
        Pipeline::default().optimize(&g, &mut PassCx::reference(Level::Default)).unwrap();
    assert_eq!(ledger.applications("attention"), 10, "{ledger}\n{new}");
    let exact = Pipeline::default().optimize(&g, &mut PassCx::reference(Level::Exact)).unwrap().2;
    assert_eq!(exact.applications("attention"), 0);
}

#[test]
fn weights_are_kept_for_a_gradient_if_they_are_small_and_no_memory_is_short() {
    let regions = |gradients: bool, max_kept: usize, limit: Option<u64>| {
        let g = Graph::new();
        attention(&g, (&[2], [4, 6, 3, 5]), (true, None), gradients);
        let pass = Attend { max_kept, ..Attend::default() };
        let mut cx = PassCx::reference(Level::Default);
        cx.max_peak_bytes = limit;
        count(&run(&pass, &g, &mut cx).0.unwrap()).1
    };
    let bytes = 2 * 4 * 6 * 4;
    assert_eq!(regions(true, bytes, None), 5);
    assert_eq!(regions(true, bytes - 1, None), 4, "too large");
    assert_eq!(regions(true, bytes, Some(1 << 30)), 4, "memory is short");
    assert_eq!(regions(false, bytes, None), 1, "nothing reads them");
}

#[test]
fn other_forms_stay() {
    let refused = |why: &str, f: &dyn for<'g> Fn([Var<'g>; 3]) -> Vec<Var<'g>>| {
        let g = Graph::new();
        let shapes = [("q", [2, 5, 4]), ("k", [2, 6, 4]), ("v", [2, 6, 3])];
        let outputs = f(shapes.map(|(name, shape)| g.input(name, F32, shape)));
        outputs.iter().enumerate().for_each(|(i, y)| g.output(&format!("y{i}"), y.id()));
        let (new, ledger) = attended(&g);
        assert!(new.is_none(), "{why}: {}", new.unwrap());
        assert!(ledger.to_string().contains(why), "{why}: {ledger}");
    };
    refused("what is inside is used elsewhere", &|[q, k, v]| {
        let weights = Attention::default().weights(q, k);
        vec![Attention::default().mix(weights, v), weights]
    });
    // Values that are made of the weights: a region of both would wait for itself.
    refused("what is inside is used elsewhere", &|[q, k, v]| {
        let weights = Attention::default().weights(q, k);
        let sum = weights.stop_gradient().sum(1).unsqueeze(-1);
        let y = Attention::default().mix(weights, v + sum);
        let grads = q.graph().grad((y * y).sum(All), &[q, k, v]);
        [&[y][..], &grads].concat()
    });
    refused("", &|[q, k, v]| vec![((q.matmul(k.t()) * 0.5).exp() / 3.0).matmul(v)]);
    refused("", &|[q, k, v]| {
        let mask = q.graph().input("mask", BOOL, [5, 6]);
        vec![Attention::default().mask(mask).call(q, k, v)]
    });
}
