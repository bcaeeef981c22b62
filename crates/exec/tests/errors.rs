//! What can go wrong, and that it changes nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod graphs;

use expect_test::expect;
use graphs::all;
use pleach_exec::{ExecError, Interpreted, Options, Plan, State};
use pleach_graph::Simpler;
use pleach_ops::{Dims, EvalError, Op, Sample, prelude::*};
use pleach_tensor::compare::bit_mismatch;
use serde::{Deserialize, Serialize};

const OPTIONS: Options = Options { threads: 1, fallback: false };

/// A square that no kernel knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Odd;

impl Primitive<1> for Odd {
    const NAME: &'static str = "odd";

    fn infer(&self, x: [&Type; 1]) -> Result<Type, TypeError> {
        Ok(x[0].clone())
    }

    fn eval(&self, x: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let x = x[0].to_f64s();
        if x.contains(&13.0) {
            return Err(EvalError::Other("13 is unlucky".into()));
        }
        Ok(Tensor::build(y, |i| x[i] * x[i]))
    }

    fn vjp<'g>(&self, _: usize, x: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> pleach_ops::Grad<'g> {
        (dy * x[0] * 2.0).into()
    }

    fn simplify(&self, _: [Var<'_>; 1]) -> Simpler<Op> {
        Simpler::Same
    }

    fn samples(_: &Dims) -> Vec<Sample> {
        vec![]
    }
}

/// The message without line numbers.
fn message(error: &ExecError) -> String {
    let text = error.to_string();
    let mut parts = text.split(".rs:");
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        out += ".rs:";
        out += part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
    }
    out
}

fn f32s(values: &[f32]) -> Tensor {
    Tensor::new([values.len()], values.to_vec()).unwrap()
}

#[test]
fn feeds_are_checked() {
    let g = Graph::new();
    let (x, y) = (g.input("x", F32, [2]), g.input("y", F32, [2]));
    g.output("z", (x + y).id());
    let mut plan = Plan::compile(&g, &g.inputs(), OPTIONS).unwrap();
    let mut oracle = Interpreted::new(graphs::copy(&g), &g.inputs()).unwrap();
    let mut state = State::new(&Params::seeded(1));
    let good = f32s(&[1.0, 2.0]);
    let bad = Tensor::new([2], vec![1.0f64, 2.0]).unwrap();
    let lists = [vec![], vec![&good], vec![&good; 3], vec![&good, &bad]];
    for feeds in &lists {
        let error = plan.run(&mut state, feeds.iter().copied()).unwrap_err();
        let same = oracle.run(&mut state, feeds.iter().copied()).unwrap_err();
        assert_eq!(error, same);
    }
    let few = plan.run(&mut state, [&good]).unwrap_err();
    expect!["expected 2 inputs (x, y), got 1"].assert_eq(&few.to_string());
    let wrong = plan.run(&mut state, [&good, &bad]).unwrap_err();
    expect![[r#"input "y" has type f32[2], got f64[2]"#]].assert_eq(&wrong.to_string());
    // The plan is as good as before.
    let z = plan.run(&mut state, [&good, &good]).unwrap().tensor("z").unwrap();
    assert_eq!(z.to_f64s(), [2.0, 4.0]);
}

#[test]
fn outputs_are_asked_for_by_name_and_kind() {
    let g = Graph::new();
    let x = g.input("x", F32, [2]);
    g.output("twice", (x * 2.0).id());
    g.output("sum", x.sum_all().id());
    let mut plan = Plan::compile(&g, &g.inputs(), OPTIONS).unwrap();
    let mut oracle = Interpreted::new(graphs::copy(&g), &g.inputs()).unwrap();
    let (mut state, x) = (State::new(&Params::seeded(1)), f32s(&[1.0, 2.0]));
    let got = plan.run(&mut state, [&x]).unwrap();
    let want = oracle.run(&mut state, [&x]).unwrap();
    assert_eq!(got.names(), ["twice", "sum"]);
    assert_eq!(got.tensors(), want.tensors());
    assert_eq!((got.scalar("sum"), want.scalar("sum")), (Ok(3.0), Ok(3.0)));
    for name in ["twice", "half"] {
        assert_eq!(got.scalar(name).unwrap_err(), want.scalar(name).unwrap_err());
    }
    let unknown = got.tensor("half").unwrap_err().to_string();
    expect![[r#"there is no output named "half"; there are twice, sum"#]].assert_eq(&unknown);
    let vector = got.scalar("twice").unwrap_err().to_string();
    expect![[r#"output "twice" has type f32[2], which is not a single number"#]].assert_eq(&vector);
}

/// Every variable is assigned, in place where that is allowed; then an index is out of range.
#[test]
fn an_index_out_of_range_in_a_loop_leaves_the_state_alone() {
    let (g, p) = (Graph::train(), Params::seeded(2));
    let w = p.param("w", [4], Init::ones());
    let is = g.input("is", I64, [3]);
    let a = g.param(&w);
    // The new value is there before the loop runs.
    let halved = a * 0.5;
    g.assign_param(&w, halved);
    let taken = g.scan((), is, |(), i| ((), halved.take(0, i))).1;
    g.output("taken", taken.id());
    let mut plan = Plan::compile(&g, &g.inputs(), OPTIONS).unwrap();
    let mut state = State::new(&p);
    let bad = Tensor::new([3], vec![0i64, 1, 7]).unwrap();
    let error = plan.run(&mut state, [&bad]).unwrap_err();
    assert!(matches!(error, ExecError::Index { index: 7, len: 4, .. }));
    assert!(error.to_string().contains("tests/errors.rs:"), "{error}");
    assert_eq!(state.value("w").unwrap().splat(), Some(1.0));
}

#[test]
fn an_index_out_of_range_names_its_operator_and_leaves_the_state_alone() {
    for late in [false, true] {
        let (g, p) = (Graph::train(), Params::seeded(2));
        let (w, v) = (p.param("w", [4], Init::ones()), p.param("v", [4], Init::ones()));
        let i = g.input("i", I64, [3]);
        let noise = g.key().normal(F32, [4]);
        let (a, b) = (g.param(&w), g.param(&v));
        let taken = if late { None } else { Some(a.take(0, i).sum_all()) };
        g.assign_param(&w, a * 0.5 + noise);
        g.assign_param(&v, b.tanh());
        let taken = taken.unwrap_or_else(|| (a * 0.5).gather(0, i).sum_all());
        g.output("taken", taken.id());
        let mut plan = Plan::compile(&g, &g.inputs(), OPTIONS).unwrap();
        let mut state = State::new(&p);
        let good = Tensor::new([3], vec![0i64, 3, 1]).unwrap();
        plan.run(&mut state, [&good]).unwrap();
        let before = all(&state);
        for index in [4, -1, i64::MAX, i64::MIN] {
            let bad = Tensor::new([3], vec![0, 1, index]).unwrap();
            let error = plan.run(&mut state, [&bad]).unwrap_err();
            assert!(matches!(error, ExecError::Index { index: i, len: 4, .. } if i == index));
            assert!(error.to_string().contains("tests/errors.rs:"), "{error}");
            assert!(error.to_string().starts_with(if late { "gather" } else { "take" }));
            for ((name, x), (_, y)) in all(&state).iter().zip(&before) {
                assert!(bit_mismatch(x, y).is_none(), "{name}");
            }
        }
        let error =
            plan.run(&mut state, [&Tensor::new([3], vec![0i64, 9, 1]).unwrap()]).unwrap_err();
        if !late {
            expect!["take : f32[3] (built at crates/exec/tests/errors.rs:): index 9 is out of range for an axis of length 4"]
                .assert_eq(&message(&error));
        }
        plan.run(&mut state, [&good]).unwrap();
        let changed = all(&state).iter().zip(&before).filter(|(a, b)| a != b).count();
        assert_eq!(changed, 3, "w, v and the run counter");
    }
}

#[test]
fn operators_without_a_kernel_are_refused_or_interpreted() {
    let (g, p) = (Graph::train(), Params::seeded(2));
    let w = p.param("w", [2], Init::ones());
    let x = g.input("x", F32, [2]);
    let y = Var::apply(Odd, [x]);
    g.assign_param(&w, g.param(&w) + 1.0);
    g.output("y", (y + 1.0).id());
    let error = Plan::compile(&g, &g.inputs(), OPTIONS).unwrap_err();
    expect!["no kernel for odd : f32[2] (built at crates/exec/tests/errors.rs:); allow the interpreter, or compile without `no_fallback`"]
        .assert_eq(&message(&error));

    let options = Options { fallback: true, ..OPTIONS };
    let mut plan = Plan::compile(&g, &g.inputs(), options).unwrap();
    assert_eq!(plan.report().interpreted.len(), 1);
    assert_eq!(plan.report().kernels["call"], 1);
    let mut state = State::new(&p);
    let y = plan.run(&mut state, [&f32s(&[2.0, 3.0])]).unwrap().tensor("y").unwrap();
    assert_eq!(y.to_f64s(), [5.0, 10.0]);
    assert_eq!(state.get(&w).to_f64s(), [2.0, 2.0]);
    let error = plan.run(&mut state, [&f32s(&[2.0, 13.0])]).unwrap_err();
    expect!["odd : f32[2] (built at crates/exec/tests/errors.rs:): 13 is unlucky"]
        .assert_eq(&message(&error));
    assert_eq!(state.get(&w).to_f64s(), [2.0, 2.0]);
}

#[test]
fn foreign_models_unknown_inputs_and_graphs_with_errors_are_refused() {
    let (g, p, q) = (Graph::new(), Params::seeded(1), Params::seeded(1));
    let w = p.param("w", [2], Init::ones());
    let mine = q.param("w", [2], Init::full(5.0));
    let x = g.input("x", F32, [2]);
    g.assign_param(&w, g.param(&w) + x);
    let mut plan = Plan::compile(&g, &g.inputs(), OPTIONS).unwrap();
    let mut state = State::new(&q);
    let error = plan.run(&mut state, [&f32s(&[1.0, 1.0])]).unwrap_err();
    assert_eq!(error, ExecError::ForeignVariable { name: "w".into() });
    assert_eq!(state.get(&mine).to_f64s(), [5.0, 5.0]);
    // After the refusal the plan still runs on its own state.
    let mut own = State::new(&p);
    plan.run(&mut own, [&f32s(&[1.0, 1.0])]).unwrap();
    assert_eq!(own.get(&w).to_f64s(), [2.0, 2.0]);
    assert!(plan.run(&mut state, [&f32s(&[1.0, 1.0])]).is_err());

    let error = Plan::compile(&g, &[], OPTIONS).unwrap_err();
    assert!(matches!(error, ExecError::Unknown { what: "input", .. }), "{error}");

    let _ = x + g.input("z", F64, [2]);
    assert!(matches!(Plan::compile(&g, &g.inputs(), OPTIONS), Err(ExecError::Build(_))));
    assert_eq!(Plan::peak_bytes(&g), 0);
    assert!(matches!(Interpreted::new(g, &[]), Err(ExecError::Build(_))));
}
