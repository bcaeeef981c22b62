//! What is computed again: where, where not, and with which values.

use expect_test::expect;
use pleach_ops::prelude::*;
use pleach_ops::{Checkpoint, Op};
use pleach_passes::testing::{agree, check, check_unchanged, graph, interpreted, recipes, run};
use pleach_passes::{Class, Level, Pass, PassCx, Remat};
use pleach_tensor::Key;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

const X: &str = "%x = input(name:\"x\",position:0,ty:\"f32[3]\")\n";

/// A value that is kept for what comes after the first output, and, if `mark`, a mark after it.
fn text(mark: bool) -> String {
    let mark = if mark { "checkpoint(epoch:0)" } else { "neg" };
    format!(
        "{X}%1 = tanh %x\n%2 = exp %1\n%3 = {mark} %2\n%4 = sum(axes:[0]) %3\n%5 = sin %1\n\
         %6 = mul %5 %3\nreturn %4\nreturn %6"
    )
}

#[test]
fn remat_computes_again_what_lies_before_a_mark() {
    check(
        Remat,
        &text(true),
        expect![[r#"
            %0 = input(name:"x",position:0,ty:"f32[3]") : f32[3]
            %1 = tanh %0 : f32[3]
            %2 = exp %1 : f32[3]
            %3 = sum(axes:[0]) %2 : f32[]
            %4 = checkpoint(epoch:1) %0 : f32[3]
            %5 = tanh %4 : f32[3]
            %6 = sin %5 : f32[3]
            %7 = mul %2 %6 : f32[3]
            return %3
            return %7
        "#]],
    );
}

#[test]
fn remat_leaves_a_graph_without_marks_and_limit() {
    check_unchanged(Remat, &text(false));
    // A limit that is met already.
    let mut cx = PassCx::reference(Level::Default);
    cx.max_peak_bytes = Some(1 << 20);
    assert!(run(&Remat, &graph(&text(false)), &mut cx).0.is_none());
}

#[test]
fn remat_keeps_outputs_and_what_comes_from_outside() {
    let of_outputs = format!(
        "{X}%1 = tanh %x\n%2 = sum(axes:[0]) %1\n%3 = mul %1 %x\nreturn %2\nreturn %3\nreturn %1"
    );
    let of_inputs = format!("{X}%2 = sum(axes:[0]) %x\n%3 = sin %x\nreturn %2\nreturn %3");
    for text in [of_outputs, of_inputs] {
        let mut cx = PassCx::reference(Level::Default);
        cx.max_peak_bytes = Some(0);
        assert!(run(&Remat, &graph(&text), &mut cx).0.is_none(), "{text}");
    }
}

#[test]
fn remat_keeps_what_a_loop_stacks_and_computes_again_what_is_made_of_it() {
    let g = Graph::new();
    let (x, c) = (g.input("x", F32, [5, 4]), g.input("c", F32, [4]));
    let (_, cs) = g.scan(c, x, |c, x| ((c * x).tanh(), c));
    let y = cs.exp();
    g.output("loss", y.tanh().checkpoint().sum_all().id());
    g.output("grad", (cs.sin() * y.cos()).id());
    let count = |g: &Graph, name: &str| g.ids().filter(|&id| g.op(id).name() == name).count();
    let (new, _) = run(&Remat, &g, &mut PassCx::reference(Level::Default));
    let new = new.unwrap();
    assert_eq!([count(&new, "scan"), count(&new, "exp")], [count(&g, "scan"), 2], "{new}");
}

#[test]
fn where_nothing_comes_after_the_output_marks_only_go() {
    let text = format!("{X}%1 = tanh %x\n%2 = checkpoint(epoch:0) %1\n%3 = exp %2\nreturn %3");
    let (new, _) = run(&Remat, &graph(&text), &mut PassCx::reference(Level::Exact));
    assert_eq!(new.map(|new| new.len()), Some(3));
}

/// How many values are computed again.
fn again(g: &Graph) -> usize {
    let checkpoint = Op::from(Checkpoint { epoch: 1 });
    g.ids().filter(|&id| g.op(id) == checkpoint).count()
}

/// A chain of products and gates, and its gradients: these read both factors of a gate, but not the product
/// that both are made of.
fn gates() -> Graph {
    let g = Graph::new();
    let mut y = g.input("x", F32, [16, 16]);
    let weights: Vec<_> = (0..6).map(|i| g.input(&format!("w{i}"), F32, [16, 16])).collect();
    for w in &weights {
        let product = y.matmul(*w);
        y = product.tanh() * product.sigmoid();
    }
    let loss = y.square().sum_all();
    g.output("loss", loss.id());
    for (i, grad) in g.grad(loss, &weights).iter().enumerate() {
        g.output(&format!("dw{i}"), grad.id());
    }
    g
}

#[test]
fn loops_are_computed_again_before_products_are() {
    let g = gates();
    let mut cx = PassCx::reference(Level::Exact);
    let plain = cx.peak_of(&g);
    // The lowest peak that can be reached.
    cx.max_peak_bytes = Some(0);
    let new = run(&Remat, &g, &mut cx).0.expect("it fires");
    let products = |g: &Graph| g.ids().filter(|&id| matches!(g.op(id), Op::MatMul(_))).count();
    assert_eq!(products(&new), products(&g), "{new}");
    assert!(cx.peak_of(&new) < plain * 7 / 8 && again(&new) > 0);
}

/// The outputs of both graphs are equal, bit by bit.
fn same_bits(g: &Graph, new: &Graph, feeds: &[pleach_tensor::Tensor]) -> Result<(), TestCaseError> {
    let fail = |why: String| TestCaseError::fail(format!("{why}\n{new}"));
    let outputs = |g: &Graph| {
        let ids: Vec<_> = g.roots().iter().map(|root| root.value).collect();
        interpreted(g, &ids, feeds).map_err(|e| fail(e.to_string()))
    };
    for (want, got) in outputs(g)?.iter().zip(outputs(new)?) {
        agree(Class::BitExact, &got, want, 1.0).map_err(|m| fail(m.to_string()))?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: 256, rng_seed: RngSeed::Fixed(21), ..Config::default() })]

    #[test]
    fn no_bit_of_values_and_gradients_changes_under_any_limit(
        recipe in recipes(false),
        key in any::<u64>(),
        part in 0.0f64..1.0,
    ) {
        let sample = recipe.build(true);
        let g = &sample.graph;
        let mut cx = PassCx::reference(Level::Exact);
        let peak = cx.peak_of(g);
        cx.max_peak_bytes = Some((peak as f64 * part) as u64);
        if let (Some(new), ledger) = run(&Remat, g, &mut cx) {
            prop_assert!(again(&new) > 0 && ledger.applications("computed_again") > 0);
            prop_assert!(cx.peak_of(&new) <= peak);
            prop_assert!(run(&Remat, &new, &mut cx).0.is_none(), "it does not rest");
            for odd in [false, true] {
                same_bits(g, &new, &sample.feeds(Key(key), odd))?;
            }
        }
    }
}

#[test]
fn its_class_is_exact() {
    assert!(
        Level::Exact.admits(Remat.class().values) && Level::Exact.admits(Remat.class().gradients)
    );
}
