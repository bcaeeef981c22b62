//! Convolutions with windows of 3 × 3 take fewer products, with the same values, gradients and second
//! gradients.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use pleach_graph::NodeId;
use pleach_ops::prelude::*;
use pleach_ops::{ConvOptions, Op};
use pleach_passes::testing::{agree, draw, interpreted, run, scale_of};
use pleach_passes::{Class, Contract, Level, PassCx, Pipeline, Pull, Winograd};
use pleach_tensor::Key;
use proptest::prelude::*;

/// A convolution of `[images, channels, rows, columns]` and its gradients.
fn convolution(x: [usize; 4], outputs: usize, size: usize, options: &ConvOptions) -> Graph {
    let g = Graph::new();
    let w = g.input("w", F64, [outputs, x[1] / options.groups, size, size]);
    let x = g.input("x", F64, x);
    let y = x.conv(w, None, options);
    let grads = g.grad((y * y).sum(All), &[x, w]);
    for (name, value) in [("y", y), ("dx", grads[0]), ("dw", grads[1])] {
        g.output(name, value.id());
    }
    g.check().unwrap();
    g
}

fn options(padding: usize) -> ConvOptions {
    ConvOptions::default().padding(padding)
}

/// As in the pipeline, whatever the gain.
fn always() -> Pipeline {
    let limits = Winograd { gain: 0, work: 0 };
    Pipeline::default().without("winograd").insert_after("contract", limits)
}

/// Numbers of `winograd`, `winograd_weight`, and products and pads that are left.
fn counts(g: &Graph) -> [usize; 4] {
    let live = g.live();
    let count =
        |is: fn(&Op) -> bool| g.ids().filter(|id| live[id.index()] && is(&g.op(*id))).count();
    [
        count(|op| matches!(op, Op::Winograd(_))),
        count(|op| matches!(op, Op::WinogradWeight(_))),
        count(|op| matches!(op, Op::MatMul(_))),
        count(|op| matches!(op, Op::Pad(_))),
    ]
}

fn optimized(pipeline: &Pipeline, g: &Graph, level: Level) -> Graph {
    pipeline.optimize(g, &mut PassCx::reference(level)).unwrap().0
}

/// The outputs, and the gradients of the second by the inputs.
fn values(g: &Graph, feeds: &[Tensor]) -> (Vec<Tensor>, f64) {
    let named = |name: &str| {
        let root = g.roots().into_iter().find(|root| &*root.name == name).unwrap();
        Var::new(g, root.value)
    };
    let mut inputs: Vec<NodeId> = g.ids().filter(|id| matches!(g.op(*id), Op::Input(_))).collect();
    inputs.sort_by_key(|id| match g.op(*id) {
        Op::Input(input) => input.position(),
        _ => usize::MAX,
    });
    let inputs: Vec<Var<'_>> = inputs.into_iter().map(|id| Var::new(g, id)).collect();
    let (dx, dw) = (named("dx"), named("dw"));
    let second = g.grad((dx * dx).sum(All) + (dw * dw).sum(All), &inputs);
    let wanted = [named("y"), dx, dw, second[0], second[1]].map(|v| v.id());
    (interpreted(g, &wanted, feeds).unwrap(), scale_of(g, feeds).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn values_and_gradients_are_those_of_products(
        x in [1usize..3, 1usize..4, 3usize..7, 3usize..7],
        outputs in 1usize..4,
        padding in 0usize..4,
        key in 0u64..1 << 40,
    ) {
        let g = convolution(x, outputs, 3, &options(padding));
        let new = optimized(&always(), &g, Level::Default);
        let feeds: Vec<Tensor> =
            g.inputs().iter().zip(0..).map(|(i, n)| draw(i.ty(), Key(key + n))).collect();
        let ((want, scale), (got, _)) = (values(&g, &feeds), values(&new, &feeds));
        for (i, (want, got)) in want.iter().zip(&got).enumerate() {
            agree(Class::Rounding, got, want, scale)
                .map_err(|why| TestCaseError::fail(format!("value {i}: {why}\n{new}")))?;
        }
    }
}

#[test]
fn it_fires_on_all_three_products_of_usual_convolutions() {
    for (images, side, padding) in [(2, 16, 1), (1, 18, 0), (2, 15, 2), (3, 9, 1)] {
        let g = convolution([images, 32, side, side + 2], 48, 3, &options(padding));
        let new = optimized(&Pipeline::default(), &g, Level::Default);
        assert_eq!(counts(&new), [2, 1, 0, 0], "{images} {side} {padding}\n{new}");
    }
}

#[test]
fn it_must_not_fire_where_windows_are_others_or_it_does_not_pay() {
    let plain = options(1);
    for (x, outputs, size, options) in [
        ([2, 32, 16, 16], 32, 3, plain.clone().stride(2)),
        ([2, 32, 16, 16], 32, 3, plain.clone().dilation(2)),
        ([2, 32, 16, 16], 32, 5, plain.clone()),
        ([2, 64, 16, 16], 64, 3, plain.clone().groups(2)),
        // The first convolution of a network of colours.
        ([32, 3, 32, 32], 32, 3, plain.clone()),
        ([2, 8, 16, 16], 8, 3, plain.clone()),
        // Short products.
        ([1, 16, 6, 6], 16, 3, plain.clone()),
    ] {
        let g = convolution(x, outputs, size, &options);
        let new = optimized(&Pipeline::default(), &g, Level::Default);
        assert_eq!(counts(&new)[..2], [0, 0], "{x:?} {size} {options:?}");
    }
    // At level `exact` nothing is rounded in another way.
    let g = convolution([2, 32, 16, 16], 32, 3, &plain);
    assert_eq!(counts(&optimized(&always(), &g, Level::Exact))[..2], [0, 0]);
    // Left out by name.
    let without = Pipeline::default().without("winograd");
    assert_eq!(counts(&optimized(&without, &g, Level::Default))[..2], [0, 0]);
}

#[test]
fn the_reason_is_given() {
    let stride = convolution([2, 32, 16, 16], 32, 3, &options(1).stride(2));
    let few = convolution([2, 3, 16, 16], 8, 3, &options(1));
    for (g, reason) in [
        (stride, "windows are not 3 × 3, next to each other"),
        (few, "the shapes say that it does not pay"),
    ] {
        let (new, ledger) = run(&Winograd::default(), &g, &mut PassCx::reference(Level::Default));
        assert!(new.is_none());
        assert_eq!(ledger.passes[0].skipped[0].reason, reason);
    }
}

#[test]
fn a_second_run_changes_nothing() {
    let g = convolution([2, 32, 16, 16], 32, 3, &options(1));
    let once = optimized(&Pipeline::default(), &g, Level::Default);
    let twice = optimized(&Pipeline::default(), &once, Level::Default);
    assert_eq!(once.to_string(), twice.to_string());
    let pass = |p: Pipeline| optimized(&p, &g, Level::Default);
    let alone = pass(Pipeline::new(vec![
        std::sync::Arc::new(Pull::default()),
        std::sync::Arc::new(Contract),
        std::sync::Arc::new(Winograd::default()),
    ]));
    assert_eq!(counts(&alone)[1], 1);
}
