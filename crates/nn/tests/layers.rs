//! What errors of layers say, and what sharing a layer means.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use expect_test::{Expect, expect};
use pleach_nn::{Dropout, Embedding, Linear, Sequential};
use pleach_ops::prelude::*;

/// The only error of the graph: this message, at the line of the caller.
#[track_caller]
fn check(g: &Graph, line: u32, want: Expect) {
    let errors = g.check().unwrap_err().to_string();
    let (message, place) = errors.split_once(" (built at ").unwrap();
    want.assert_eq(message);
    assert!(place.starts_with(&format!("{}:{line}:", file!())), "{place} is not line {line}");
}

#[test]
fn errors_name_the_layer_and_the_users_line() {
    let p = Params::seeded(3);
    let g = Graph::eval();
    let _ = Linear::new(&p.scope("encoder").scope("out"), 8, 2).call(g.input("x", F32, [5, 3]));
    let line = line!() - 1;
    let want = expect!["encoder.out: matmul(f32[5, 3], f32[8, 2]): inner sizes differ, 3 and 8"];
    check(&g, line, want);

    let g = Graph::eval();
    let x = g.input("x", F64, [5, 3]);
    let _ = Linear::new(&p.scope("first"), 3, 2).call(x);
    let line = line!() - 1;
    let want = expect![
        "first: matmul(f64[5, 3], f32[3, 2]): element types differ, f64 and f32; convert one with cast"
    ];
    check(&g, line, want);

    let g = Graph::eval();
    let words = Embedding::new(&p.scope("words"), 10, 4);
    let _ = words.call(g.input("i", F32, [2]));
    let line = line!() - 1;
    let want = expect![
        "words: take(axis:0)(f32[10, 4], f32[2]): expected operand 1 to be i32 or i64, got f32"
    ];
    check(&g, line, want);

    let g = Graph::train();
    let _ = Dropout::new(1.5).call(g.input("x", F32, [2]));
    let line = line!() - 1;
    let want = expect!["dropout(f32[2]): the probability of dropout must be in [0, 1], got 1.5"];
    check(&g, line, want);
}

#[test]
fn errors_in_a_row_name_the_layer_inside() {
    let p = Params::seeded(3);
    let net = Sequential::new()
        .then(Linear::new(&p.scope("hidden"), 3, 8))
        .map(|x| x.relu())
        .then(Linear::new(&p.scope("out"), 9, 2));
    let g = Graph::eval();
    let _ = net.call(g.input("x", F32, [5, 3]));
    let line = line!() - 1;
    let want = expect!["out: matmul(f32[5, 8], f32[9, 2]): inner sizes differ, 8 and 9"];
    check(&g, line, want);
}

/// What is recorded comes from the layer's path and the user's line.
#[test]
fn nodes_come_from_the_layer() {
    let p = Params::seeded(3);
    let g = Graph::eval();
    let y = Linear::new(&p.scope("a").scope("b"), 3, 2).call(g.input("x", F32, [5, 3]));
    let site = g.origin(y.id()).first().cloned().unwrap();
    assert_eq!((site.scope(), site.line()), (Some("a.b"), line!() - 2));
}

fn close(got: &Tensor, want: &[f64]) {
    for (got, want) in got.to_f64s().iter().zip(want) {
        assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "{got} is not {want}");
    }
}

#[test]
fn calling_twice_shares_the_parameters_and_adds_their_gradients() {
    let p = Params::seeded(3).dtype(F64);
    let layer = Linear::new(&p.scope("shared"), 2, 2);
    let g = Graph::train();
    let x = g.input("x", F64, [4, 2]);
    let y = layer.call(layer.call(x)).sum_all();
    assert_eq!(g.variables().len(), 2);
    // The gradient by one shared weight is the sum of those by two weights of equal value.
    let twin = Graph::train();
    let (tx, w1) = (twin.input("x", F64, [4, 2]), twin.input("w1", F64, [2, 2]));
    let (w2, b) = (twin.input("w2", F64, [2, 2]), twin.param(layer.b.as_ref().unwrap()));
    let both = twin.grad(((tx.matmul(w1) + b).matmul(w2) + b).sum_all(), &[w1, w2]);
    let at = Tensor::uniform(&Type::new(F64, [4, 2]).unwrap(), Key(1), -1.0, 1.0);
    let value = layer.w.initial();
    let shared = g.grad(y, &[g.param(&layer.w)])[0].eval(&[&at]).unwrap();
    let sum = (both[0] + both[1]).eval(&[&at, &value, &value]).unwrap().to_f64s();
    close(&shared, &sum);
}

/// Tied weights: the table that reads words is the transpose of what scores them.
#[test]
fn a_parameter_shared_by_two_layers_is_one_node_with_one_gradient() {
    let p = Params::seeded(3).dtype(F64);
    let words = Embedding::new(&p.scope("words"), 5, 3);
    let g = Graph::train();
    let index = g.input("i", I64, [2]);
    let table = g.param(&words.w);
    let logits = words.call(index).matmul(table.t());
    assert_eq!(g.variables().len(), 1);
    let loss = logits.cross_entropy(index);
    let at = Tensor::new([2], vec![1i64, 4]).unwrap();
    let tied = g.grad(loss, &[table])[0].eval(&[&at]).unwrap();

    let twin = Graph::train();
    let index = twin.input("i", I64, [2]);
    let (read, score) = (twin.input("read", F64, [5, 3]), twin.input("score", F64, [5, 3]));
    let loss = read.take(0, index).matmul(score.t()).cross_entropy(index);
    let grads = twin.grad(loss, &[read, score]);
    let value = words.w.initial();
    let sum = (grads[0] + grads[1]).eval(&[&at, &value, &value]).unwrap().to_f64s();
    close(&tied, &sum);
}

#[test]
fn a_bound_parameter_is_used_through_its_binding() {
    let p = Params::seeded(3).dtype(F64);
    let layer = Linear::without_bias(&p, 2, 2);
    let g = Graph::eval();
    g.bind(&layer.w, |w| w * 0.0);
    let y = layer.call(g.full(F64, [2], 1.0));
    assert_eq!(y.eval(&[]).unwrap().to_f64s(), [0.0, 0.0]);
}
