//! The same bits, whatever the threads, the compilation, and what lay in memory before.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod graphs;

use graphs::{Case, Named, all, bits_differ};
use pleach_exec::{Options, Plan, State};
use pleach_ops::prelude::*;
use proptest::prelude::*;

/// Three runs, all outputs and variables of each.
fn three(case: &Case, threads: usize) -> Vec<(String, Tensor)> {
    let (mut plan, mut state) = (case.plan(threads), State::new(&case.params));
    (0..3).flat_map(|_| case.run(&mut plan, &mut state)).collect()
}

fn same(got: &Named, want: &Named, what: &str, case: &Case) -> Result<(), TestCaseError> {
    let wrong = bits_differ(got, want);
    prop_assert!(wrong.is_none(), "{what}: {}\n{}", wrong.unwrap(), case.graph);
    Ok(())
}

/// Values that leave NaN or other garbage wherever they go.
fn poison(t: &Tensor) -> Tensor {
    match t.dtype() {
        d if d.is_float() => Tensor::full(t.ty(), f64::NAN),
        DType::Bool => Tensor::build_i64(t.ty(), |_| 1),
        _ => Tensor::build_i64(t.ty(), |_| 1),
    }
}

/// A run on a state full of garbage changes no bit of a later run on a good one.
fn survives_poison(case: &Case) -> Result<(), TestCaseError> {
    let good = State::new(&case.params);
    let mut fresh = case.plan(1);
    let want = case.run(&mut fresh, &mut good.clone());
    let mut used = case.plan(1);
    let mut bad = good.clone();
    used.run(&mut bad, &case.feeds).unwrap();
    for (name, value) in all(&bad) {
        bad.set(&name, &poison(&value)).unwrap();
    }
    let feeds: Vec<Tensor> = case.feeds.iter().map(poison).collect();
    used.run(&mut bad, &feeds).unwrap();
    same(&case.run(&mut used, &mut good.clone()), &want, "after poison", case)
}

/// Nothing reads what is free, and any order of instructions has the same bits.
fn survives_checks(case: &Case, want: &Named, seed: u64) -> Result<(), TestCaseError> {
    for seed in [None, Some(seed), Some(seed ^ 1)] {
        let options = Options { threads: 1, fallback: true };
        let inputs = case.graph.inputs();
        let mut plan = Plan::compile_checked(&case.graph, &inputs, options, seed).unwrap();
        let mut state = State::new(&case.params);
        let got: Vec<(String, Tensor)> =
            (0..3).flat_map(|_| case.run(&mut plan, &mut state)).collect();
        same(&got, want, "checked", case)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn random_graphs_give_the_same_bits(seed in any::<u64>(), single in any::<bool>()) {
        let case = Case::new(seed, if single { F32 } else { F64 });
        let want = three(&case, 1);
        same(&three(&case, 1), &want, "compiled again", &case)?;
        same(&three(&case, 2), &want, "2 threads", &case)?;
        same(&three(&case, 3), &want, "3 threads", &case)?;
        survives_poison(&case)?;
        survives_checks(&case, &want, seed)?;
    }
}

/// A training step that is large enough for every kind of kernel to be cut into tasks.
fn training() -> Case {
    let (graph, params) = (Graph::train(), Params::seeded(3));
    let (batch, width, classes) = (256, 256, 64);
    let w: Vec<Param> = ["w1", "w2"]
        .iter()
        .map(|name| params.param(name, [width, width], Init::normal(0.0, 0.05)))
        .chain([params.param("w3", [width, classes], Init::normal(0.0, 0.05))])
        .collect();
    let wide = params.buffer("wide", F32, [400, 300], Init::uniform(-1.0, 1.0));
    let key = Key(5);
    let ty = Type::new(F32, [batch, width]).unwrap();
    let labels = Type::new(I64, [batch]).unwrap();
    let feeds = vec![
        Tensor::uniform(&ty, key, -1.0, 1.0),
        Tensor::build_i64(&labels, |i| key.below(i as u64, classes as u64) as i64),
    ];
    {
        let g = &graph;
        let (x, t) = (g.input("x", F32, [batch, width]), g.input("t", I64, [batch]));
        let h = x.matmul(g.param(&w[0])).relu().dropout(0.25);
        let h = h.matmul(g.param(&w[1])).gelu();
        let loss = h.matmul(g.param(&w[2])).cross_entropy(t);
        let vars: Vec<Var<'_>> = w.iter().map(|w| g.raw_param(w)).collect();
        for ((w, var), grad) in w.iter().zip(&vars).zip(g.grad(loss, &vars)) {
            g.output(w.name(), grad.id());
            g.assign_param(w, *var - grad * 0.5);
        }
        let noise = g.key().normal(F32, [400, 300]);
        let old = g.param(&wide);
        let mixed = old.tanh() * 0.9 + noise * old.t().reshape([400, 300]).exp();
        g.output("sum", mixed.sum_all().id());
        g.output("rows", mixed.sum(0).id());
        g.output("columns", mixed.max(1).id());
        g.output("best", mixed.argmax(0).id());
        g.output("taken", mixed.take(0, t).id());
        g.assign_param(&wide, mixed.tanh());
        g.output("loss", loss.id());
    }
    Case { graph, params, feeds, rtol: 1e-4 }
}

#[test]
fn a_large_training_step_gives_the_same_bits_and_agrees() {
    let case = training();
    let want = three(&case, 1);
    for threads in [1, 2, 3] {
        same(&three(&case, threads), &want, "threads", &case).unwrap();
    }
    survives_poison(&case).unwrap();
    survives_checks(&case, &want, 1).unwrap();
    let mut plan = case.plan(2);
    let (mut state, mut other) = (State::new(&case.params), State::new(&case.params));
    let (got, want) = (case.run(&mut plan, &mut state), case.interpret(&mut other));
    assert_eq!(graphs::differ(&got, &want, case.rtol), None);
    let report = plan.report();
    assert!(report.in_place > 0 && report.updated_in_place > 0, "{report}");
    assert!(report.arena_bytes as f64 <= 1.05 * report.lower_bound as f64, "{report}");
}
