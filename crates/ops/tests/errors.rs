//! What users see when they are wrong: at recording, at evaluation, and in strict graphs.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use expect_test::{Expect, expect};
use pleach_ops::prelude::*;
use pleach_ops::{Sources, interpret::interpret};

/// The report of everything that `record` does wrong, without line numbers.
fn check(record: impl FnOnce(&Graph), expect: Expect) {
    let g = Graph::train();
    record(&g);
    let report = g.check().map_or_else(|errors| errors.to_string(), |()| "no errors".into());
    let lines = report.lines().map(|line| match line.split_once(" (built at ") {
        Some((what, place)) => {
            assert!(place.starts_with(file!()), "{line}");
            what.to_string()
        }
        None => panic!("no place: {line}"),
    });
    expect.assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn sizes_of_a_matrix_product() {
    check(
        |g| {
            let (x, w) = (g.input("x", F32, [32, 784]), g.input("w", F32, [128, 10]));
            x.matmul(w).relu().softmax(1);
            x.matmul(g.full(F32, [], 1.0));
            g.input("b", F32, [2, 3, 4]).matmul(g.input("c", F32, [5, 4, 2]));
        },
        expect![[r#"
            matmul(f32[32, 784], f32[128, 10]): inner sizes differ, 784 and 128
            matmul(f32[32, 784], f32[]): expected operand 1 to have at least 1 axes, got []
            matmul(f32[2, 3, 4], f32[5, 4, 2]): shapes [2] and [5] do not broadcast"#]],
    );
}

#[test]
fn shapes_that_do_not_broadcast() {
    check(
        |g| {
            let (x, y) = (g.input("x", F32, [2, 3]), g.input("y", F32, [2]));
            let sum = x + y;
            let _ = (sum * 2.0).exp() - x;
            x.less(y).select(1.0, x);
            x.broadcast_to([4]);
        },
        expect![[r#"
            add(f32[2, 3], f32[2]): shapes [2, 3] and [2] do not broadcast
            less(f32[2, 3], f32[2]): shapes [2, 3] and [2] do not broadcast
            broadcast(shape:[4])(f32[2, 3]): shapes [2, 3] and [4] do not broadcast"#]],
    );
}

#[test]
fn element_types_that_do_not_mix() {
    check(
        |g| {
            let (x, i) = (g.input("x", F32, [2]), g.input("i", I64, [2]));
            let b = g.input("b", BOOL, [2]);
            let _ = x * i;
            let _ = i * 0.5;
            let _ = g.input("small", U8, [2]) - (-1);
            let _ = g.input("int", I32, [2]) + 3_000_000_000_i64;
            let _ = b + b;
            i.exp();
            x.not();
            x.gather(0, x);
        },
        expect![[r#"
            mul(f32[2], i64[2]): element types differ, f32 and i64; convert one with cast
            constant(i64[2]): 0.5 is not a value of type i64
            constant(u8[2]): -1 is not a value of type u8
            constant(i32[2]): 3000000000 is not a value of type i32
            add(bool[2], bool[2]): expected operand 0 to be a number, got bool
            exp(i64[2]): expected operand 0 to be a float, got i64
            not(f32[2]): expected operand 0 to be bool, got f32
            gather(axis:0)(f32[2], f32[2]): expected operand 1 to be i32 or i64, got f32"#]],
    );
}

#[test]
fn axes_that_are_not_there() {
    check(
        |g| {
            let x = g.input("x", F32, [2, 3]);
            x.sum(2);
            x.sum([0, -2]);
            x.softmax(-3);
            x.argmax(5);
            x.permute(&[0, 2]);
            x.transpose(0, 7);
            x.squeeze(0);
            x.unsqueeze(4);
        },
        expect![[r#"
            sum(f32[2, 3]): axis 2 is out of range for 2 axes
            sum(f32[2, 3]): an axis is named twice in [0, 0]
            softmax(f32[2, 3]): axis -3 is out of range for 2 axes
            argmax(f32[2, 3]): axis 5 is out of range for 2 axes
            permute(f32[2, 3]): axis 2 is out of range for 2 axes
            transpose(f32[2, 3]): axis 7 is out of range for 2 axes
            squeeze(f32[2, 3]): length of the axis and 1 differ, 2 and 1
            unsqueeze(f32[2, 3]): axis 4 is out of range for 3 axes"#]],
    );
}

#[test]
fn shapes_that_do_not_fit() {
    check(
        |g| {
            let x = g.input("x", F32, [2, 3]);
            x.reshape([4]);
            x.reshape([1_usize << 40, 1 << 40]);
            x.slice(1, 2..4);
            x.slice_step(1, 0..3, 0);
            x.pad(&[(1, 1)]);
            x.split(1, &[1, 1]);
            x.split(1, &[usize::MAX, 5]);
            g.full(F32, [1 << 60], 0.0);
            g.input("huge", F32, [1 << 40, 1 << 40]);
            g.input("x", F32, [2]);
        },
        expect![[r#"
            reshape(shape:[4])(f32[2, 3]): numbers of elements differ, 6 and 4
            reshape(shape:[1099511627776,1099511627776])(f32[2, 3]): f32[1099511627776, 1099511627776] has more bytes than a machine can address
            slice(ranges:[(start:0,stop:2,step:1),(start:2,stop:4,step:1)])(f32[2, 3]): ranges [0..2, 2..4] do not lie in shape [2, 3]
            slice(ranges:[(start:0,stop:2,step:1),(start:0,stop:3,step:0)])(f32[2, 3]): ranges [0..2, 0..3 by 0] do not lie in shape [2, 3]
            pad(widths:[(1,1)])(f32[2, 3]): 1 pairs of widths for 2 axes
            split(f32[2, 3]): sum of lengths and axis differ, 2 and 3
            split(f32[2, 3]): sum of lengths and axis differ, 18446744073709551615 and 3
            full(): f32[1152921504606846976] has more bytes than a machine can address
            input "huge"(): f32[1099511627776, 1099511627776] has more bytes than a machine can address
            input "x"(): an input of this name exists"#]],
    );
}

#[test]
fn values_of_another_graph() {
    let other = Graph::new();
    let stranger = other.input("s", F32, [3]);
    // A graph whose nodes have the same numbers, so that nothing can be told by ids.
    let g = Graph::new();
    let x = g.input("x", F32, [2, 3]);
    let mixes = [
        x + stranger,
        x.matmul(stranger),
        x.cross_entropy(stranger),
        x.concat(&[stranger], 0),
        x.less(0.0).select(stranger, x),
        g.grad(x.sum_all(), &[stranger])[0],
        g.grad(stranger.sum_all(), &[x])[0],
        g.jvp_of(x, &[(x, stranger)]),
    ];
    for mixed in mixes {
        let error = mixed.graph().errors().last().cloned();
        assert!(
            error.is_some_and(|e| e.reason.to_string() == "an operand belongs to another graph"),
            "{mixed:?}"
        );
        assert!(mixed.ok().is_err());
    }
    assert_eq!(g.errors().len(), 8);
    assert!(other.check().is_ok());
}

#[test]
fn arguments_of_composites() {
    check(
        |g| {
            let x = g.input("x", F32, [2, 3]);
            x.dropout(1.5);
            x.dropout(f64::NAN);
            x.cross_entropy(g.input("y", I64, [3]));
            x.mse(g.input("t", F32, [3]));
            x.concat(&[g.input("c", F32, [2, 4])], 0);
            x.concat(&[], 2);
            x.stack(&[g.input("d", F64, [2, 3])], 0);
            x.stack(&[x, x], 9);
        },
        expect![[r#"
            dropout(f32[2, 3]): the probability of dropout must be in [0, 1], got 1.5
            dropout(f32[2, 3]): the probability of dropout must be in [0, 1], got NaN
            cross_entropy(f32[2, 3], i64[3]): shapes [3] and [2] differ
            mse(f32[2, 3], f32[3]): shapes [2, 3] and [3] differ
            concat(axis:0)(f32[2, 3], f32[2, 4]): shapes [2, 3] and [2, 4] differ
            concat(f32[2, 3]): axis 2 is out of range for 2 axes
            concat(axis:0)(f32[1, 2, 3], f64[1, 2, 3]): element types differ, f32 and f64; convert one with cast
            stack(f32[2, 3], f32[2, 3], f32[2, 3]): axis 9 is out of range for 3 axes"#]],
    );
}

#[test]
fn one_mistake_is_one_error_however_far_it_spreads() {
    check(
        |g| {
            let x = g.input("x", F32, [2, 3]);
            let bad = x.reshape([5]);
            // Every method of a poisoned value, alone and with a good one.
            let _ = (bad + x, x + bad, 2.0 * bad, -bad, bad / 3, bad.less(x), bad.exp());
            let _ = (bad.sum(7), bad.max([3, 3]), bad.mean(), bad.var(0, 1.0), bad.argmax(9));
            let _ = (bad.softmax(5), bad.logsumexp(5), bad.log_softmax(5), bad.gelu(), bad.relu());
            let _ = (bad.matmul(x), x.matmul(bad), bad.cross_entropy(x), x.mse(bad), bad.t());
            let _ = (bad.permute(&[4]), bad.flatten(3), bad.broadcast_to([1]), bad.sum_to([9]));
            let _ = (bad.select(x, x), x.less(0.0).select(bad, 1.0), bad.select(1.0, 2.0));
            let _ = (bad.gather(3, x), x.gather(0, bad), bad.take(0, x), bad.scatter_sum(1, x, 2));
            let _ =
                (bad.concat(&[x], 4), x.concat(&[bad], 0), bad.stack(&[x], 9), bad.one_hot(3, F32));
            let _ =
                (bad.slice(4, 0..1), bad.pad(&[]), bad.squeeze(1), bad.unsqueeze(8), bad.powi(0));
            let _ = (bad.split(0, &[3]), bad.dropout(0.5), bad.cast(I64), bad.clamp(0.0, 1.0));
            let _ =
                (bad.uniform(F32, [2]), bad.normal(F32, [2]), bad.fold_in(3), bad.stop_gradient());
            let _ =
                (g.grad(bad, &[x]), g.grad(x, &[bad]), g.jvp_of(bad, &[(x, x)]), g.hvp(x, x, bad));
            g.output("bad", bad.id());
            // The graph has an error: what follows is still checked, and gradients are quiet.
            let dx = g.grad((x * x).sum_all(), &[x])[0];
            assert_eq!(dx.ty(), x.ty());
            let _ = dx + g.input("z", F32, [7]);
        },
        expect![[r#"
            reshape(shape:[5])(f32[2, 3]): numbers of elements differ, 6 and 5
            add(f32[2, 3], f32[7]): shapes [2, 3] and [7] do not broadcast"#]],
    );
}

#[test]
fn the_place_is_the_users_line_and_layer() {
    let g = Graph::new();
    let x = g.input("x", F32, [2, 3]);
    let layer = |x: Var<'_>| {
        let _at = x.graph().at_layer("encoder.0");
        x.log_softmax(4);
    };
    layer(x);
    let _ = x + g.input("y", F32, [2]);
    let line = line!() - 1;
    let errors = g.errors();
    assert!(errors[0].to_string().starts_with("encoder.0: log_softmax(f32[2, 3]): axis 4"));
    assert_eq!(errors[1].site.as_ref().unwrap().line(), line);
}

thread_local! {
    static PLACE: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
}

/// Message and place of the panic of `f`.
fn panics<R>(f: impl Fn() -> R) -> (String, (String, u32)) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { panic!("no panic") };
    let message = payload.downcast::<String>().map_or_else(|_| String::new(), |s| *s);
    (message, PLACE.with(RefCell::take).expect("the hook ran"))
}

#[test]
fn a_strict_graph_panics_at_the_users_line() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| (at.file().to_string(), at.line()));
        PLACE.with(|p| *p.borrow_mut() = place);
    }));
    let g = Graph::train().strict();
    let (x, y) = (g.input("x", F32, [2, 3]), g.input("y", F32, [2]));
    let first = line!() + 2;
    let caught = [
        panics(|| x + y),
        panics(|| x.softmax(3)),
        panics(|| x.matmul(y)),
        panics(|| x.dropout(2.0)),
        panics(|| g.full(F32, [1 << 60], 0.0)),
        panics(|| x.sum(4)),
        panics(|| x.equal(y)),
        panics(|| x.split(0, &[9])),
    ];
    std::panic::set_hook(before);
    for (i, (message, place)) in caught.iter().enumerate() {
        assert_eq!(place, &(file!().to_string(), first + i as u32), "{message}");
    }
    assert!(caught[0].0.starts_with("add(f32[2, 3], f32[2]): shapes [2, 3] and [2] do not"));
}

#[test]
fn a_value_of_a_finished_body_is_no_value_outside() {
    let g = Graph::new();
    let x = g.input("x", F32, [2]);
    let mut leaked = None;
    g.frame(&[Type::new(F32, [2]).unwrap()], |ids| {
        let inside = Var::new(&g, ids[0]).exp();
        leaked = Some(inside.id());
        vec![(inside + x).id()]
    })
    .unwrap();
    let leaked = Var::new(&g, leaked.unwrap());
    assert_eq!(
        leaked.eval(&[]).unwrap_err().to_string(),
        format!("{} is not a value of the graph", leaked.id())
    );
    for wrong in [
        leaked + x,
        x + leaked,
        leaked * 2.0,
        leaked.exp(),
        x.less(0.0).select(leaked, x),
        leaked.matmul(x),
        leaked.softmax(0),
    ] {
        let error = wrong.ok().unwrap_err().reason.to_string();
        assert!(error.ends_with("belongs to a loop body that is finished"), "{error}");
    }
}

#[test]
fn the_interpreter_says_what_is_missing_or_wrong() {
    let p = Params::seeded(1);
    let w = p.param("layer.w", [2], Init::ones());
    let g = Graph::new();
    let (x, i) = (g.input("x", F32, [2]), g.input("i", I64, [1]));
    let y = (x * g.param(&w)).gather(0, i);
    let (xt, it) =
        (Tensor::new([2], vec![1.0f32, 2.0]).unwrap(), Tensor::new([1], vec![1i64]).unwrap());
    assert_eq!(y.eval(&[&xt, &it]).unwrap().to_f64s(), [2.0]);
    let error = |feeds: &[&Tensor]| y.eval(feeds).unwrap_err().to_string();
    assert_eq!(error(&[&xt]), "no value was given for i");
    assert_eq!(error(&[]), "no value was given for x");
    assert_eq!(error(&[&it, &it]), "x has type f32[2], the value given i64[1]");
    let far = Tensor::new([1], vec![2i64]).unwrap();
    assert_eq!(error(&[&xt, &far]), "index 2 is out of range for an axis of length 2");
    let none = Sources { input: &|_| Some(xt.clone()), variable: &|_| None };
    let error = x.graph().param(&w).eval_with(none).unwrap_err().to_string();
    assert_eq!(error, "no value was given for layer.w");
    let wrong = Sources { input: &|_| None, variable: &|_| Some(it.clone()) };
    let error = interpret(&g, &[g.param(&w).id()], wrong).unwrap_err().to_string();
    assert_eq!(error, "layer.w has type f32[2], the value given i64[1]");
    // Only what is wanted is evaluated.
    assert!(x.eval(&[&xt]).is_ok());
    assert!(interpret(&g, &[], none).unwrap().is_empty());
    let bad = x.reshape([3]);
    let error = bad.eval(&[&xt, &it]).unwrap_err().to_string();
    assert!(error.starts_with("reshape(shape:[3])(f32[2]): numbers of elements differ"), "{error}");
    assert!(x.eval(&[&xt]).is_err(), "a graph with an error is not evaluated at all");
}

#[test]
fn integers_beyond_doubles_are_exact() {
    let g = Graph::new();
    let big = (1i64 << 53) + 1;
    let i = g.input("i", I64, [2]);
    let (at, zero) = ([0i64, 1], [0i64, 0]);
    let [at, zero] = [at, zero].map(|x| Tensor::new([2], x.to_vec()).unwrap());
    assert_eq!((i + big).eval(&[&at]).unwrap().to_i64s(), [big, big + 1]);
    assert_eq!((i + i64::MAX).eval(&[&zero]).unwrap().to_i64s(), [i64::MAX; 2]);
    assert_eq!((i + i64::MIN).eval(&[&zero]).unwrap().to_i64s(), [i64::MIN; 2]);
}
