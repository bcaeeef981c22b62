//! Models of pictures: LeNet, residual blocks with batch norm, separable convolutions, a siamese
//! net.

use pleach::nn::{BatchNorm, Conv, GroupNorm};
use pleach::ops::loss::CrossEntropy;
use pleach::ops::{ConvOptions, PoolOptions};
use pleach::prelude::*;

use super::net::{Net, activation};

fn conv<'g>(n: &Net<'g>, name: &str, options: ConvOptions, x: Var<'g>) -> Var<'g> {
    let bias = format!("{name}.bias");
    let b = n.has(&bias).then(|| n.param(&bias).clone());
    let w = n.param(&format!("{name}.weight")).clone();
    Conv { path: name.into(), w, b, options }.call(x)
}

fn plain() -> ConvOptions {
    ConvOptions::default()
}

fn padded() -> ConvOptions {
    ConvOptions::default().padding(1)
}

fn batch_norm<'g>(n: &Net<'g>, name: &str, x: Var<'g>) -> Var<'g> {
    let p = |what: &str| n.param(&format!("{name}.{what}")).clone();
    let norm = BatchNorm {
        path: name.into(),
        w: Some(p("weight")),
        b: Some(p("bias")),
        running_mean: p("running_mean"),
        running_var: p("running_var"),
        num_batches_tracked: p("num_batches_tracked"),
        eps: 1e-5,
        momentum: Some(0.1),
    };
    norm.call(x)
}

fn group_norm<'g>(n: &Net<'g>, name: &str, groups: usize, x: Var<'g>) -> Var<'g> {
    let p = |what: &str| Some(n.param(&format!("{name}.{what}")).clone());
    GroupNorm { path: name.into(), groups, w: p("weight"), b: p("bias"), eps: 1e-5 }.call(x)
}

pub(super) fn le_net<'g>(n: &Net<'g>) -> Var<'g> {
    let act = |x| activation(n.word("act"), x);
    let pool = |x: Var<'g>| match n.word("pool") {
        "max" => x.max_pool(&PoolOptions::new([2, 2])),
        "avg" => x.avg_pool(&PoolOptions::new([2, 2])),
        other => panic!("no pooling {other}"),
    };
    let x = pool(act(conv(n, "conv1", plain().padding(2), n.x("x"))));
    let x = pool(act(conv(n, "conv2", plain(), x)));
    let x = act(n.linear("fc1", x.flatten(1)));
    n.linear("fc3", act(n.linear("fc2", x))).cross_entropy(n.x("y"))
}

pub(super) fn res_net<'g>(n: &Net<'g>) -> Var<'g> {
    let (conv, norm) =
        (|name: &str, o, x| conv(n, name, o, x), |name: &str, x| batch_norm(n, name, x));
    let x = norm("bn0", conv("stem", padded(), n.x("x"))).relu();
    let h = norm("b1", conv("a1", padded(), x)).relu();
    let x = (norm("b2", conv("a2", padded(), h)) + x).relu();
    let stride = n.size("stride");
    let h = norm("d1", conv("c1", padded().stride(stride), x)).relu();
    let short = norm("ds", conv("short", plain().stride(stride), x));
    let x = (norm("d2", conv("c2", padded(), h)) + short).relu();
    let loss = CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() };
    loss.call(n.linear("out", x.mean_over([2, 3])), n.x("y"))
}

/// PyTorch's: the value is exact, the slope is 1/6 as f32 has it, in f64 too.
fn hardsigmoid(x: Var<'_>) -> Var<'_> {
    let (inside, slope) = ((x + 3.0).clamp(0.0, 6.0), f64::from(1.0f32 / 6.0));
    inside * slope + (inside / 6.0 - inside * slope).stop_gradient()
}

fn hardswish(x: Var<'_>) -> Var<'_> {
    x * (x + 3.0).clamp(0.0, 6.0) / 6.0
}

pub(super) fn separable<'g>(n: &Net<'g>) -> Var<'g> {
    let conv = |name: &str, o, x| conv(n, name, o, x);
    let x = hardswish(conv("stem", padded().stride(2), n.x("x")));
    let groups = n.size("groups");
    let h = hardswish(group_norm(n, "g1", groups, conv("expand", plain(), x)));
    let wide = h.size(1);
    let h = conv("depth", padded().groups(wide), h);
    let h = hardswish(group_norm(n, "g2", groups, h));
    let s = conv("se1", plain(), h.adaptive_avg_pool(&[1, 1])).relu();
    let h = h * hardsigmoid(conv("se2", plain(), s));
    let x = x + group_norm(n, "g3", 1, conv("project", plain(), h));
    n.linear("out", x.adaptive_max_pool(&[1, 1]).flatten(1)).cross_entropy(n.x("y"))
}

/// One tower for both pictures.
pub(super) fn siamese<'g>(n: &Net<'g>) -> Var<'g> {
    let tower = |x: Var<'g>| {
        let h = conv(n, "conv", plain(), x);
        let h = h.greater(0.0).select(h, h * 0.1);
        let h = h.avg_pool(&PoolOptions::new([2, 2])).flatten(1);
        n.linear("fc", h).normalize(2.0, 1, 1e-12)
    };
    let d2 = (tower(n.x("a")) - tower(n.x("b"))).square().sum(1);
    let same = n.x("same");
    let apart = (n.number("margin") - (d2 + 1e-6).sqrt()).relu().square();
    (same * d2 + (1.0 - same) * apart).mean()
}
