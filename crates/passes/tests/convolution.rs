//! Gradients of convolutions: sums of windows become products with windows, with the same values,
//! gradients and second gradients.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use pleach_graph::NodeId;
use pleach_ops::prelude::*;
use pleach_ops::{ConvOptions, Op, PerAxis};
use pleach_passes::testing::{agree, draw, interpreted, run, scale_of};
use pleach_passes::{Class, Ledger, Level, PassCx, Pipeline, Pull};
use pleach_tensor::Key;
use proptest::prelude::*;

/// One spatial axis: length, window, stride, padding, dilation.
type Along = (usize, usize, usize, usize, usize);

/// A convolution of random sizes with its gradients, and whether windows fit.
fn convolution(sizes: [usize; 4], along: &[Along], transposed: bool) -> Option<Graph> {
    let [batch, groups, inputs, outputs] = sizes;
    let each = |f: fn(&Along) -> usize| along.iter().map(f).collect::<Vec<_>>();
    let g = Graph::new();
    let w_shape = if transposed {
        [&[groups * inputs, outputs][..], &each(|a| a.1)].concat()
    } else {
        [&[groups * outputs, inputs][..], &each(|a| a.1)].concat()
    };
    let x = g.input("x", F64, [&[batch, groups * inputs][..], &each(|a| a.0)].concat());
    let w = g.input("w", F64, w_shape);
    let options = ConvOptions::default()
        .stride(PerAxis::from(each(|a| a.2)))
        .padding(each(|a| a.3))
        .dilation(PerAxis::from(each(|a| a.4)))
        .groups(groups);
    let y =
        if transposed { x.conv_transpose(w, None, &options) } else { x.conv(w, None, &options) };
    y.ty()?;
    let grads = g.grad((y * y).sum(All), &[x, w]);
    g.output("y", y.id());
    g.output("dx", grads[0].id());
    g.output("dw", grads[1].id());
    g.check().ok()?;
    Some(g)
}

fn left(g: &Graph) -> usize {
    let live = g.live();
    g.ids().filter(|id| live[id.index()] && matches!(g.op(*id), Op::WindowsAdd(_))).count()
}

/// The outputs, and the gradients of the second by the first inputs.
fn values(g: &Graph, feeds: &[Tensor]) -> (Vec<Tensor>, f64) {
    let named = |name: &str| {
        let root = g.roots().into_iter().find(|root| &*root.name == name).unwrap();
        Var::new(g, root.value)
    };
    let input = |id: &NodeId| matches!(g.op(*id), Op::Input(_));
    let mut inputs: Vec<NodeId> = g.ids().filter(input).collect();
    inputs.sort_by_key(|id| match g.op(*id) {
        Op::Input(input) => input.position(),
        _ => usize::MAX,
    });
    let inputs: Vec<Var<'_>> = inputs.into_iter().map(|id| Var::new(g, id)).collect();
    let dx = named("dx");
    let second = g.grad((dx * dx).sum(All), &inputs);
    let wanted = [named("y"), dx, named("dw"), second[0], second[1]].map(|v| v.id());
    (interpreted(g, &wanted, feeds).unwrap(), scale_of(g, feeds).unwrap())
}

fn same(g: &Graph, new: &Graph, key: u64) -> Result<(), String> {
    let inputs = g.inputs();
    let feeds: Vec<Tensor> =
        inputs.iter().zip(0..).map(|(i, n)| draw(i.ty(), Key(key + n))).collect();
    let ((want, scale), (got, _)) = (values(g, &feeds), values(new, &feeds));
    want.iter().zip(&got).enumerate().try_for_each(|(i, (want, got))| {
        agree(Class::Rounding, got, want, scale).map_err(|m| format!("value {i}: {m}\n{new}"))
    })
}

fn pulled(g: &Graph, zeros: usize) -> (Option<Graph>, Ledger) {
    run(&Pull { zeros }, g, &mut PassCx::reference(Level::Default))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn values_and_gradients_are_those_of_sums_of_windows(
        sizes in (prop_oneof![4 => 1usize..3, 1 => Just(16usize)], 1usize..3, 1usize..4, 1usize..4),
        along in prop::collection::vec((1usize..7, 1usize..4, 1usize..3, 0usize..3, 1usize..3), 1..=3),
        transposed: bool,
        key in 0u64..1 << 40,
    ) {
        let (batch, groups, inputs, outputs) = sizes;
        let sizes = [batch, groups, inputs, outputs];
        let Some(g) = convolution(sizes, &along, transposed) else { return Ok(()) };
        let (new, ledger) = pulled(&g, usize::MAX);
        if let Some(new) = new {
            same(&g, &new, key).map_err(TestCaseError::fail)?;
        } else {
            prop_assert!(left(&g) == 0 || !ledger.passes[0].skipped.is_empty(), "no reason is given: {ledger}");
        }
        // Through the whole pipeline, whose views are simplified before.
        let (new, ..) = Pipeline::default().optimize(&g, &mut PassCx::reference(Level::Default)).unwrap();
        same(&g, &new, key).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn it_fires_on_usual_convolutions_and_leaves_no_sum_of_windows() {
    let side = |size, padding| (8, size, 1, padding, 1);
    for (along, transposed) in [
        (vec![side(3, 1), side(3, 1)], false),
        (vec![side(5, 0), side(5, 0)], false),
        (vec![(9, 3, 1, 2, 2)], false),
        (vec![side(3, 1), side(2, 0), side(3, 1)], false),
        (vec![side(3, 1), side(3, 1)], true),
    ] {
        for groups in [1, 2] {
            let g = convolution([2, groups, 3, 4], &along, transposed).unwrap();
            assert_eq!(left(&g), 1, "{along:?}");
            let (new, ..) =
                Pipeline::default().optimize(&g, &mut PassCx::reference(Level::Default)).unwrap();
            assert_eq!(left(&new), 0, "{along:?} {transposed} {groups}\n{new}");
        }
    }
}

/// The reason that the ledger gives, where nothing is done.
fn reason(g: &Graph, zeros: usize) -> String {
    let (new, ledger) = pulled(g, zeros);
    assert!(new.is_none(), "it fired");
    ledger.passes[0].skipped[0].reason.clone()
}

#[test]
fn it_must_not_fire_on_windows_apart_much_work_at_borders_or_what_is_no_product() {
    let apart = convolution([2, 1, 3, 4], &[(9, 3, 2, 1, 1)], false).unwrap();
    assert_eq!(reason(&apart, usize::MAX), "windows are not next to each other");
    // 4 windows of 5, of 8 places: as many sums again, of 64 channels each.
    let wide = convolution([2, 1, 3, 64], &[(8, 5, 1, 0, 1)], false).unwrap();
    assert_eq!(reason(&wide, 63), "sums at the border have too many zeros");
    assert!(pulled(&wide, 64).0.is_some());
    let g = Graph::new();
    let x = g.input("x", F64, [4, 3]);
    let y = x.exp().windows_add(&[pleach_ops::Window::new(0, 3)], &[6]);
    g.output("y", y.id());
    assert_eq!(reason(&g, usize::MAX), "it is no product with its axes in another order");
    // At level `exact` no sum changes its order.
    let g = convolution([1, 1, 2, 2], &[(6, 3, 1, 1, 1)], false).unwrap();
    let (new, _) = run(&Pull::default(), &g, &mut PassCx::reference(Level::Exact));
    assert!(new.is_none());
}

#[test]
fn sums_that_are_read_whole_and_in_part_stay_right() {
    let g = Graph::new();
    let (a, b) = (g.input("a", F64, [3, 4]), g.input("b", F64, [4, 5]));
    let sums = a.matmul(b).t().windows_add(&[pleach_ops::Window::new(0, 3)], &[7]);
    let every_second = sums.slice_step(0, 0..7, 2);
    g.output("sums", sums.id());
    g.output("y", every_second.id());
    let (new, _) = pulled(&g, usize::MAX);
    let new = new.unwrap();
    assert_eq!(left(&new), 0);
    let feeds: Vec<Tensor> =
        g.inputs().iter().zip(0..).map(|(i, n)| draw(i.ty(), Key(n))).collect();
    for (want, got) in g.roots().iter().zip(new.roots()) {
        let want = &interpreted(&g, &[want.value], &feeds).unwrap()[0];
        let got = &interpreted(&new, &[got.value], &feeds).unwrap()[0];
        agree(Class::Rounding, got, want, 100.0).unwrap();
    }
}

#[test]
fn axes_of_windows_may_be_columns_in_any_order() {
    let g = Graph::new();
    let (a, b) = (g.input("a", F64, [4, 3]), g.input("b", F64, [3, 20]));
    // Rows are elements (j, i), columns are places (q, p); windows run along p, then along q.
    let terms = a.matmul(b).reshape([2, 2, 4, 5]).permute(&[3, 2, 1, 0]);
    let windows = [pleach_ops::Window::new(0, 2), pleach_ops::Window::new(1, 2)];
    g.output("y", terms.windows_add(&windows, &[6, 5]).id());
    let (new, _) = pulled(&g, usize::MAX);
    let new = new.unwrap();
    assert!(left(&new) == 0 && new.check().is_ok(), "{new}");
    let feeds: Vec<Tensor> =
        g.inputs().iter().zip(0..).map(|(i, n)| draw(i.ty(), Key(n))).collect();
    let [want, got] = [&g, &new].map(|g| interpreted(g, &[g.roots()[0].value], &feeds).unwrap());
    agree(Class::Rounding, &got[0], &want[0], 100.0).unwrap();
}
