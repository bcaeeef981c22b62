//! Loops that are better as their steps, with the same values and gradients.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use std::sync::Arc;

use pleach_graph::NodeId;
use pleach_ops::Op;
use pleach_ops::prelude::*;
use pleach_passes::testing::{Broken, Sample, commutes, preserves, run};
use pleach_passes::{Ledger, Level, PassCx, Pipeline, Prune, Unroll};
use pleach_tensor::Key;
use proptest::prelude::*;

fn unrolled(g: &Graph) -> (Option<Graph>, Ledger) {
    g.check().unwrap();
    run(&Unroll::default(), g, &mut PassCx::reference(Level::Exact))
}

/// How many nodes that outputs need are of this operator.
fn count(g: &Graph, op: &str) -> usize {
    let live = g.live();
    g.ids().filter(|id| live[id.index()] && g.op(*id).name() == op).count()
}

/// Values, gradients and price are kept, and nothing fires twice.
fn keeps(g: &Graph, key: u64) -> Result<(), Broken> {
    let (sample, key) = (Sample::of(g), Key(key));
    let pipeline = Pipeline::new(vec![Arc::new(Unroll::default()), Arc::new(Prune)]);
    preserves(&pipeline, &sample, Level::Exact, key)?;
    preserves(&pipeline, &sample, Level::Default, key)?;
    commutes(&pipeline, &sample, Level::Default, key)
}

/// What a step does besides elementwise operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    Nothing,
    Product,
    Sum,
}

/// A loop of two carries, over slices, and its gradient. `every` asks for what each step makes.
fn graph(length: usize, reverse: bool, more: More, every: bool, train: bool) -> Graph {
    let g = Graph::new();
    let (x, xs) = (g.input("x", F64, [2, 2]), g.input("xs", F64, [length, 2]));
    let w = g.input("w", F64, [2, 2]);
    fn step<'g>(
        (more, w): (More, Var<'g>),
        (a, b): (Var<'g>, Var<'g>),
        x: Var<'g>,
    ) -> ((Var<'g>, Var<'g>), Var<'g>) {
        let next = match more {
            More::Nothing => a * w,
            More::Product => a.matmul(w),
            More::Sum => a * a.sum_all(),
        };
        let y = next.tanh() - b * x.exp();
        ((y, a), b * 0.5)
    }
    let ((a, b), ys) = match reverse {
        true => g.scan_reverse((x, w), xs, |c, x| step((more, w), c, x)),
        false => g.scan((x, w), xs, |c, x| step((more, w), c, x)),
    };
    let loss = a.sum_all() + b.mean();
    g.output("loss", loss.id());
    if every {
        g.output("ys", ys.id());
    }
    if train {
        for (i, d) in g.grad(loss, &[x, w, xs]).into_iter().enumerate() {
            g.output(&format!("d{i}"), d.id());
        }
    }
    g.check().unwrap();
    g
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_gradients_are_the_same(
        length in 0usize..5,
        [reverse, every, train] in any::<[bool; 3]>(),
        more in prop_oneof![Just(More::Nothing), Just(More::Product), Just(More::Sum)],
        key in any::<u64>(),
    ) {
        let g = graph(length, reverse, more, every, train);
        let new = unrolled(&g).0;
        // The gradient adds up what belongs to slices.
        let goes = length < 2 || more == More::Nothing && !every && !train;
        prop_assert_eq!(count(new.as_ref().unwrap_or(&g), "scan") == 0, goes, "{}", g);
        let kept = keeps(&g, key);
        prop_assert!(kept.is_ok(), "{:?}", kept);
    }
}

#[test]
fn a_loop_and_its_gradient_go_together_without_a_stack() {
    let g = Graph::new();
    let x = g.input("x", F32, [3]);
    let y = g.repeat(4, x, |_, x| (x * x).sin());
    let d = g.grad(y.sum_all(), &[x])[0];
    g.output("d", d.id());
    let (new, ledger) = unrolled(&g);
    let new = new.unwrap();
    assert_eq!((count(&new, "scan"), count(&new, "concat")), (0, 0), "{new}");
    assert_eq!((count(&new, "sin"), count(&new, "cos")), (3, 4), "{new}");
    assert_eq!(ledger.applications("steps_of_a_loop"), 2);
    assert_eq!(keeps(&g, 1), Ok(()));
    // Not if every value is asked for anyway.
    let stacked = |id: &NodeId| g.op(*id).name() == "scan" && g.ty(*id).shape().rank() == 2;
    g.output("all", g.ids().find(stacked).unwrap());
    let new = unrolled(&g).0.unwrap();
    assert_eq!((count(&new, "scan"), count(&new, "concat")), (1, 0), "{new}");
}

#[test]
fn it_leaves_many_steps_and_large_ones() {
    let of = |steps: usize| {
        let g = Graph::new();
        let x = g.input("x", F32, [3]);
        g.output("y", g.repeat(steps, x, |_, x| (x * x).sin()).id());
        unrolled(&g).0
    };
    assert!(of(128).is_some() && of(129).is_none());
    // A step that draws is no elementwise one.
    let g = Graph::new();
    let x = g.input("x", F32, [3]);
    g.output("y", g.repeat(3, x, |_, x| x + g.key().normal(F32, [3])).id());
    assert!(unrolled(&g).0.is_none());
}

#[test]
fn one_step_is_no_loop_and_none_is_what_was_given() {
    let new = unrolled(&graph(1, true, More::Product, true, true)).0.unwrap();
    assert_eq!((count(&new, "scan"), count(&new, "concat")), (0, 0), "{new}");
    let new = unrolled(&graph(0, false, More::Product, true, false)).0.unwrap();
    let ys = new.roots().into_iter().find(|root| &*root.name == "ys").unwrap();
    assert!(matches!(new.op(ys.value), Op::Full(_)) && new.ty(ys.value).numel() == 0, "{new}");
}
