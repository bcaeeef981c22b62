//! Mistakes in models are reported together and name their place; programs, shared parameters,
//! bindings and frozen parameters do what they say.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use pleach::Problem;
use pleach::prelude::*;

fn messages(error: &CompileError) -> Vec<String> {
    error.0.iter().map(ToString::to_string).collect()
}

#[test]
fn independent_mistakes_are_reported_together_with_their_lines() {
    let params = Params::seeded(1);
    let layer = Linear::new(&params.scope("encoder"), 8, 4);
    let g = Graph::train();
    let x = g.input("x", F32, [2, 3]);
    let wide = layer.call(x);
    let first = line!() - 1;
    let sum = x + g.input("b", F32, [5]);
    let second = line!() - 1;
    let loss = (wide.sum_all() + sum.sum_all()).relu();
    let error = g.minimize(loss, Sgd::new(0.1)).compile(Compile::default()).unwrap_err();
    let messages = messages(&error);
    assert_eq!(messages.len(), 2, "{messages:#?}");
    let place = |line: u32| format!("(built at {}:{line}:", file!());
    assert!(messages[0].starts_with("encoder: matmul(f32[2, 3], f32[8, 4]): inner sizes differ"));
    assert!(messages[0].contains(&place(first)), "{}", messages[0]);
    assert!(messages[1].starts_with("add(f32[2, 3], f32[5]): shapes [2, 3] and [5] do not"));
    assert!(messages[1].contains(&place(second)), "{}", messages[1]);
    assert!(error.to_string().starts_with("2 errors\n  encoder: matmul"));
}

#[test]
fn a_parameter_that_no_gradient_reaches_names_the_cut() {
    let params = Params::seeded(1);
    let (used, cut) =
        (params.param("used", [2], Init::ones()), params.param("cut", [2], Init::ones()));
    let record = |g: &Graph| -> (NodeId, u32) {
        let floored = g.param(&cut).floor();
        let line = line!() - 1;
        ((g.param(&used) * floored).sum_all().id(), line)
    };
    let g = Graph::train();
    let (loss, line) = record(&g);
    let error = g.minimize(Var::new(&g, loss), Sgd::new(0.1)).compile(Compile::default());
    let message = error.unwrap_err().to_string();
    let want = format!(
        "no gradient reaches parameter \"cut\": floor has no derivative (built at {}:{line}:",
        file!()
    );
    assert!(message.starts_with(&want), "{message}");
    assert!(message.ends_with("if this is meant, say allow_unreached(\"cut\")"), "{message}");

    let g = Graph::train();
    let (loss, _) = record(&g);
    let step = g
        .minimize(Var::new(&g, loss), Sgd::new(0.1))
        .allow_unreached("cut")
        .compile(Compile::default())
        .unwrap();
    assert_eq!(step.report().trained, ["used"]);
    assert_eq!(step.report().frozen, ["cut"]);
}

#[test]
fn options_losses_patterns_and_names_are_checked() {
    let params = Params::seeded(1);
    let w = params.param("w", [2], Init::ones());
    let compile = |f: &dyn for<'g> Fn(&'g Graph, Var<'g>) -> Recording<'g>| {
        let g = Graph::train();
        let error = f(&g, g.param(&w)).compile(Compile::default()).unwrap_err();
        error.to_string()
    };
    let negative = compile(&|g, w| g.minimize(w.sum_all(), Sgd::new(-1.0)));
    assert_eq!(negative, "sgd: rate must be at least 0, got -1");
    let beta = compile(&|g, w| g.minimize(w.sum_all(), Adam::new(0.1).betas(0.9, 1.0)));
    assert!(beta.contains("must be in [0, 1), got 1"), "{beta}");
    let vector = compile(&|g, w| g.minimize(w, Sgd::new(0.1)));
    assert_eq!(vector, "the loss must be a single float, got f32[2]");
    let pattern = compile(&|g, w| g.minimize(w.sum_all(), Sgd::new(0.1)).only("v*"));
    assert!(pattern.starts_with("pattern \"v*\" names no parameter of this graph"), "{pattern}");
    let tag = compile(&|g, w| g.minimize(w.sum_all(), Sgd::new(0.1)).only("#v"));
    assert_eq!(tag, "no parameter of this graph has the tag \"v\"; tags are: none");
    let twice = compile(&|g, w| g.minimize(w.sum_all(), Sgd::new(0.1)).output("loss", w));
    assert_eq!(twice, "two outputs are named \"loss\"");
    let g = Graph::train();
    let loss = g.input("x", F32, [2]).sum_all();
    let nothing = g.minimize(loss, Sgd::new(0.1)).compile(Compile::default()).unwrap_err();
    assert_eq!(nothing.to_string(), "there is no parameter to train: the graph uses none");
}

#[test]
fn wrong_feeds_are_errors_and_change_nothing() {
    let params = Params::seeded(1);
    let w = params.param("w", [2], Init::ones());
    let g = Graph::train();
    let loss = (g.param(&w) * g.input("x", F32, [2])).sum_all();
    let mut step = g.minimize(loss, Sgd::new(0.1)).compile(Compile::default()).unwrap();
    let mut state = State::new(&params);
    let x = Tensor::new([2], vec![1.0f32, 2.0]).unwrap();
    let none: [&Tensor; 0] = [];
    assert_eq!(step.run(&mut state, none).unwrap_err().to_string(), "expected 1 inputs (x), got 0");
    let long = Tensor::new([3], vec![0.0f32; 3]).unwrap();
    let error = step.run(&mut state, [&long]).unwrap_err().to_string();
    assert_eq!(error, "input \"x\" has type f32[2], got f32[3]");
    assert_eq!(state.get(&w).to_f64s(), [1.0, 1.0]);
    step.run(&mut state, [&x]).unwrap();
    assert_eq!(state.get(&w).to_f64s(), [0.9f32 as f64, 0.8f32 as f64]);
    assert!(step.outputs().scalar("lss").unwrap_err().to_string().contains("there are loss"));
}

#[test]
fn a_tag_chooses_what_trains_and_what_may_be_unreached() {
    let params = Params::seeded(3);
    let head = Linear::new(&params.scope("head").tag("head"), 2, 1);
    let body = Linear::new(&params.scope("body"), 2, 2);
    let lost = params.scope("lost").tag("spare").param("w", [1], Init::ones());
    let compile = |only: &str, allowed: &str| {
        let g = Graph::train();
        let y = head.call(body.call(g.input("x", F32, [4, 2])).tanh());
        let loss = (y * g.param(&lost).floor()).square().mean();
        let recording = g.minimize(loss, Sgd::new(0.1)).only(only).allow_unreached(allowed);
        recording.compile(Compile::default()).map(|step| step.report().trained.clone())
    };
    assert_eq!(compile("#head", "#spare").unwrap(), ["head.w", "head.b"]);
    assert_eq!(compile("*", "#spare").unwrap(), ["body.w", "body.b", "head.w", "head.b"]);
    let error = compile("#tail", "#spare").unwrap_err();
    let [Problem::Tag { tag, known }] = &error.0[..] else { panic!("{error}") };
    assert_eq!((tag.as_str(), known.as_str()), ("tail", "head, spare"));
    assert!(matches!(compile("*", "#head").unwrap_err().0[..], [Problem::Unreached(_)]));
}

#[test]
fn only_trains_what_it_names_and_records_no_gradient_for_the_rest() {
    let params = Params::seeded(3);
    let (a, b) = (Linear::new(&params.scope("a"), 4, 4), Linear::new(&params.scope("b"), 4, 1));
    let gradient_nodes = |only: &str| {
        let g = Graph::train();
        let loss = b.call(a.call(g.input("x", F32, [8, 4])).tanh()).square().mean();
        let step = g.minimize(loss, Sgd::new(0.1)).only(only).compile(Compile::default()).unwrap();
        let entries = step.report().ledger.entries.clone();
        (entries.iter().find(|e| e.pass == "record backward").unwrap().delta.nodes, step)
    };
    let ((all, _), (some, mut step)) = (gradient_nodes("*"), gradient_nodes("b.*"));
    assert!(some < all, "{some} {all}");
    let mut state = State::new(&params);
    let x = Tensor::full(&Type::new(F32, [8, 4]).unwrap(), 1.0);
    step.run(&mut state, [&x]).unwrap();
    assert_eq!(state.get(&a.w), a.w.initial());
    assert_ne!(state.get(&b.w), b.w.initial());
}

#[test]
fn a_program_compiles_once_for_each_shape_over_one_state() {
    let params = Params::seeded(1);
    let layer = Linear::new(&params.scope("l"), 3, 2);
    let call = layer.clone();
    let mut program = Program::eval(Compile::default, move |g, types| {
        g.infer(call.call(g.input("x", F32, types[0].shape())))
    });
    let mut state = State::new(&params);
    for rows in [4usize, 1, 4, 0, 1] {
        let x = Tensor::full(&Type::new(F32, [rows, 3]).unwrap(), 0.5);
        let y = program.run(&mut state, &[&x]).unwrap().tensor("y").unwrap();
        assert_eq!(y.shape(), &Shape::from([rows, 2]));
    }
    assert_eq!(program.compiled(), 3);
    let wrong = Tensor::full(&Type::new(F32, [2, 4]).unwrap(), 0.5);
    assert!(program.run(&mut state, &[&wrong]).unwrap_err().to_string().contains("inner sizes"));
}

#[test]
fn a_graph_can_be_compiled_twice_and_a_bound_parameter_is_trained_through_its_binding() {
    let params = Params::seeded(1);
    let w = params.param("w", [2], Init::full(2.0));
    let g = Graph::train();
    let mask = g.constant(Tensor::new([2], vec![1.0f32, 0.0]).unwrap());
    g.bind(&w, |w| w * mask);
    let loss = g.param(&w).square().sum_all();
    let mut step = g.minimize(loss, Sgd::new(0.25)).compile(Compile::default()).unwrap();
    // Compiled after the training step: it must not have its outputs, nor train.
    let mut plain = g.infer(loss).compile(Compile::default()).unwrap();
    let mut state = State::new(&params);
    let none: [&Tensor; 0] = [];
    for _ in 0..2 {
        assert_eq!(plain.run(&mut state, none).unwrap().scalar("y").unwrap(), 4.0);
    }
    assert_eq!(plain.outputs().names(), ["y"]);
    step.run(&mut state, none).unwrap();
    assert_eq!(state.get(&w).to_f64s(), [1.0, 2.0], "the masked weight does not move");
    assert_eq!(plain.run(&mut state, none).unwrap().scalar("y").unwrap(), 1.0);
}

#[test]
fn what_is_left_out_must_exist() {
    let g = Graph::eval();
    let y = g.input("x", F32, [2]).exp();
    for name in ["fuse", "stop_gradient"] {
        assert!(g.infer(y).compile(Compile::default().without(name)).is_ok(), "{name}");
    }
    let error = g.infer(y).compile(Compile::default().without("fusee")).unwrap_err().to_string();
    assert!(error.starts_with("no pass and no rule is named \"fusee\"; there are "), "{error}");
}

#[test]
fn of_two_assignments_to_one_variable_the_last_counts() {
    for compile in [Compile::none(), Compile::unoptimized(), Compile::default()] {
        let params = Params::seeded(1);
        let seen = params.buffer("seen", F32, [2], Init::ones());
        let g = Graph::eval();
        let x = g.input("x", F32, [2]);
        let (first, second) = (x.exp() + 1.0, x * g.param(&seen) - 3.0);
        g.assign_param(&seen, first);
        g.assign_param(&seen, second);
        let mut step = g.infer(first + second).compile(compile).unwrap();
        let mut state = State::new(&params);
        let zeros = Tensor::full(&Type::new(F32, [2]).unwrap(), 0.0);
        let y = step.run(&mut state, [&zeros]).unwrap().tensor("y").unwrap();
        assert_eq!(y.to_f64s(), [-1.0, -1.0]);
        assert_eq!(state.get(&seen).to_f64s(), [-3.0, -3.0]);
    }
}

#[test]
fn values_of_another_graph_are_refused() {
    let params = Params::seeded(1);
    let w = params.param("w", [2], Init::ones());
    let (g, other) = (Graph::train(), Graph::train());
    let loss = g.param(&w).square().sum_all();
    let foreign = other.param(&w).sum_all();
    let said = |r: Recording<'_>| r.compile(Compile::default()).unwrap_err().to_string();
    let output = said(g.minimize(loss, Sgd::new(0.1)).output("f", foreign));
    assert_eq!(output, "\"f\" is a value of another graph than the one that is compiled");
    let wrong = said(g.minimize(foreign, Sgd::new(0.1)));
    assert_eq!(wrong, "\"loss\" is a value of another graph than the one that is compiled");
    let inferred = said(g.infer(foreign));
    assert_eq!(inferred, "\"y\" is a value of another graph than the one that is compiled");
}

#[test]
fn every_line_of_the_ledger_is_a_line_of_the_user() {
    let params = Params::seeded(1);
    let layer = Linear::new(&params.scope("l"), 3, 2);
    let g = Graph::train();
    let loss = (layer.call(g.input("x", F32, [5, 3])).tanh() / 3.0).square().mean();
    let rate = Rate::new(1e-2, Cosine { steps: 7, min: 0.1 });
    let adam = AdamW::new(rate).clip_norm(1.0);
    let step = g.minimize(loss, adam).compile(Compile::default()).unwrap();
    let entries = &step.report().ledger.entries;
    let sites: Vec<_> = entries.iter().filter_map(|e| e.site.as_ref()).collect();
    assert!(sites.len() > 5, "{}", step.report());
    for site in sites {
        assert_eq!(site.file(), file!(), "{site}");
    }
}

/// What a frozen layer costs in the backward pass: what leads through it, and nothing for it.
#[test]
fn frozen_parameters_cost_nothing_in_the_step() {
    let stage = |only: Option<&str>| {
        let params = Params::seeded(1);
        let (a, b) = (Linear::new(&params.scope("a"), 8, 8), Linear::new(&params.scope("b"), 8, 4));
        let g = Graph::train();
        let y = b.call(a.call(g.input("x", F32, [16, 8])).tanh());
        let recording = g.minimize(y.square().mean(), Adam::new(0.1));
        let recording = only.into_iter().fold(recording, Recording::only);
        let step = recording.compile(Compile::default()).unwrap();
        let slots = g.variables().iter().filter(|v| v.name().starts_with("adam.m/a")).count();
        let delta = |name: &str| {
            let stages = step.report().ledger.stages();
            stages.iter().find(|stage| stage.pass.ends_with(name)).unwrap().delta.flops
        };
        (slots, delta("forward"), delta("backward"), step.report().frozen.clone())
    };
    let (slots, forward, backward, frozen) = stage(None);
    assert_eq!((slots, frozen.len()), (2, 0));
    let (no_slots, same, less, frozen) = stage(Some("b.*"));
    assert_eq!((no_slots, same), (0, forward));
    assert_eq!(frozen, ["a.w", "a.b"]);
    // Without the gradients of a.w (2 · 8 · 8 · 16), of a.b, and of what leads to them.
    assert!(less + 2 * 8 * 8 * 16 < backward, "{less} {backward}");
}
