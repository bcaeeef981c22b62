//! Transformer encoders.

use pleach::ops::Attention;
use pleach::prelude::*;

use super::net::{Net, activation};

/// Layers that are different ones, or one layer again and again; causal or not.
pub(super) fn encoder<'g>(n: &Net<'g>) -> Var<'g> {
    let (x, y) = (n.x("x"), n.x("y"));
    let layers = if n.is("shared") { 1 } else { n.size("depth") };
    let mut h = n.p("embed.weight").take(0, x) + n.p("pos").slice(0, 0..x.size(1));
    for i in 0..n.size("depth") {
        h = layer(n, &format!("layers.{}", i % layers), h);
    }
    let logits = n.linear("out", n.layer_norm("norm", h));
    logits.flatten_axes(0, 1).cross_entropy(y.flatten_axes(0, 1))
}

/// PyTorch's `TransformerEncoderLayer` without dropout.
fn layer<'g>(n: &Net<'g>, path: &str, x: Var<'g>) -> Var<'g> {
    let norm = |i: usize, x: Var<'g>| n.layer_norm(&format!("{path}.norm{i}"), x);
    let feed_forward = |x: Var<'g>| {
        let h = activation(n.word("act"), n.linear(&format!("{path}.linear1"), x));
        n.linear(&format!("{path}.linear2"), h)
    };
    if n.is("norm_first") {
        let x = x + attend(n, path, norm(1, x));
        x + feed_forward(norm(2, x))
    } else {
        let x = norm(1, x + attend(n, path, x));
        norm(2, x + feed_forward(x))
    }
}

/// Self-attention with several heads; the weights that make queries, keys and values lie one
/// below the other.
fn attend<'g>(n: &Net<'g>, path: &str, x: Var<'g>) -> Var<'g> {
    let (batch, time, width) = (x.size(0), x.size(1), x.size(2));
    let heads = n.size("heads");
    let weight = n.p(&format!("{path}.self_attn.in_proj_weight"));
    let all = x.matmul(weight.t()) + n.p(&format!("{path}.self_attn.in_proj_bias"));
    let parts: Vec<Var<'g>> = all
        .chunk(-1, 3)
        .into_iter()
        .map(|part| part.reshape([batch, time, heads, width / heads]).transpose(1, 2))
        .collect();
    let attention = Attention { causal: n.is("causal"), ..Attention::default() };
    let y = attention.call(parts[0], parts[1], parts[2]);
    let y = y.transpose(1, 2).reshape([batch, time, width]);
    n.linear(&format!("{path}.self_attn.out_proj"), y)
}
