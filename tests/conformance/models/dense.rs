//! Models of linear layers: MLP, tied autoencoder, regularized two-task net, variational
//! autoencoder.

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
