//! What is put around a rule, by hand: groups, penalties, bounds, averages, scales.

use pleach_ops::prelude::*;
use pleach_optim::{
    Adam, Average, Cosine, CosineWave, Cyclic, CyclicShape, Lamb, Linear, Lion, Muon, OneCycle,
    OptimError, Optimizer, Penalty, Rate, Sequence, Sgd, Warmup,
};

use crate::support::{Runner, close, minimize};

/// A parameter of these numbers, whose gradient is `grad`, after `n` updates.
fn after(
    optimizer: &dyn Optimizer,
    shape: &[usize],
    x: &[f64],
    grad: &[f64],
    n: usize,
) -> Vec<f64> {
    let p = Params::seeded(0).dtype(F64);
    let start = Tensor::new(shape, x.to_vec()).unwrap();
    let x = p.param("x", shape, start);
    optimizer.check(&[&x]).unwrap();
    let g = Graph::train();
    let grad = g.constant(Tensor::new(shape, grad.to_vec()).unwrap());
    minimize(&g, (g.param(&x) * grad).sum_all(), &[&x], optimizer);
    g.check().unwrap();
    let mut run = Runner::default();
    (0..n).for_each(|_| run.step(&g));
    run.numbers("x")
}

#[test]
fn penalties_in_the_gradient_and_beside_the_rule() {
    let sgd = || Sgd::new(0.5);
    let check = |what: &str, optimizer: Sgd, want: &[f64]| {
        let got = after(&optimizer, &[2, 2], &[3.0, 4.0, 0.0, -0.125], &[0.0; 4], 1);
        close(what, &got, want, 1e-12, 1e-15);
    };
    check("l1", sgd().penalty(Penalty::L1(0.5)), &[2.75, 3.75, 0.0, 0.125]);
    check("l1, proximal", sgd().penalty(Penalty::L1(0.5)).decoupled(), &[2.75, 3.75, 0.0, 0.0]);
    check("l2", sgd().penalty(Penalty::L2(0.5)), &[2.25, 3.0, 0.0, -0.09375]);
    check("l2, proximal", sgd().penalty(Penalty::L2(2.0)).decoupled(), &[1.5, 2.0, 0.0, -0.0625]);
    let net = Penalty::ElasticNet { l1: 0.5, l2: 2.0 };
    check("net", sgd().penalty(net), &[-0.25, -0.25, 0.0, 0.25]);
    check("net, proximal", sgd().penalty(net).decoupled(), &[1.375, 1.875, 0.0, 0.0]);
    // Norms of rows 5 and 0.125, √d = √2.
    let group = Penalty::GroupLasso(2f64.sqrt());
    check("group", sgd().penalty(group), &[2.4, 3.2, 0.0, 0.875]);
    check("group, proximal", sgd().penalty(group).decoupled(), &[2.4, 3.2, 0.0, 0.0]);
    check("decay", sgd().weight_decay(0.5), &[2.25, 3.0, 0.0, -0.09375]);
    check("decoupled", sgd().weight_decay(0.5).decoupled(), &[2.25, 3.0, 0.0, -0.09375]);
}

#[test]
fn a_penalty_as_a_term_of_the_loss_has_its_gradient() {
    let g = Graph::new();
    let x = g.constant(Tensor::new([2, 2], vec![3.0, 4.0, 0.0, -0.125]).unwrap());
    let net = Penalty::ElasticNet { l1: 0.5, l2: 2.0 };
    for penalty in [Penalty::L1(0.5), Penalty::L2(0.5), net, Penalty::GroupLasso(3.0)] {
        let by_value = g.grad(penalty.value(x), &[x])[0].eval(&[]).unwrap().to_f64s();
        let own = penalty.gradient(x).eval(&[]).unwrap().to_f64s();
        close("gradient", &own, &by_value, 1e-14, 0.0);
    }
    let value = |penalty: Penalty| penalty.value(x).eval(&[]).unwrap().item().unwrap();
    assert_eq!(value(net), 0.5 * 7.125 + 9.0 + 16.0 + 0.015625);
    close("group", &[value(Penalty::GroupLasso(1.0))], &[2f64.sqrt() * 5.125], 1e-15, 0.0);
}

/// What PyTorch does not have.
#[test]
fn lion_and_lamb_by_hand() {
    let p = Params::seeded(0).dtype(F64);
    let x = p.param("x", [], Init::full(1.0));
    let g = Graph::train();
    let loss = g.param(&x) * g.param(&x) * 0.5;
    minimize(&g, loss, &[&x], &Lion::new(0.75).betas(0.75, 0.25));
    let mut run = Runner::default();
    // The moments before: 0, 0.75, 0.375. At -0.5 it goes on, against the gradient.
    for want in [0.25, -0.5, -1.25] {
        run.step(&g);
        assert_eq!(run.numbers("x"), [want]);
    }
    let go = |lamb: Lamb| after(&lamb.eps(0.0), &[2], &[3.0, 4.0], &[2.0, -2.0], 1);
    let step = 0.1 * 5.0 / 2f64.sqrt();
    close("lamb", &go(Lamb::new(0.1)), &[3.0 - step, 4.0 + step], 1e-14, 0.0);
    // 1 + 3 and -1 + 4 are as long as the parameter.
    close("decay", &go(Lamb::new(0.1).decay_in_ratio(1.0)), &[2.6, 3.7], 1e-14, 0.0);
}

#[test]
fn gradients_are_bounded_and_centered() {
    let go =
        |optimizer: &dyn Optimizer| after(optimizer, &[2, 2], &[0.0; 4], &[3.0, 1.0, -4.0, 2.0], 1);
    assert_eq!(go(&Sgd::new(1.0).clip_value(2.0)), [-2.0, -1.0, 2.0, -2.0]);
    assert_eq!(go(&Sgd::new(1.0).centralize()), [-1.0, 1.0, 3.0, -3.0]);
    let norm = 30f64.sqrt();
    let each = [-3.0 / norm, -1.0 / norm, 4.0 / norm, -2.0 / norm];
    close("each", &go(&Sgd::new(1.0).clip_each(1.0)), &each, 1e-6, 0.0);
    close(
        "sum",
        &go(&Sgd::new(1.0).clip_norm(1.0).order(1.0)),
        &[-0.3, -0.1, 0.4, -0.2],
        1e-6,
        0.0,
    );
    let largest = Sgd::new(1.0).clip_norm(2.0).order(f64::INFINITY);
    close("largest", &go(&largest), &[-1.5, -0.5, 2.0, -1.0], 1e-6, 0.0);
    // The first row is short enough.
    let rows = go(&Sgd::new(1.0).max_norm(20f64.sqrt() / 1.25));
    close("rows", &rows, &[-3.0, -1.0, 3.2, -1.6], 1e-14, 0.0);
}

#[test]
fn slow_weights_follow_every_few_updates() {
    // Fast: 1, 2, then they meet at 0 + 0.5 · 2 = 1; fast again 2, 3, and meet at 1 + 0.5 · 2 = 2.
    let x = |n| after(&Sgd::new(1.0).lookahead(2, 0.5), &[], &[0.0], &[-1.0], n)[0];
    assert_eq!([x(1), x(2), x(3), x(4), x(5)], [1.0, 1.0, 2.0, 2.0, 3.0]);
}

#[test]
fn averages_stand_beside_the_weights() {
    let averages = |average: Average| {
        let p = Params::seeded(0).dtype(F64);
        let x = p.param("x", [], Init::zeros());
        let g = Graph::train();
        minimize(&g, -g.param(&x), &[&x], &Sgd::new(1.0).average(average));
        let mut run = Runner::default();
        let mut next = || {
            run.step(&g);
            run.numbers("average/x")[0]
        };
        vec![next(), next(), next(), next(), next()]
    };
    assert_eq!(averages(Average::Exponential(0.5)), [1.0, 1.5, 2.25, 3.125, 4.0625]);
    // Of the weights 2 and 4.
    assert_eq!(averages(Average::Equal { start: 2, every: 2 }), [0.0, 2.0, 2.0, 3.0, 3.0]);
    let p = Params::seeded(0).dtype(F64);
    let x = p.param("x", [], Init::full(7.0));
    let g = Graph::eval();
    Average::bind(&g, std::slice::from_ref(&x));
    assert_eq!(g.param(&x).eval(&[]).unwrap().item(), Some(0.0));
}

#[test]
fn a_scaled_loss_gives_the_same_update_and_skips_what_is_not_finite() {
    let p = Params::seeded(0).dtype(F64);
    let x = p.param("x", [], Init::full(1.0));
    let optimizer = Adam::new(0.25).scale_loss(8.0).adapting(2.0, 0.5, 2);
    let g = Graph::train();
    let scale = optimizer.loss_scale(&g, &x).unwrap();
    minimize(&g, g.param(&x) * scale, &[&x], &optimizer);
    let mut run = Runner::default();
    run.step(&g);
    close("as without", &run.numbers("x"), &[0.75], 1e-7, 0.0);
    run.step(&g);
    assert_eq!(run.numbers("loss_scale.scale"), [16.0]);
    run.state.insert("loss_scale.scale".into(), Tensor::scalar(f64::INFINITY));
    let before = run.state.clone();
    run.step(&g);
    for name in ["x", "adam.m/x", "adam.v/x", "adam.steps"] {
        assert_eq!(run.state[name], before[name], "{name}");
    }
    assert_eq!(run.numbers("loss_scale.good"), [0.0]);
}

#[test]
fn groups_and_exceptions_have_their_own_options_and_rates() {
    let p = Params::seeded(0).dtype(F64);
    let (w, b) = (p.param("w", [], Init::full(1.0)), p.param("b", [], Init::full(1.0)));
    let step = |optimizer: &dyn Optimizer, set: Option<(&str, f64)>| {
        optimizer.check(&[&w, &b]).unwrap();
        let g = Graph::train();
        minimize(&g, g.param(&w) + g.param(&b), &[&w, &b], optimizer);
        g.check().unwrap();
        let mut run = Runner::default();
        if let Some((name, value)) = set {
            run.state.insert(name.into(), Tensor::scalar(value));
        }
        run.step(&g);
        [run.numbers("w")[0], run.numbers("b")[0]]
    };
    let sgd = || Sgd::new(0.5).weight_decay(1.0);
    assert_eq!(step(&sgd().group("b", |o| o.weight_decay(0.0)), None), [0.0, 0.5]);
    assert_eq!(step(&sgd().group("b", |o| o.rate(0.25)), None), [0.0, 0.5]);
    let own = sgd().group("b", |o| o.rate(0.25));
    assert_eq!(step(&own, Some(("sgd[b].rate", 0.125))), [0.0, 0.75]);
    assert_eq!(step(&own, Some(("sgd.rate", 0.125))), [0.75, 0.5]);
    // A group without a rate of its own follows that of all.
    let shared = sgd().group("b", |o| o.weight_decay(0.0));
    assert_eq!(step(&shared, Some(("sgd.rate", 0.125))), [0.75, 0.875]);
    let two = Sgd::new(0.5).except("b", Sgd::new(0.25).named("other"));
    assert_eq!(step(&two, None), [0.5, 0.75]);
}

#[test]
fn a_tag_makes_a_group_as_names_do() {
    let p = Params::seeded(0).dtype(F64);
    let one = |p: &Params, name: &str| p.param(name, [], Init::full(1.0));
    let (w, a) = (one(&p, "w"), one(&p.scope("deep").tag("slow"), "a"));
    let b = one(&p.tag("slow").tag("plain"), "b");
    let step = |optimizer: &dyn Optimizer, set: Option<(&str, f64)>| {
        optimizer.check(&[&w, &a, &b]).unwrap();
        let g = Graph::train();
        let loss = g.param(&w) + g.param(&a) + g.param(&b);
        minimize(&g, loss, &[&w, &a, &b], optimizer);
        g.check().unwrap();
        let mut run = Runner::default();
        if let Some((name, value)) = set {
            run.state.insert(name.into(), Tensor::scalar(value));
        }
        run.step(&g);
        ["w", "deep.a", "b"].map(|name| run.numbers(name)[0])
    };
    let slow = Sgd::new(0.5).group("#slow", |o| o.rate(0.25));
    assert_eq!(step(&slow, None), [0.5, 0.75, 0.75]);
    assert_eq!(step(&slow, Some(("sgd[#slow].rate", 0.125))), [0.5, 0.875, 0.875]);
    // The first group that has it keeps it, whether by tag or by name.
    let two = Sgd::new(0.5).group("#plain", |o| o.rate(0.0)).group("#s*", |o| o.rate(0.25));
    assert_eq!(step(&two, None), [0.5, 0.75, 1.0]);
    let named = Sgd::new(0.5).group("deep.*", |o| o.rate(0.0)).group("#slow", |o| o.rate(0.25));
    assert_eq!(step(&named, None), [0.5, 1.0, 0.75]);
    let other = Sgd::new(0.5).except("#slow", Sgd::new(0.25).named("other"));
    assert_eq!(step(&other, None), [0.5, 0.75, 0.75]);
}

#[test]
fn momentum_moves_with_a_cycle() {
    let cycle = Cyclic { shape: CyclicShape::Halving, ..Cyclic::new(0.5, 1, 1) };
    // Rates 0.5, 1, 0.5, 0.75; momenta 0.9, 0.8, 0.9, 0.85.
    let (mut x, mut b, mut want) = (0.0, 0.0, Vec::new());
    for (rate, momentum) in [(0.5, 0.9), (1.0, 0.8), (0.5, 0.9), (0.75, 0.85)] {
        b = b * momentum + 1.0;
        x -= rate * b;
        want.push(x);
    }
    let sgd = Sgd::new(Rate::new(1.0, cycle)).momentum(0.5);
    let got: Vec<f64> = (1..5).map(|n| after(&sgd, &[], &[0.0], &[1.0], n)[0]).collect();
    close("x", &got, &want, 1e-14, 0.0);
}

#[test]
fn what_makes_no_sense_is_refused_when_it_is_built() {
    let p = Params::seeded(0);
    let (w, b) = (p.param("w", [2, 2], Init::zeros()), p.param("b", [2], Init::zeros()));
    let refused =
        |optimizer: &dyn Optimizer| -> OptimError { optimizer.check(&[&w, &b]).unwrap_err() };
    let says = |optimizer: &dyn Optimizer, want: &str| {
        assert_eq!(refused(optimizer).to_string(), want);
    };
    let cosine = |steps| Cosine { steps, min: 0.0 };
    says(
        &Sgd::new(Rate::new(0.1, Warmup::new(10, cosine(10)))),
        "warm-up: length of the schedule must be longer than its warm-up, got 10",
    );
    says(
        &Sgd::new(0.1).group("head.*", |o| o),
        "sgd: no parameter is in the group \"head.*\"; trained are: w, b",
    );
    says(
        &Sgd::new(0.1).except("head.*", Adam::new(0.1)),
        "except: no parameter is in the group \"head.*\"; trained are: w, b",
    );
    says(
        &Sgd::new(0.1).group("#slow", |o| o),
        "sgd: no trained parameter has the tag \"slow\"; tags are: none",
    );
    let (x, y) = (p.tag("head").tag("fast"), p.tag("fast"));
    let (x, y) = (x.param("x", [], Init::zeros()), y.param("y", [], Init::zeros()));
    let tagged = |optimizer: &dyn Optimizer| optimizer.check(&[&w, &x, &y]).unwrap_err();
    assert_eq!(
        tagged(&Adam::new(0.1).except("#slow", Sgd::new(0.1))),
        OptimError::Tag {
            optimizer: "except".into(),
            tag: "slow".into(),
            known: "fast, head".into()
        },
    );
    // There is the tag, but another group has all of it.
    let taken = Sgd::new(0.1).group("#fast", |o| o).group("#head", |o| o);
    assert_eq!(
        tagged(&taken).to_string(),
        "sgd: no parameter is in the group \"#head\"; trained are: w, x, y",
    );
    says(&Sgd::new(0.1).group("b", |o| o.rate(-1.0)), "sgd[b]: rate must be at least 0, got -1");
    says(&Sgd::new(0.1).group("b", |o| o.group("w", |o| o)), "sgd[b]: a group cannot have groups");
    assert!(matches!(refused(&Muon::new(0.1)), OptimError::Param { param, .. } if param == "b"));
    assert!(Muon::new(0.1).except("b", Adam::new(0.1)).check(&[&w, &b]).is_ok());
    says(&Sgd::new(0.1).penalty(Penalty::L1(-1.0)), "sgd: penalty must be at least 0, got -1");
    says(&Sgd::new(0.1).lookahead(0, 0.5), "lookahead: every must be at least 1, got 0");
    says(&Sgd::new(0.1).lookahead(5, 1.5), "lookahead: alpha must be in (0, 1], got 1.5");
    says(&Sgd::new(0.1).max_norm(0.0), "max_norm: max must be above 0, got 0");
    says(&Sgd::new(0.1).scale_loss(-8.0), "loss_scale: scale must be above 0, got -8");
    says(
        &Sgd::new(0.1).average(Average::Exponential(1.0)),
        "average: decay must be in [0, 1), got 1",
    );
    let linear = Linear { start: 1.0, end: 0.0, steps: 5 };
    says(
        &Sgd::new(Rate::new(0.1, Sequence::new(linear).then(4, cosine(3)).then(4, cosine(3)))),
        "sequence of schedules: milestone must be later than the one before, got 4",
    );
    says(
        &Sgd::new(Rate::new(0.1, OneCycle::new(3))),
        "one-cycle schedule: rise · steps must be above 1: the rise is no update long, got 0.8999999999999999",
    );
    says(
        &Sgd::new(Rate::new(0.1, CosineWave { steps: 0, min: 0.0 })),
        "cosine wave: steps must be at least 1, got 0",
    );
}
