//! Models with derivatives in the loss, or one parameter used many times in a row: a differential
//! equation by second derivatives, a critic with gradient penalty, learning to learn, Runge-Kutta.

use pleach::prelude::*;

use super::net::Net;

/// `u'' + k u = 0`, `u(0) = 0`, `u'(0) = 1`.
pub(super) fn pinn<'g>(n: &Net<'g>) -> Var<'g> {
    let g = n.g;
    let net = |x| n.linear("l3", n.linear("l2", n.linear("l1", x).tanh()).tanh());
    let x = n.x("x");
    let u = net(x);
    let du = g.grad(u, &[x])[0];
    let ddu = g.grad(du, &[x])[0];
    let zero = g.full(x.dtype(), [1, 1], 0.0);
    let u0 = net(zero);
    let du0 = g.grad(u0, &[zero])[0];
    (ddu + u * n.number("k")).square().mean()
        + u0.square().sum_all()
        + (du0 - 1.0).square().sum_all()
}

/// The norm of a gradient is part of the loss.
pub(super) fn critic<'g>(n: &Net<'g>) -> Var<'g> {
    let net = |x| {
        let h = n.linear("l2", n.linear("l1", x).softplus()).softplus();
        n.linear("l3", h).squeeze(1)
    };
    let (real, fake, t) = (n.x("real"), n.x("fake"), n.x("t"));
    let between = t * real + (1.0 - t) * fake;
    let slope = n.g.grad(net(between), &[between])[0];
    let norm = slope.square().sum(1).sqrt();
    net(fake).mean() - net(real).mean() + (norm - 1.0).square().mean() * n.number("weight")
}

/// The loss after a few steps of gradient descent on another set.
pub(super) fn maml<'g>(n: &Net<'g>) -> Var<'g> {
    let net = |p: &[Var<'g>], x: Var<'g>| (x.matmul(p[0]) + p[1]).tanh().matmul(p[2]) + p[3];
    let mut p: Vec<Var<'g>> = ["w1", "b1", "w2", "b2"].map(|name| n.p(name)).to_vec();
    for _ in 0..n.size("inner") {
        let grads = n.g.grad(net(&p, n.x("xs")).mse(n.x("ys")), &p);
        p = p.iter().zip(grads).map(|(&p, grad)| p - grad * n.number("rate")).collect();
    }
    net(&p, n.x("xq")).mse(n.x("yq"))
}

/// Fourth-order Runge-Kutta with the same network at every stage.
pub(super) fn ode<'g>(n: &Net<'g>) -> Var<'g> {
    let f = |y| n.linear("l2", n.linear("l1", y).tanh());
    let (mut y, steps) = (n.x("y0"), n.size("steps"));
    let h = 1.0 / steps as f64;
    for _ in 0..steps {
        let k1 = f(y);
        let k2 = f(y + k1 * (h / 2.0));
        let k3 = f(y + k2 * (h / 2.0));
        let k4 = f(y + k3 * h);
        y = y + (k1 + k2 * 2.0 + k3 * 2.0 + k4) * (h / 6.0);
    }
    let off = y - n.x("y1");
    off.abs().less(1.0).select(off.square() * 0.5, off.abs() - 0.5).mean()
}
