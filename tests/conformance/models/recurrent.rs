//! Language models of characters: plain, LSTM and GRU, and one whose embedding is its output
//! matrix.

use pleach::nn::{Cell, GruCell, LstmCell};
use pleach::prelude::*;

use super::net::Net;

/// PyTorch's recurrent layers `rnn` over the time of `x: [batch, time, width]`, without an initial
/// state: LSTM and GRU as loops of the graph, RNN unrolled in Rust.
fn recurrent<'g>(n: &Net<'g>, kind: &str, x: Var<'g>) -> Var<'g> {
    let layers = (0..).take_while(|i| n.has(&format!("rnn.weight_ih_l{i}"))).count();
    (0..layers).fold(x, |x, layer| {
        let p = |name: &str| n.p(&format!("rnn.{name}_l{layer}"));
        let (w_ih, w_hh, b_ih, b_hh) = (p("weight_ih"), p("weight_hh"), p("bias_ih"), p("bias_hh"));
        let zero = n.g.full(x.dtype(), [x.size(0), w_hh.size(1)], 0.0);
        let inputs = x.transpose(0, 1).matmul(w_ih.t()) + b_ih;
        let product = |h: Var<'g>| h.matmul(w_hh.t()) + b_hh;
        let ys = match kind {
            "LSTM" => {
                let step = |state: Vec<Var<'g>>, x| {
                    let next = LstmCell.step(x, product(state[0]), &state);
                    (next.clone(), next[0])
                };
                n.g.scan(vec![zero; 2], inputs, step).1
            }
            "GRU" => {
                let step = |h, x| {
                    let next = GruCell.step(x, product(h), &[h])[0];
                    (next, next)
                };
                n.g.scan(zero, inputs, step).1
            }
            "RNN" => {
                let (mut h, mut ys) = (zero, Vec::new());
                for t in 0..inputs.size(0) {
                    h = (inputs.slice(0, t..t + 1).squeeze(0) + product(h)).tanh();
                    ys.push(h);
                }
                ys[0].stack(&ys[1..], 0)
            }
            other => panic!("no recurrent layer {other}"),
        };
        ys.transpose(0, 1)
    })
}

/// The cross-entropy of `[batch, time, classes]`.
fn loss<'g>(logits: Var<'g>, labels: Var<'g>) -> Var<'g> {
    let rows = labels.size(0) * labels.size(1);
    logits.reshape([rows, logits.size(-1)]).cross_entropy(labels.reshape([rows]))
}

pub(super) fn char_model<'g>(n: &Net<'g>) -> Var<'g> {
    let x = n.p("embed.weight").take(0, n.x("x"));
    loss(n.linear("out", recurrent(n, n.word("kind"), x)), n.x("y"))
}

/// One matrix embeds and gives the logits.
pub(super) fn tied_lm<'g>(n: &Net<'g>) -> Var<'g> {
    let embed = n.p("embed");
    let h = recurrent(n, "GRU", embed.take(0, n.x("x")));
    loss(h.matmul(embed.t()), n.x("y"))
}
