//! Recurrent layers against loops written out, in every layout.
#![allow(clippy::unwrap_used, reason = "a test")]

use pleach_nn::{Gru, Layout, Lstm, ReluRnn, Rnn};
use pleach_ops::prelude::*;

fn ones(shape: &[usize], key: u64) -> Tensor {
    Tensor::normal(&Type::new(F64, shape).unwrap(), Key(key), 0.0, 1.0)
}

fn close(a: Var<'_>, b: Var<'_>, feeds: &[&Tensor]) {
    assert_eq!(a.shape(), b.shape());
    let d = (a - b).abs().eval(feeds).unwrap();
    assert!(d.to_f64s().into_iter().all(|d| d < 1e-12), "{d:?}");
}

#[test]
fn an_lstm_is_its_equations() {
    let p = Params::seeded(1).dtype(F64);
    let lstm = Lstm::new(&p.scope("lstm"), 3, 4);
    let g = Graph::train();
    let x = g.input("x", F64, [5, 2, 3]);
    let (ys, last) = lstm.call(x);
    let w = &lstm.layers[0][0];
    let [bi, bh] = w.biases.clone().unwrap();
    let (mut h, mut c) = (g.full(F64, [2, 4], 0.0), g.full(F64, [2, 4], 0.0));
    for t in 0..5 {
        let z = x.slice(0, t..t + 1).squeeze(0).matmul(g.param(&w.w_ih)) + g.param(&bi);
        let z = z + h.matmul(g.param(&w.w_hh)) + g.param(&bh);
        let gate = |i: usize| z.slice(1, 4 * i..4 * i + 4);
        c = gate(1).sigmoid() * c + gate(0).sigmoid() * gate(2).tanh();
        h = gate(3).sigmoid() * c.tanh();
    }
    let at = ones(&[5, 2, 3], 3);
    close(last[0].squeeze(0), h, &[&at]);
    close(last[1].squeeze(0), c, &[&at]);
    close(ys.slice(0, 4..5).squeeze(0), h, &[&at]);
    let numbers: usize = g.variables().iter().map(|v| v.ty().numel()).sum();
    assert_eq!(numbers, 4 * 4 * (3 + 4 + 2));
}

#[test]
fn windows_with_carried_states_are_one_sequence() {
    let p = Params::seeded(2).dtype(F64);
    let layout = Layout { layers: 2, ..Layout::default() };
    let gru = Gru::with(&p, 3, 4, layout);
    let g = Graph::eval();
    let x = g.input("x", F64, [6, 2, 3]);
    let (whole, end) = gru.call(x);
    let (first, states) = gru.call(x.slice(0, 0..2));
    let (second, states) = gru.call_from(x.slice(0, 2..6), &states);
    let at = ones(&[6, 2, 3], 4);
    close(whole, first.concat(&[second], 0), &[&at]);
    close(end[0], states[0], &[&at]);
    assert_eq!(end[0].shape(), [2, 2, 4].into());

    let buffers = gru.buffers(&p, 2);
    let y = gru.call_stateful(x, &buffers);
    close(y, whole, &[&at]);
    assert_eq!(g.roots().iter().filter(|r| r.target.is_some()).count(), 1);
}

#[test]
fn both_directions_and_lengths() {
    let p = Params::seeded(3).dtype(F64);
    let layout = Layout { layers: 2, bidirectional: true, bias: false, ..Layout::default() };
    let rnn = Rnn::with(&p, 3, 4, layout);
    let g = Graph::eval();
    let x = g.input("x", F64, [5, 2, 3]);
    let (ys, last) = rnn.call_masked(x, g.constant(Tensor::new([2], vec![3i64, 5]).unwrap()));
    assert_eq!(ys.shape(), [5, 2, 8].into());
    let at = ones(&[5, 2, 3], 5);
    // Each sequence alone, without padding.
    for (b, n) in [(0, 3), (1, 5)] {
        let (alone, end) = rnn.call(x.slice(0, 0..n).slice(1, b..b + 1));
        close(ys.slice(0, 0..n).slice(1, b..b + 1), alone, &[&at]);
        close(last[0].slice(1, b..b + 1), end[0], &[&at]);
    }
    let padding = ys.slice(0, 3..5).slice(1, 0..1).eval(&[&at]).unwrap();
    assert_eq!(padding.splat(), Some(0.0));
    // What lies beyond a sequence has no influence.
    let d = g.grad(ys, &[x])[0].slice(0, 3..5).slice(1, 0..1).eval(&[&at]).unwrap();
    assert_eq!(d.splat(), Some(0.0));
}

#[test]
fn layers_begin_as_pytorchs_and_wrong_inputs_are_named() {
    let p = Params::seeded(4);
    let rnn = ReluRnn::new(&p.scope("rnn"), 3, 16);
    for w in [&rnn.layers[0][0].w_ih, &rnn.layers[0][0].w_hh] {
        let values = w.initial().to_f64s();
        let largest = values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        assert!(largest <= 0.25 && largest > 0.2, "{largest}");
    }
    let g = Graph::train();
    let (y, _) = rnn.call(g.input("x", F32, [7, 2, 5]));
    let error = y.ok().unwrap_err().to_string();
    assert!(error.starts_with("rnn: matmul") && error.contains("recurrent.rs"), "{error}");
    let (y, _) = rnn.call(g.input("flat", F32, [3]));
    assert!(y.ok().is_err());
}
