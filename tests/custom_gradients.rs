//! Users' own derivatives: at every level, in both modes, of both orders, through text and passes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use pleach::graph::{Rewrite, TypeError};
use pleach::ops::Registry;
use pleach::prelude::*;

/// `y = x³` with the gradient `g·x²`, so that a rule that is lost is seen.
fn cube<'g>(x: Var<'g>, g: f64) -> Var<'g> {
    let rule = |x: &[Var<'g>], _: Var<'g>, dy: Var<'g>| vec![dy * x[0] * x[0] * g];
    x.graph().custom_vjp(&[x], |x| x[0] * x[0] * x[0], rule)
}

/// The same by a rule for tangents.
fn cube_forward<'g>(x: Var<'g>, g: f64) -> Var<'g> {
    let rule = |x: &[Var<'g>], _: Var<'g>, dx: &[Var<'g>]| dx[0] * x[0] * x[0] * g;
    x.graph().custom_jvp(&[x], |x| x[0] * x[0] * x[0], rule)
}

fn two() -> Tensor {
    Tensor::new([2], vec![2.0, -3.0]).unwrap()
}

fn levels() -> [Compile; 4] {
    [Compile::none(), Compile::unoptimized(), Compile::exact(), Compile::default()]
}

/// The values of `y` at `x = [2, -3]`, the same at every level, without fallback.
fn everywhere(y: Var<'_>) -> Vec<f64> {
    let at = two();
    let want = y.eval(&[&at]).unwrap();
    for compile in levels() {
        let mut step = y.graph().infer(y).compile(compile.no_fallback()).unwrap();
        let mut state = State::new(&Params::seeded(0));
        let got = step.run(&mut state, [&at]).unwrap().tensor("y").unwrap();
        assert_eq!(got, want);
    }
    want.to_f64s()
}

#[test]
fn rules_hold_in_both_modes_and_orders_at_every_level() {
    type Cube = for<'g> fn(Var<'g>, f64) -> Var<'g>;
    for cube in [cube as Cube, cube_forward as Cube] {
        let g = Graph::new();
        let x = g.input("x", F64, [2]);
        let y = cube(x, 5.0);
        let ones = x.full_like(1.0);
        assert_eq!(everywhere(y), [8.0, -27.0]);
        assert_eq!(everywhere(g.grad(y, &[x])[0]), [20.0, 45.0]);
        assert_eq!(everywhere(g.jvp_of(y, &[(x, ones)])), [20.0, 45.0]);
        // The derivative of 5·x² is 10·x: the rule is differentiated, not the function.
        let first = g.grad(y, &[x])[0];
        assert_eq!(everywhere(g.grad(first, &[x])[0]), [20.0, -30.0]);
        assert_eq!(everywhere(g.hvp(y, x, ones)), [20.0, -30.0]);
        assert_eq!(everywhere(g.jvp_of(g.jvp_of(y, &[(x, ones)]), &[(x, ones)])), [20.0, -30.0]);
        let third = g.grad(g.grad(first, &[x])[0], &[x])[0];
        assert_eq!(everywhere(third), [10.0, 10.0]);
    }
}

#[test]
fn the_result_in_a_rule_is_differentiated_by_the_rule() {
    let g = Graph::new();
    let x = g.input("x", F64, [2]);
    // dy/dx = y, whatever the function: the second derivative is y, too.
    let y = g.custom_vjp(&[x], |x| x[0] + 1.0, |_, y, dy| vec![dy * y]);
    let first = g.grad(y, &[x])[0];
    assert_eq!(everywhere(first), [3.0, -2.0]);
    assert_eq!(everywhere(g.grad(first, &[x])[0]), [3.0, -2.0]);
}

#[test]
fn rules_live_through_text_and_rebuilding_and_another_float_type() {
    for build in [cube, cube_forward] {
        let g = Graph::new();
        let x = g.input("x", F64, [2]);
        let y = build(x, 5.0);
        g.output("y", y.id());
        let text = g.to_string();
        let read = Graph::parse(&text, &Registry::new()).unwrap();
        assert_eq!(read.to_string(), text);
        let (rebuilt, _) = g.rebuild(|_, _, _, _| Rewrite::Keep);
        assert_eq!(rebuilt.to_string(), text);
        let narrow = g.retype(F64, F32);
        for g in [&read, &rebuilt, &narrow] {
            let y = Var::new(g, g.roots()[0].value);
            let x = Var::new(g, g.ids().next().unwrap());
            let at = two().cast(x.dtype());
            let dx = g.grad(y, &[x])[0].eval(&[&at]).unwrap();
            assert_eq!(dx.to_f64s(), [20.0, 45.0]);
        }
    }
}

#[test]
fn passes_see_the_function_and_leave_nothing_of_the_rule() {
    let g = Graph::new();
    let x = g.input("x", F64, [2]);
    // ln(1 + eˣ) becomes softplus, though a rule hangs on it.
    let y = g.custom_vjp(&[x], |x| (x[0].exp() + 1.0).ln(), |_, _, dy| vec![dy * 2.0]);
    let step = g.infer(y).compile(Compile::default().no_fallback()).unwrap();
    let ledger = step.report().ledger.to_string();
    assert!(ledger.contains("ln_one_plus_exp"), "{ledger}");
    assert!(ledger.contains("straight"), "{ledger}");
}

#[test]
fn several_operands_and_what_has_no_gradient() {
    let g = Graph::new();
    let (x, i) = (g.input("x", F64, [2]), g.input("i", I64, [2]));
    let w = g.full(F64, [2], 10.0);
    // Two cotangents for the two floats; the integer has none.
    let y = g.custom_vjp(
        &[x, i, w],
        |v| v[0] * v[2] * v[1].cast(F64),
        |v, _, dy| vec![dy * v[2], dy * v[0]],
    );
    let index = Tensor::new([2], vec![3i64, 4]).unwrap();
    let value = |v: Var<'_>| v.eval(&[&two(), &index]).unwrap().to_f64s();
    assert_eq!(value(y), [60.0, -120.0]);
    let d = g.grad(y, &[x, w]);
    assert_eq!(value(d[0]), [10.0, 10.0]);
    assert_eq!(value(d[1]), [2.0, -3.0]);
}

#[test]
fn rules_may_use_values_from_outside_and_are_differentiated_by_them() {
    let g = Graph::new();
    let x = g.input("x", F64, [2]);
    let slope = x * 7.0;
    let y = g.custom_vjp(&[x], |x| x[0] * 1.0, |_, _, dy| vec![dy * slope]);
    let first = g.grad(y, &[x])[0];
    assert_eq!(everywhere(first), [14.0, -21.0]);
    assert_eq!(everywhere(g.grad(first, &[x])[0]), [7.0, 7.0]);
}

#[test]
fn functions_with_rules_nest() {
    let g = Graph::new();
    let x = g.input("x", F64, [2]);
    let outer =
        g.custom_vjp(&[x], |x| cube(x[0], 5.0) + 1.0, |x, _, dy| vec![cube(x[0], 4.0) * dy]);
    let first = g.grad(outer, &[x])[0];
    assert_eq!(everywhere(first), [8.0, -27.0]);
    assert_eq!(everywhere(g.grad(first, &[x])[0]), [16.0, 36.0], "by the rule of the rule");
}

#[test]
fn a_rule_that_is_not_linear_has_a_gradient_and_no_tangent() {
    let g = Graph::new();
    let x = g.input("x", F64, [2]);
    let y = g.custom_vjp(&[x], |x| x[0] * 3.0, |_, _, dy| vec![dy.clamp(-1.0, 1.0)]);
    assert_eq!(everywhere(g.grad(y * 9.0, &[x])[0]), [1.0, 1.0], "clipped");
    let error = g.jvp_of(y, &[(x, x)]).ok().unwrap_err().to_string();
    assert!(
        error.contains("the gradient of custom_vjp") && error.contains("not linear"),
        "{error}"
    );
    assert!(error.contains("custom_gradients.rs"), "{error}");

    // What has no derivative by the cotangent, or is added to it, is not linear either.
    type Rule = for<'g> fn(Var<'g>) -> Var<'g>;
    let rules: [Rule; 6] = [
        |dy| dy.sign(),
        |dy| dy.stop_gradient(),
        |dy| dy.less(1.0).cast(F64),
        |dy| dy + 1.0,
        |dy| dy.slice(0, 1..2).pad_with(&[(1, 0)], PadMode::Constant(3.0)),
        |dy| dy.full_like(1.0).less(2.0).select(dy, 1.0),
    ];
    for rule in rules {
        let g = Graph::new();
        let x = g.input("x", F64, [2]);
        let y = g.custom_vjp(&[x], |x| x[0] * 3.0, |_, _, dy| vec![rule(dy)]);
        assert!(g.jvp_of(y, &[(x, x)]).ok().is_err(), "{g}");
        let g = Graph::new();
        let x = g.input("x", F64, [2]);
        let y = g.custom_jvp(&[x], |x| x[0] * 3.0, |_, _, dx| rule(dx[0]));
        let _ = g.grad(y, &[x]);
        let error = g.check().unwrap_err().to_string();
        assert!(error.contains("not linear"), "{error}");
    }

    let g = Graph::new();
    let x = g.input("x", F64, [2]);
    let y = g.custom_jvp(&[x], |x| x[0] * 3.0, |_, _, dx| dx[0] * dx[0]);
    assert_eq!(everywhere(g.jvp_of(y, &[(x, x)])), [4.0, 9.0]);
    let _ = g.grad(y, &[x]);
    let error = g.check().unwrap_err().to_string();
    assert!(error.contains("not linear"), "{error}");
}

/// The one error of what `wrong` records, and whether it names the line of its caller.
#[track_caller]
fn refused(wrong: impl for<'g> FnOnce(&'g Graph, Var<'g>) -> Var<'g>) -> TypeError {
    let g = Graph::new();
    let x = g.input("x", F64, [2]);
    let error = wrong(&g, x).ok().unwrap_err();
    assert_eq!(g.errors().len(), 1);
    let line = std::panic::Location::caller().line();
    let place = error.site.unwrap().place().to_string();
    assert!(place.contains(&format!("custom_gradients.rs:{line}:")), "{place}, not {line}");
    error.reason
}

#[test]
fn wrong_rules_are_refused_at_the_line_of_the_user() {
    let reason = refused(|g, x| g.custom_vjp(&[x], |x| x[0].exp(), |_, _, dy| vec![dy.sum_all()]));
    assert_eq!(reason.to_string(), "cotangent 0 has type f64[], expected f64[2]");
    let reason = refused(|g, x| g.custom_vjp(&[x], |x| x[0].exp(), |_, _, dy| vec![dy, dy]));
    assert!(matches!(reason, TypeError::Sizes { left: 2, right: 1, .. }), "{reason}");
    let reason = refused(|g, x| g.custom_jvp(&[x], |x| x[0].sum_all(), |_, _, dx| dx[0]));
    assert_eq!(reason.to_string(), "tangent 0 has type f64[2], expected f64[]");
    let reason = refused(|g, x| g.custom_vjp(&[x], |x| x[0].less(1.0), |_, _, _| vec![]));
    assert!(reason.to_string().contains("which has no derivative"), "{reason}");
    // An error inside of the rule is at its own place in it.
    let reason =
        refused(|g, x| g.custom_vjp(&[x], |x| x[0].exp(), |_, _, dy| vec![dy.reshape([3])]));
    assert!(matches!(reason, TypeError::Sizes { left: 2, right: 3, .. }), "{reason}");
}

#[test]
fn a_float_from_outside_of_the_function_is_refused() {
    let reason = refused(|g, x| g.custom_vjp(&[], |_| x * 2.0, |_, _, _| vec![]));
    assert!(matches!(reason, TypeError::Captured(_)), "{reason}");
    let g = Graph::new();
    let x = g.input("x", F64, [2]);
    let known = (x.stop_gradient(), g.full(F64, [2], 2.0), x.less(0.0));
    let y = g.custom_vjp(&[x], |v| known.2.select(v[0] * known.0, known.1), |_, _, dy| vec![dy]);
    assert_eq!(everywhere(y), [2.0, 9.0]);
    let other = Graph::new();
    let stranger = other.input("x", F64, [2]);
    assert!(g.custom_vjp(&[stranger], |x| x[0], |_, _, dy| vec![dy]).ok().is_err());
}

#[test]
fn straight_through_has_the_bits_of_one_and_the_gradient_of_the_other() {
    let g = Graph::new();
    let x = g.input("x", F64, [2]);
    let y = (x * 0.3).straight_through(x);
    assert_eq!(everywhere(y), [2.0 * 0.3, -3.0 * 0.3]);
    assert_eq!(everywhere(g.grad(y, &[x])[0]), [1.0, 1.0]);
    assert_eq!(everywhere(g.jvp_of(y, &[(x, x)])), [2.0, -3.0]);
    let twice = (x * 0.3).straight_through(x * x);
    assert_eq!(everywhere(g.hvp(twice, x, x.full_like(1.0))), [2.0, 2.0]);
}

#[test]
fn a_parameter_behind_a_rule_is_trained_by_the_rule() {
    for compile in levels() {
        let params = Params::seeded(1).dtype(F64);
        let w = params.param("w", [2], Init::ones());
        let g = Graph::train();
        let y = cube(g.param(&w), 5.0);
        let mut step = g.minimize(y.sum_all(), Sgd::new(0.1)).compile(compile).unwrap();
        let mut state = State::new(&params);
        step.run(&mut state, []).unwrap();
        assert_eq!(state.value("w").unwrap().to_f64s(), [0.5, 0.5]);
    }
}

#[test]
fn a_rule_holds_in_each_step_of_a_loop() {
    for cube in [cube as for<'g> fn(Var<'g>, f64) -> Var<'g>, cube_forward] {
        let g = Graph::new();
        let x = g.input("x", F64, [2]);
        let slices = x * g.constant(Tensor::new([3, 1], vec![0.5, -0.25, 0.125]).unwrap());
        let step = |sum, x| (sum + cube(x, 5.0), cube(sum, 2.0));
        let (last, all) = g.scan(x, slices, step);
        let y = last + all.sum(0);
        let unrolled = {
            let (mut sum, mut all) = (x, Vec::new());
            for t in 0..3 {
                let (next, y) = step(sum, slices.slice(0, t..t + 1).squeeze(0));
                all.push(y);
                sum = next;
            }
            sum + all[0].stack(&all[1..], 0).sum(0)
        };
        let close = |a: Var<'_>, b: Var<'_>| {
            for (a, b) in everywhere(a).iter().zip(everywhere(b)) {
                assert!((a - b).abs() <= 1e-12 * b.abs(), "{a} {b}");
            }
        };
        close(y, unrolled);
        let ones = x.full_like(1.0);
        let (dy, du) = (g.grad(y, &[x])[0], g.grad(unrolled, &[x])[0]);
        close(dy, du);
        close(g.grad(dy, &[x])[0], g.grad(du, &[x])[0]);
        close(g.jvp_of(y, &[(x, ones)]), g.jvp_of(unrolled, &[(x, ones)]));
        close(g.jvp_of(y, &[(x, ones)]), dy);
    }
}
