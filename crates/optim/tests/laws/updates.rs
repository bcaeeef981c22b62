//! Updates that can be checked by hand; names and types of slots; what is refused.

use crate::support::{Runner, close, minimize};
use expect_test::{Expect, expect};
use pleach_ops::Kind;
use pleach_ops::prelude::*;
use pleach_optim::{Adam, AdamW, Cosine, Optimizer, Rate, Sgd, Step};

/// Values of `x`, which starts at 1, over two updates of the loss `2x`.
fn two(optimizer: &dyn Optimizer) -> Vec<f64> {
    let p = Params::seeded(0).dtype(F64);
    let x = p.param("x", [], Init::ones());
    let g = Graph::train();
    minimize(&g, g.param(&x) * 2.0, &[&x], optimizer);
    let mut run = Runner::default();
    let mut next = || {
        run.step(&g);
        run.numbers("x")[0]
    };
    vec![next(), next()]
}

#[test]
fn gradient_descent_by_hand() {
    let check = |sgd: Sgd, want: [f64; 2]| close("x", &two(&sgd), &want, 1e-15, 1e-15);
    check(Sgd::new(0.25), [0.5, 0.0]);
    check(Sgd::new(0.25).maximize(), [1.5, 2.0]);
    // The gradient is 2 + x/2: 2.5 at 1, then 2.1875 at 0.375.
    check(Sgd::new(0.25).weight_decay(0.5), [0.375, -0.171875]);
    // The momentum is 2, then 2 · 0.5 + 2 = 3.
    check(Sgd::new(0.25).momentum(0.5), [0.5, -0.25]);
    // The first momentum is not dampened: 2, then 2 · 0.5 + 2 · 0.25 = 1.5.
    check(Sgd::new(0.25).momentum(0.5).dampening(0.75), [0.5, 0.125]);
    // 2 + 0.5 · 2 = 3, then 2 + 0.5 · 3 = 3.5.
    check(Sgd::new(0.25).momentum(0.5).nesterov(), [0.25, -0.625]);
}

/// While the gradient stays the same, m̂ is the gradient and v̂ its square: every update is the
/// rate.
#[test]
fn adam_by_hand() {
    let check = |what: &str, got: Vec<f64>, want: [f64; 2]| close(what, &got, &want, 1e-8, 1e-12);
    check("adam", two(&Adam::new(0.25)), [0.75, 0.5]);
    check("amsgrad", two(&Adam::new(0.25).amsgrad()), [0.75, 0.5]);
    check("maximize", two(&Adam::new(0.25).maximize()), [1.25, 1.5]);
    check("no memory", two(&Adam::new(0.25).betas(0.0, 0.0)), [0.75, 0.5]);
    check("eps", two(&Adam::new(0.25).eps(2.0)), [0.875, 0.75]);
    // Decoupled: x(1 - 0.25 · 0.4), then the update.
    check("adamw", two(&AdamW::new(0.25).weight_decay(0.4)), [0.65, 0.335]);
    check("adamw up", two(&AdamW::new(0.25).weight_decay(0.4).maximize()), [1.15, 1.285]);
}

/// The slots that a run has written, with their types.
fn slots(optimizer: &dyn Optimizer, dtype: DType) -> String {
    let p = Params::seeded(0).dtype(dtype);
    let w = p.scope("hidden").param("w", [2, 3], Init::ones());
    let g = Graph::train();
    minimize(&g, g.param(&w).sum_all(), &[&w], optimizer);
    g.check().unwrap();
    let slots = g.variables().into_iter().filter(|v| v.kind() == Kind::Slot);
    let mut lines: Vec<String> = slots.map(|v| format!("{} {}\n", v.name(), v.ty())).collect();
    lines.sort();
    lines.concat()
}

#[test]
fn slots_are_named_by_optimizer_and_parameter_and_typed_as_the_parameter() {
    let check = |got: String, want: Expect| want.assert_eq(&got);
    check(
        slots(&Sgd::new(0.1), F32),
        expect![[r#"
            sgd.rate f64[]
            sgd.rate_now f64[]
            sgd.steps i64[]
        "#]],
    );
    check(
        slots(&Sgd::new(0.1).momentum(0.9).named("disc"), F32),
        expect![[r#"
            disc.momentum/hidden.w f32[2, 3]
            disc.rate f64[]
            disc.rate_now f64[]
            disc.steps i64[]
        "#]],
    );
    check(
        slots(&AdamW::new(0.1).amsgrad(), F64),
        expect![[r#"
            adamw.m/hidden.w f64[2, 3]
            adamw.rate f64[]
            adamw.rate_now f64[]
            adamw.steps i64[]
            adamw.v/hidden.w f64[2, 3]
            adamw.v_max/hidden.w f64[2, 3]
        "#]],
    );
}

/// Rates are rounded to f32 once, after all arithmetic on them.
#[test]
fn f32_parameters_are_updated_in_f32() {
    let p = Params::seeded(0);
    let x = p.param("x", [2], Init::ones());
    let g = Graph::train();
    minimize(&g, g.param(&x).sum_all(), &[&x], &Sgd::new(0.1));
    let mut run = Runner::default();
    run.step(&g);
    assert_eq!(run.state["x"], Tensor::new([2], vec![1.0f32 - 0.1f32; 2]).unwrap());
}

#[test]
fn what_is_not_trained_stays() {
    let p = Params::seeded(0).dtype(F64);
    let (x, y) = (p.param("x", [], Init::ones()), p.param("y", [], Init::ones()));
    let g = Graph::train();
    minimize(&g, g.param(&x) * g.param(&y), &[&x], &Adam::new(0.1));
    let mut run = Runner::default();
    run.step(&g);
    assert!(run.state.contains_key("x") && !run.state.contains_key("y"));
}

/// A parameter used twice has one gradient, one slot and one update.
#[test]
fn a_shared_parameter_is_updated_once() {
    let p = Params::seeded(0).dtype(F64);
    let x = p.param("x", [], Init::full(3.0));
    let g = Graph::train();
    minimize(&g, g.param(&x) * 2.0 + g.param(&x) * g.param(&x), &[&x], &Sgd::new(0.125));
    assert_eq!(g.roots().iter().filter(|r| &*r.name == "x").count(), 1);
    let mut run = Runner::default();
    run.step(&g);
    assert_eq!(run.numbers("x"), [2.0]); // 3 - (2 + 6) / 8
}

#[test]
fn two_optimizers_of_one_graph_need_two_names() {
    let p = Params::seeded(0);
    let (x, y) = (p.param("x", [], Init::ones()), p.param("y", [], Init::ones()));
    let g = Graph::train();
    let loss = g.param(&x) * g.param(&y);
    minimize(&g, loss, &[&x], &Adam::new(0.1));
    minimize(&g, loss, &[&y], &Adam::new(0.2).named("other"));
    g.check().unwrap();
    minimize(&g, loss, &[&y], &Adam::new(0.2));
    let errors = g.check().unwrap_err().to_string();
    let (message, _) = errors.split_once(" (built at").unwrap();
    expect![[r#"adam: update(): another optimizer has this name: give one another by `named`"#]]
        .assert_eq(message);
    assert!(errors.contains(file!()), "{errors}");
}

#[test]
fn options_out_of_range_are_refused() {
    let cosine = |steps, min| Sgd::new(Rate::new(0.1, Cosine { steps, min }));
    let step = |every, gamma| Sgd::new(Rate::new(0.1, Step { every, gamma }));
    let adam = || Adam::new(1e-3);
    let wrong: Vec<Box<dyn Optimizer>> = vec![
        Box::new(Sgd::new(-0.1)),
        Box::new(Sgd::new(f64::NAN).named("disc")),
        Box::new(Sgd::new(0.1).momentum(-1.0)),
        Box::new(Sgd::new(0.1).weight_decay(-1.0)),
        Box::new(Sgd::new(0.1).momentum(0.9).dampening(f64::INFINITY)),
        Box::new(Sgd::new(0.1).nesterov()),
        Box::new(Sgd::new(0.1).momentum(0.9).dampening(0.1).nesterov()),
        Box::new(adam().betas(1.0, 0.999)),
        Box::new(adam().betas(0.9, -0.1)),
        Box::new(adam().eps(-1e-8)),
        Box::new(adam().weight_decay(f64::INFINITY)),
        Box::new(AdamW::new(1e-3).weight_decay(-0.5)),
        Box::new(step(0, 0.5)),
        Box::new(step(1, 0.0)),
        Box::new(cosine(0, 0.0)),
        Box::new(cosine(1, -1.0)),
        Box::new(adam().clip_norm(0.0)),
        Box::new(adam().betas(2.0, 0.9).clip_norm(1.0)),
    ];
    let lines: Vec<String> =
        wrong.iter().map(|o| format!("{}\n", o.check(&[]).unwrap_err())).collect();
    expect![[r#"
        sgd: rate must be at least 0, got -0.1
        disc: rate must be at least 0, got NaN
        sgd: momentum must be at least 0, got -1
        sgd: weight decay must be at least 0, got -1
        sgd: dampening must be finite, got inf
        sgd: Nesterov's momentum wants momentum above 0 and no dampening
        sgd: Nesterov's momentum wants momentum above 0 and no dampening
        adam: beta 1 must be in [0, 1), got 1
        adam: beta 2 must be in [0, 1), got -0.1
        adam: eps must be at least 0, got -0.00000001
        adam: weight decay must be at least 0, got inf
        adamw: weight decay must be at least 0, got -0.5
        step schedule: every must be at least 1, got 0
        step schedule: gamma must be above 0, got 0
        cosine schedule: steps must be at least 1, got 0
        cosine schedule: min must be at least 0, got -1
        clip_norm: max must be above 0, got 0
        adam: beta 1 must be in [0, 1), got 2
    "#]]
    .assert_eq(&lines.concat());
}

#[test]
fn parameters_of_16_bits_are_updated_in_singles_and_rounded_once() {
    let after = |dtype: DType, optimizer: &dyn Optimizer| {
        let p = Params::seeded(1).dtype(dtype);
        let w = p.param("w", [3], Init::full(1.5));
        let g = Graph::new();
        let c = g.constant(Tensor::new([3], vec![1.0f32, -3.0, 0.25]).unwrap().cast(dtype));
        minimize(&g, (g.param(&w) * c).sum_all(), &[&w], optimizer);
        let mut runner = Runner::default();
        runner.step(&g);
        let slots = runner.state.iter().filter(|(name, _)| name.ends_with("/w"));
        assert!(slots.clone().all(|(_, slot)| slot.dtype() == dtype.compute()));
        assert!(dtype == F32 || runner.state["w"].dtype() == dtype);
        runner.state["w"].cast(dtype.compute())
    };
    let optimizers: [Box<dyn Optimizer>; 3] = [
        Box::new(Adam::new(0.1)),
        Box::new(AdamW::new(0.01).clip_norm(1.0)),
        Box::new(Sgd::new(0.03).momentum(0.9).weight_decay(0.01)),
    ];
    for optimizer in &optimizers {
        for half in [BF16, F16] {
            let (got, want) = (after(half, optimizer), after(F32, optimizer));
            assert_eq!(got, want.cast(half).cast(F32), "{optimizer:?}");
        }
    }
}

/// Steps of 2⁻¹⁰ at 1: too small for eight bits.
#[test]
fn singles_of_which_casts_are_bound_keep_what_16_bits_lose() {
    let after = |dtype: DType| {
        let w = Params::seeded(1).dtype(dtype).param("w", [], Init::ones());
        let g = Graph::new();
        g.bind(&w, |w| w.cast(BF16));
        let loss = g.param(&w).cast(F32).sum_all();
        assert_eq!(g.ty(g.param(&w).id()).dtype(), BF16);
        minimize(&g, loss, &[&w], &Sgd::new(2f64.powi(-10)));
        let mut runner = Runner::default();
        (0..8).for_each(|_| runner.step(&g));
        runner.numbers("w")
    };
    assert_eq!((after(BF16), after(F32)), (vec![1.0], vec![1.0 - 2f64.powi(-7)]));
}
