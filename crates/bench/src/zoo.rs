//! A training step of every model of the zoo, at sizes at which time is spent in the model.

use pleach::nn::zoo::{
    Autoencoder, Gpt, GruLm, LeNet, LstmLm, Mlp, Ode, Pinn, ResBlock, ResNet, Siamese, TiedLm, Vgg,
};
use pleach::prelude::*;

use crate::workload::Workload;

/// The loss of a model.
type Loss = for<'g> fn(&Params, &'g Graph) -> Var<'g>;

const fn step(name: &'static str, classes: u64, loss: Loss) -> Workload {
    Workload { name, classes, loss, optimizer: || Box::new(Adam::new(1e-3)) }
}

pub(crate) const ZOO: &[Workload] = &[
    step("mlp", 10, |p, g| {
        let net = Mlp::new(p, &[784, 256, 128, 10]);
        labelled(g, [64, 784], |x| net.call(x))
    }),
    step("lenet", 10, |p, g| {
        let net = LeNet::classic(p);
        labelled(g, [64, 1, 28, 28], |x| net.call(x))
    }),
    step("vgg", 10, |p, g| {
        let net = Vgg::new(p, 3, 32, &[32, 64, 128], 10);
        labelled(g, [16, 3, 32, 32], |x| net.call(x))
    }),
    step("resnet", 10, |p, g| {
        let net = ResNet::new(p, 3, &[16, 32, 64], 10);
        labelled(g, [16, 3, 32, 32], |x| net.call(x))
    }),
    step("res_block", 1, |p, g| {
        let net = ResBlock::new(p, 16, 32, 2);
        net.call(g.input("x", F32, [16, 16, 32, 32])).square().mean()
    }),
    step("siamese", 2, |p, g| {
        let net = Siamese::new(p, &[128, 256, 64]);
        let (a, b) = (g.input("a", F32, [64, 128]), g.input("b", F32, [64, 128]));
        net.loss(a, b, g.input("same", BOOL, [64]))
    }),
    step("autoencoder", 1, |p, g| {
        let net = Autoencoder::new(p, 256, 64);
        let x = g.input("x", F32, [64, 256]);
        net.call(x).mse(x)
    }),
    step("pinn", 1, |p, g| {
        let net = Pinn::new(p, &[1, 24, 24, 1]);
        let x = g.input("x", F32, [64, 1]);
        let u = net.call(x);
        let du = g.grad(u, &[x])[0];
        (g.grad(du, &[x])[0] + u + 1.0).square().mean()
    }),
    step("ode", 1, |p, g| {
        let net = Ode::new(p, 32, 64, 16);
        let x = g.input("x", F32, [64, 32]);
        net.call(x).mse(x * 0.5)
    }),
    step("lstm_lm", 64, |p, g| {
        let net = LstmLm::new(p, 64, 64, 128, 1);
        text(g, [32, 64], |x| net.call(x))
    }),
    step("gru_lm", 64, |p, g| {
        let net = GruLm::new(p, 64, 64, 128, 1);
        text(g, [32, 64], |x| net.call(x))
    }),
    step("tied_lm", 64, |p, g| {
        let net = TiedLm::tied(p, 64, 128, 1);
        text(g, [32, 64], |x| net.call(x))
    }),
    step("gpt", 64, |p, g| {
        let net = Gpt::tiny(p, 64);
        text(g, [8, 128], |x| net.call(x))
    }),
];

/// A classifier of a batch of this shape.
fn labelled<'g>(
    g: &'g Graph,
    shape: impl AsRef<[usize]>,
    call: impl FnOnce(Var<'g>) -> Var<'g>,
) -> Var<'g> {
    let shape = shape.as_ref();
    let (x, y) = (g.input("x", F32, shape), g.input("y", I64, [shape[0]]));
    call(x).cross_entropy(y)
}

/// A model of texts that tells the next symbol at every place.
fn text<'g>(
    g: &'g Graph,
    [n, length]: [usize; 2],
    call: impl FnOnce(Var<'g>) -> Var<'g>,
) -> Var<'g> {
    let (x, y) = (g.input("x", I64, [n, length]), g.input("y", I64, [n * length]));
    call(x).flatten_axes(0, 1).cross_entropy(y)
}
