//! Random graphs, gradients included, through the real kernels: `exact` has the bits of
//! `unoptimized` for any input, and every level agrees with the interpreter.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use pleach::exec::{Interpreted, Options, Plan};
use pleach::graph::Rewrite;
use pleach::passes::testing::{Sample, agree, recipes, scale_of};
use pleach::passes::{Class, Ledger, Level, PassCx, Pipeline};
use pleach::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

/// Outputs of two runs, and what the variables are after them. Fallback is forbidden.
fn run(g: &Graph, sample: &Sample, threads: usize, feeds: &[Tensor]) -> Vec<(String, Tensor)> {
    let options = Options { threads, fallback: false };
    let mut plan = Plan::compile(g, &sample.inputs, options).unwrap();
    let mut state = State::new(&Params::seeded(7));
    let mut all = Vec::new();
    for _ in 0..2 {
        all.extend(plan.run(&mut state, feeds).unwrap().tensors());
    }
    let names: Vec<String> = state.variables().map(|v| v.name().to_string()).collect();
    all.extend(names.into_iter().map(|n| (n.clone(), state.value(&n).unwrap())));
    // Which variables a plan needs depends on what was pruned, not what they hold.
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn optimized(g: &Graph, level: Level) -> Graph {
    let evaluate = |op: &Op, x: &[&Tensor], y: &Type| Plan::evaluate(op, x, y);
    let mut cx = PassCx::new(level, &evaluate);
    Pipeline::default().run(g, &mut cx, &mut Ledger::default()).unwrap().0
}

fn compared(
    class: Class,
    got: &[(String, Tensor)],
    want: &[(String, Tensor)],
    scale: f64,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(got.len(), want.len());
    for ((name, a), (other, b)) in got.iter().zip(want) {
        prop_assert_eq!(name, other);
        agree(class, a, b, scale).map_err(|why| TestCaseError::fail(format!("{name}: {why}")))?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: 400, rng_seed: RngSeed::Fixed(3), ..Config::default() })]

    #[test]
    fn exact_and_threads_change_no_bit(
        recipe in recipes(false),
        key in any::<u64>(),
        odd in any::<bool>(),
    ) {
        let sample = recipe.build(true);
        let feeds = sample.feeds(Key(key), odd);
        let want = run(&sample.graph, &sample, 1, &feeds);
        let exact = optimized(&sample.graph, Level::Exact);
        compared(Class::BitExact, &run(&exact, &sample, 1, &feeds), &want, 1.0)?;
        compared(Class::BitExact, &run(&exact, &sample, 2, &feeds), &want, 1.0)?;
    }

    /// The same of floats of 16 bits: every instruction of a fused loop rounds as if it ran alone.
    #[test]
    fn exact_changes_no_bit_of_16(
        recipe in recipes(false),
        key in any::<u64>(),
        odd in any::<bool>(),
        half in prop_oneof![Just(BF16), Just(F16)],
    ) {
        let sample = recipe.build(true);
        let graph = sample.graph.retype(F32, half).retype(F64, half);
        let sample = Sample { inputs: graph.inputs(), graph };
        let feeds = sample.feeds(Key(key), odd);
        let want = run(&sample.graph, &sample, 1, &feeds);
        let exact = optimized(&sample.graph, Level::Exact);
        compared(Class::BitExact, &run(&exact, &sample, 2, &feeds), &want, 1.0)?;
    }

    #[test]
    fn default_agrees_with_the_interpreter(recipe in recipes(true), key in any::<u64>()) {
        let sample = recipe.build(true);
        let feeds = sample.feeds(Key(key), false);
        let scale = scale_of(&sample.graph, &feeds).unwrap();
        let (copy, _) = sample.graph.rebuild(|_, _, _, _| Rewrite::Keep);
        let mut oracle = Interpreted::new(copy, &sample.inputs).unwrap();
        let mut state = State::new(&Params::seeded(7));
        let mut want = oracle.run(&mut state, &feeds).unwrap().tensors();
        let best = optimized(&sample.graph, Level::Default);
        let options = Options { threads: 1, fallback: false };
        let mut plan = Plan::compile(&best, &sample.inputs, options).unwrap();
        let mut state = State::new(&Params::seeded(7));
        let mut got = plan.run(&mut state, &feeds).unwrap().tensors();
        want.sort_by(|a, b| a.0.cmp(&b.0));
        got.sort_by(|a, b| a.0.cmp(&b.0));
        compared(Class::Rounding, &got, &want, scale)?;
    }
}
