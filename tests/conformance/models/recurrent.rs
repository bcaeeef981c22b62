//! Language models of characters: plain, LSTM and GRU, and one whose embedding is its output
//! matrix.

use pleach::prelude::*;

use super::net::Net;

/// PyTorch's recurrent layers `rnn`, unrolled over the time of `x: [batch, time, width]`, without
/// an initial state.
fn unrolled<'g>(n: &Net<'g>, kind: &str, x: Var<'g>) -> Var<'g> {
    let layers = (0..).take_while(|i| n.has(&format!("rnn.weight_ih_l{i}"))).count();
    (0..layers).fold(x, |x, layer| {
        let p = |name: &str| n.p(&format!("rnn.{name}_l{layer}"));
        let (w_ih, w_hh, b_ih, b_hh) = (p("weight_ih"), p("weight_hh"), p("bias_ih"), p("bias_hh"));
        let hidden = w_hh.size(1);
        let mut h = n.g.full(x.dtype(), [x.size(0), hidden], 0.0);
        let mut c = h;
        let mut outputs = Vec::new();
        for t in 0..x.size(1) {
            let input = x.slice(1, t..t + 1).squeeze(1).matmul(w_ih.t()) + b_ih;
            let state = h.matmul(w_hh.t()) + b_hh;
            let parts = |v: Var<'g>| v.split(-1, &vec![hidden; v.size(-1) / hidden]);
            match kind {
                "LSTM" => {
                    let gates = parts(input + state);
                    c = gates[1].sigmoid() * c + gates[0].sigmoid() * gates[2].tanh();
                    h = gates[3].sigmoid() * c.tanh();
                }
                "GRU" => {
                    let (a, b) = (parts(input), parts(state));
                    let (r, z) = ((a[0] + b[0]).sigmoid(), (a[1] + b[1]).sigmoid());
                    let new = (a[2] + r * b[2]).tanh();
                    h = (1.0 - z) * new + z * h;
                }
                "RNN" => h = (input + state).tanh(),
                other => panic!("no recurrent layer {other}"),
            }
            outputs.push(h);
        }
        outputs[0].stack(&outputs[1..], 1)
    })
}

/// The cross-entropy of `[batch, time, classes]`.
fn loss<'g>(logits: Var<'g>, labels: Var<'g>) -> Var<'g> {
    let rows = labels.size(0) * labels.size(1);
    logits.reshape([rows, logits.size(-1)]).cross_entropy(labels.reshape([rows]))
}

pub(super) fn char_model<'g>(n: &Net<'g>) -> Var<'g> {
    let x = n.p("embed.weight").take(0, n.x("x"));
    loss(n.linear("out", unrolled(n, n.word("kind"), x)), n.x("y"))
}

/// One matrix embeds and gives the logits.
pub(super) fn tied_lm<'g>(n: &Net<'g>) -> Var<'g> {
    let embed = n.p("embed");
    let h = unrolled(n, "GRU", embed.take(0, n.x("x")));
    loss(h.matmul(embed.t()), n.x("y"))
}
