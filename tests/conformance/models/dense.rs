//! Models of linear layers: MLP, tied autoencoder, regularized two-task net, variational
//! autoencoder.

use pleach::ops::loss;
use pleach::prelude::*;

use super::net::{Net, activation};

pub(super) fn mlp<'g>(n: &Net<'g>) -> Var<'g> {
    let count = (0..).take_while(|i| n.has(&format!("layers.{i}.weight"))).count();
    let mut x = n.x("x");
    for i in 0..count {
        x = n.linear(&format!("layers.{i}"), x);
        if i + 1 < count {
            x = activation(n.word("act"), x);
        }
    }
    x.cross_entropy(n.x("y"))
}

/// One matrix, used forward and transposed.
pub(super) fn tied_autoencoder<'g>(n: &Net<'g>) -> Var<'g> {
    let (x, w) = (n.x("x"), n.p("w"));
    let h = activation(n.word("act"), x.matmul(w) + n.p("b"));
    let y = h.matmul(w.t()) + n.p("c");
    y.mse(x) + w.abs().sum_all() * n.number("l1")
}

/// Layer norm, a residual, two tasks, penalties on the weights.
pub(super) fn regularized<'g>(n: &Net<'g>) -> Var<'g> {
    let h = n.linear("inp", n.x("x")).elu(1.0);
    let h = n.layer_norm("norm", h + n.linear("mid", h).mish());
    let (classes, numbers) = (n.linear("cls", h), n.linear("reg", h));
    let tasks = classes.cross_entropy(n.x("y"))
        + loss::Huber::default().delta(0.5).call(numbers, n.x("r")) * 0.5;
    let weights = [n.p("inp.weight"), n.p("mid.weight")];
    let absolute = weights.map(|w| w.abs().sum_all());
    let squares = weights.map(|w| w.square().sum_all());
    tasks
        + (absolute[0] + absolute[1]) * n.number("l1")
        + (squares[0] + squares[1]) * n.number("l2")
}

/// A variational autoencoder whose noise is an input.
pub(super) fn vae<'g>(n: &Net<'g>) -> Var<'g> {
    let x = n.x("x");
    let h = n.linear("e1", x).silu();
    let (mean, log_var) = (n.linear("mu", h), n.linear("lv", h));
    let z = mean + (log_var * 0.5).exp() * n.x("eps");
    let y = n.linear("d2", n.linear("d1", z).silu());
    let error =
        loss::BinaryCrossEntropyWithLogits::default().reduction(loss::Reduction::Sum).call(y, x);
    let prior = (1.0 + log_var - mean.square() - log_var.exp()).sum(1).mean();
    error / x.size(0) as f64 - prior * 0.5
}
