//! Parameters, bindings, keys, and the same model in another float type.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use pleach_ops::prelude::*;
use pleach_ops::{Kind, RUNS, SEED, Sources, Variable};

#[test]
fn scopes_name_parameters_and_taken_names_get_numbers() {
    let p = Params::seeded(1);
    let encoder = p.scope("encoder");
    let names = |p: &Params| {
        [p.param("w", [2], Init::zeros()), p.param("w", [3], Init::zeros())]
            .map(|v| v.name().to_string())
    };
    assert_eq!(names(&p), ["w", "w~1"]);
    assert_eq!(names(&encoder), ["encoder.w", "encoder.w~1"]);
    assert_eq!(names(&encoder.scope("0")), ["encoder.0.w", "encoder.0.w~1"]);
    assert_eq!(names(&p.scope("encoder")), ["encoder~1.w", "encoder~1.w~1"]);
    assert_eq!(p.param("w~1", [], Init::zeros()).name(), "w~1~1");
    assert_eq!(p.scope("w").path(), "w~2");
    let buffer = encoder.buffer("seen", I64, [], Init::zeros());
    assert_eq!((buffer.kind(), buffer.ty().to_string().as_str()), (Kind::Buffer, "i64[]"));
    assert_eq!(p.variables().len(), 10);
    assert_eq!(p.count(), 4 * 5 + 1);
    assert_eq!(encoder.seed(), 1);
    assert!(p.errors().is_empty());
}

#[test]
fn first_values_depend_on_seed_and_name_alone() {
    let draw = |seed, names: &[&str]| {
        let p = Params::seeded(seed).scope("layer");
        let mut values: Vec<(String, Tensor)> = names
            .iter()
            .map(|n| p.param(n, [4], Init::normal(0.0, 1.0)))
            .map(|v| (v.name().to_string(), v.initial()))
            .collect();
        values.sort_by(|a, b| a.0.cmp(&b.0));
        values
    };
    let forth = draw(7, &["a", "b", "c"]);
    assert_eq!(forth, draw(7, &["c", "a", "b"]));
    assert_ne!(forth[0].1, forth[1].1);
    assert_ne!(forth, draw(8, &["a", "b", "c"]));
    let p = Params::seeded(7);
    let value = Tensor::new([2], vec![1.0f32, 2.0]).unwrap();
    assert_eq!(p.param("v", [2], value.clone()).initial(), value);
    assert_eq!(p.param("f", [2], Init::full(0.5)).initial().splat(), Some(0.5));
    let u = p.param("u", [100], Init::uniform(2.0, 3.0)).initial().to_f64s();
    assert!(u.iter().all(|x| (2.0..3.0).contains(x)));
    assert_eq!(p.dtype(F64).param("d", [1], value.reshape([2]).unwrap()).ty().dtype(), F64);
}

#[test]
fn a_variable_that_cannot_be_is_reported_where_it_is_used() {
    let p = Params::seeded(1);
    let huge = p.param("huge", [1 << 40, 1 << 40], Init::normal(0.0, 1.0));
    let wrong = p.param("wrong", [2, 3], Tensor::scalar(1.0f32));
    let good = p.param("good", [2], Init::zeros());
    let report: Vec<String> = p.errors().iter().map(|(n, e)| format!("{n}: {e}")).collect();
    assert_eq!(
        report,
        [
            "huge: f32[1099511627776, 1099511627776] has more bytes than a machine can address",
            "wrong: shapes [] and [2, 3] differ",
        ]
    );
    let g = Graph::new();
    let error = g.param(&huge).ok().unwrap_err();
    assert_eq!(error.site.unwrap().line(), line!() - 1);
    assert!(g.param(&wrong).ok().is_err());
    assert!((g.param(&wrong) + g.param(&good)).ok().is_err());
    assert!(g.param(&good).ok().is_ok());
    assert_eq!(huge.initial().shape(), &Shape::scalar());
    assert_eq!(wrong.initial().shape(), &Shape::from([2, 3]));
}

#[test]
fn a_parameter_used_twice_is_one_node_and_two_models_do_not_collide() {
    let (p, q) = (Params::seeded(1), Params::seeded(1));
    let (a, b) = (p.param("w", [2], Init::ones()), q.param("w", [2], Init::ones()));
    for g in [Graph::new(), Graph::raw()] {
        assert_eq!(g.param(&a).id(), g.param(&a).id());
        assert_ne!(g.param(&a).id(), g.param(&b).id());
        assert_eq!(g.variables(), [a.clone(), b.clone()]);
    }
    let g = Graph::new();
    let w = g.param(&a);
    let dw = g.grad(w * w + w, &[w])[0];
    assert_eq!(dw.eval(&[]).unwrap().to_f64s(), [3.0; 2]);
}

#[test]
fn a_bound_parameter_is_its_expression_from_then_on() {
    let p = Params::seeded(1);
    let w = p.param("w", [3], Init::ones());
    let g = Graph::new();
    let before = g.param(&w);
    let mask = g.constant(Tensor::new([3], vec![1.0f32, 0.0, 1.0]).unwrap());
    let bound = g.bind(&w, |w| w * mask);
    assert_eq!(g.param(&w).id(), bound.id());
    assert_eq!(g.raw_param(&w).id(), before.id());
    let y = g.param(&w) * 2.0;
    assert_eq!(y.eval(&[]).unwrap().to_f64s(), [2.0, 0.0, 2.0]);
    let dw = g.grad(y, &[g.raw_param(&w)])[0];
    assert_eq!(dw.eval(&[]).unwrap().to_f64s(), [2.0, 0.0, 2.0]);
    // A second binding sees the first.
    g.bind(&w, |w| w * 10.0);
    assert_eq!(g.param(&w).eval(&[]).unwrap().to_f64s(), [10.0, 0.0, 10.0]);
    let wide = g.retype(F32, F64);
    let w64 = wide.variables()[0].clone();
    assert_eq!(wide.param(&w64).eval(&[]).unwrap().to_f64s(), [10.0, 0.0, 10.0]);
    let other = Graph::new();
    let stranger = other.param(&w);
    assert_eq!(
        g.bind(&w, |_| Var::new(stranger.graph(), stranger.id())).ok().unwrap_err().op,
        "bind"
    );
}

#[test]
fn a_buffer_takes_values_of_its_type_only() {
    let p = Params::seeded(1);
    let seen = p.buffer("seen", I64, [], Init::zeros());
    let g = Graph::new();
    g.assign_param(&seen, g.param(&seen) + 1);
    assert_eq!(g.roots().len(), 1);
    g.assign_param(&seen, g.full(F32, [], 1.0));
    let other = Graph::new();
    g.assign_param(&seen, other.full(I64, [], 1.0));
    let errors: Vec<String> = g.errors().iter().map(|e| e.reason.to_string()).collect();
    assert_eq!(
        errors,
        ["seen has type i64[], the value f32[]", "an operand belongs to another graph",]
    );
    assert_eq!(g.roots().len(), 1);
}

/// The value of a key for a seed and a number of runs.
fn key_at(key: Var<'_>, seed: i64, runs: i64) -> i64 {
    let variable = |v: &Variable| match v.name() {
        SEED => Some(Tensor::scalar(seed)),
        RUNS => Some(Tensor::scalar(runs)),
        _ => None,
    };
    let value = key.eval_with(Sources { input: &|_| None, variable: &variable }).unwrap();
    value.to_i64s()[0]
}

#[test]
fn keys_are_fresh_at_every_call_and_the_same_in_every_recording() {
    let record = |g: &Graph| {
        let (a, b) = (g.key(), g.key());
        let c = {
            let _layer = g.at_layer("encoder");
            g.key()
        };
        let d = {
            let _layer = g.at_layer("decoder");
            g.key()
        };
        [a, b, c, d].map(|key| key_at(key, 5, 0))
    };
    let keys = record(&Graph::train());
    assert_eq!(keys, record(&Graph::train()));
    let mut distinct = keys.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 4);
    // A layer's keys do not depend on how many others were drawn before.
    let g = Graph::train();
    for _ in 0..3 {
        g.key();
    }
    let _layer = g.at_layer("encoder");
    assert_eq!(key_at(g.key(), 5, 0), keys[2]);
}

#[test]
fn keys_differ_by_seed_and_by_run_and_runs_are_counted_once() {
    let g = Graph::train();
    let (key, other) = (g.key(), g.key());
    let values = [(1, 0), (2, 0), (1, 1), (2, 1)].map(|(seed, runs)| key_at(key, seed, runs));
    for i in 0..4 {
        for j in 0..i {
            assert_ne!(values[i], values[j]);
        }
    }
    assert_ne!(key_at(other, 1, 0), key_at(key, 1, 0));
    let roots = g.roots();
    assert_eq!(roots.len(), 1);
    let next = Var::new(&g, roots[0].value);
    assert_eq!(key_at(next, 0, 41), 42);
    assert_eq!(g.variables().iter().map(Variable::name).collect::<Vec<_>>(), [SEED, RUNS]);
}

#[test]
fn a_model_in_double_precision_is_the_same_model() {
    let p = Params::seeded(3);
    let w = p.param("w", [4, 8], Init::normal(0.0, 0.5));
    let b = p.param("b", [8], Init::full(0.1));
    let v = p.param("v", [8, 3], Init::uniform(-0.5, 0.5));
    let g = Graph::train();
    let (x, y) = (g.input("x", F32, [5, 4]), g.input("y", I64, [5]));
    let hidden = (x.matmul(g.param(&w)) + g.param(&b)).tanh();
    let logits = hidden.matmul(g.param(&v)) * 2.0;
    let loss = logits.cross_entropy(y) + 1e-2 * g.param(&w).square().sum_all();
    g.output("loss", loss.id());
    g.output("correct", logits.argmax(1).equal(y).mean().id());
    for (name, d) in
        ["dw", "db", "dv"].into_iter().zip(g.grad(loss, &[&w, &b, &v].map(|p| g.param(p))))
    {
        g.output(name, d.id());
    }
    let wide = g.retype(F32, F64);
    assert!(wide.check().is_ok() && wide.is_training());
    assert!(wide.ids().all(|id| wide.ty(id).dtype() != F32), "{wide}");
    assert_eq!(wide.inputs()[0].ty().to_string(), "f64[5, 4]");
    assert_eq!(wide.roots().len(), 5);
    let feed = Tensor::uniform(&Type::new(F32, [5, 4]).unwrap(), Key(1), -1.0, 1.0);
    let labels = Tensor::new([5], vec![0i64, 1, 2, 1, 0]).unwrap();
    for (a, b) in g.roots().iter().zip(wide.roots()) {
        let single = Var::new(&g, a.value).eval(&[&feed, &labels]).unwrap().to_f64s();
        let double = Var::new(&wide, b.value).eval(&[&feed.cast(F64), &labels]).unwrap().to_f64s();
        for (s, d) in single.iter().zip(&double) {
            assert!((s - d).abs() < 1e-5, "{}: {s} {d}", a.name);
        }
    }
    // The way back begins at the rounded values themselves.
    let back = wide.retype(F64, F32);
    let loss = |g: &Graph| Var::new(g, g.roots()[0].value).eval(&[&feed, &labels]).unwrap();
    assert_eq!(loss(&back), loss(&g));
}

#[test]
fn a_graph_read_from_text_knows_its_inputs() {
    let g = Graph::new();
    let (b, a) = (g.input("b", F32, [2]), g.input("a", F32, [2]));
    g.output("y", (a - b).id());
    let back = Graph::parse(&g.to_string(), &pleach_ops::Registry::new()).unwrap();
    assert_eq!(back.inputs(), g.inputs());
    assert!(back.input("a", F32, [2]).ok().is_err());
    assert_eq!(back.input("c", F32, [2]).ok().map(|_| back.inputs()[2].position()), Ok(2));
}

#[test]
fn a_tag_goes_to_the_scopes_inside_and_through_texts_and_types() {
    let p = Params::seeded(1);
    let slow = p.tag("slow");
    let inner = slow.scope("a").tag("decay").tag("slow");
    let w = inner.param("w", [2], Init::ones());
    let seen = slow.scope("b").buffer("seen", I64, [], Init::zeros());
    let plain = p.param("w", [2], Init::ones());
    assert_eq!(w.tags(), ["slow", "decay"]);
    assert_eq!((seen.tags(), plain.tags()), (&["slow".to_string()][..], &[][..]));
    // A slot is not found in its parameter's place.
    assert!(w.slot("m", w.ty().clone(), Init::zeros()).tags().is_empty());

    let g = Graph::train();
    g.output("y", (g.param(&w) + g.param(&plain)).id());
    let back: Graph = Graph::parse(&g.to_string(), &Default::default()).unwrap();
    for g in [&g, &back, &g.retype(F32, F64)] {
        let tagged: Vec<String> = g
            .variables()
            .iter()
            .filter(|v| v.matches("#decay"))
            .map(|v| v.name().to_string())
            .collect();
        assert_eq!(tagged, ["a.w"], "{g}");
    }
}
