//! Passes and pipelines on random graphs: values, gradients, price, ledger, idempotence.

use std::sync::Arc;

use pleach_passes::testing::{Broken, commutes, preserves, recipes};
use pleach_passes::{
    Absorb, Associate, Attend, Contract, Defer, Entropy, Fold, Fuse, Hoist, Join, Level, Lookup,
    Merge, Pass, Pick, Pipeline, Prune, Pull, Remat, Roll, Share, Shrink, Signs, Simplify, Slope,
    Stack, Stash, Unroll, Winograd,
};
use pleach_tensor::Key;
use proptest::prelude::*;
use proptest::test_runner::{Config, FailurePersistence, FileFailurePersistence, RngSeed};

fn config(cases: u32) -> Config {
    let folder = FileFailurePersistence::WithSource("proptest-regressions");
    let failure_persistence: Option<Box<dyn FailurePersistence>> = Some(Box::new(folder));
    Config { cases, failure_persistence, rng_seed: RngSeed::Fixed(20), ..Config::default() }
}

fn passes() -> Vec<Arc<dyn Pass>> {
    vec![
        Arc::new(Prune),
        Arc::new(Attend::default()),
        Arc::new(Unroll::default()),
        Arc::new(Roll::default()),
        Arc::new(Entropy),
        Arc::new(Fold),
        Arc::new(Simplify::default()),
        Arc::new(Signs),
        Arc::new(Share),
        Arc::new(Stash::default()),
        Arc::new(Defer::default()),
        Arc::new(Hoist::default()),
        Arc::new(Lookup),
        Arc::new(Pick),
        Arc::new(Shrink::default()),
        Arc::new(Join),
        Arc::new(Pull::default()),
        Arc::new(Contract),
        Arc::new(Stack::default()),
        Arc::new(Slope),
        Arc::new(Merge { large: 0, ..Merge::default() }),
        Arc::new(Absorb),
        Arc::new(Associate),
        Arc::new(Winograd::default()),
        Arc::new(Remat),
        Arc::new(Fuse::default()),
        Arc::new(Fuse { max_operands: 2, max_results: 2, max_size: 3, ..Fuse::default() }),
        Arc::new(Fuse { recompute_from: 0, ..Fuse::default() }),
    ]
}

/// Each pass alone, the whole pipeline, and every prefix of it.
fn pipelines() -> Vec<Pipeline> {
    let whole = Pipeline::default();
    let prefixes = (0..=whole.passes().len()).map(|n| whole.clone().prefix(n));
    passes().into_iter().map(|pass| Pipeline::new(vec![pass])).chain(prefixes).collect()
}

fn held(result: Result<impl Sized, Broken>, pipeline: &Pipeline) -> Result<(), TestCaseError> {
    result.map(drop).map_err(|why| {
        let names: Vec<&str> = pipeline.passes().iter().map(|p| p.name()).collect();
        TestCaseError::fail(format!("{names:?}: {why}"))
    })
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn at_level_exact_no_bit_changes(recipe in recipes(false), key in any::<u64>()) {
        let sample = recipe.build(false);
        for pipeline in pipelines() {
            held(preserves(&pipeline, &sample, Level::Exact, Key(key)), &pipeline)?;
        }
    }

    #[test]
    fn at_level_exact_no_bit_of_a_gradient_changes(recipe in recipes(false), key in any::<u64>()) {
        let sample = recipe.build(true);
        let pipeline = Pipeline::default();
        held(preserves(&pipeline, &sample, Level::Exact, Key(key)), &pipeline)?;
    }

    #[test]
    fn at_level_default_values_and_gradients_are_equal_but_for_rounding(
        recipe in recipes(true),
        key in any::<u64>(),
    ) {
        for gradients in [false, true] {
            let sample = recipe.build(gradients);
            for pipeline in pipelines() {
                held(preserves(&pipeline, &sample, Level::Default, Key(key)), &pipeline)?;
            }
        }
    }

    /// `grad(rewrite(g))` against `grad(g)`.
    #[test]
    fn gradients_taken_after_the_passes_are_those_taken_before(
        recipe in recipes(true),
        key in any::<u64>(),
        level in prop_oneof![Just(Level::Exact), Just(Level::Default)],
    ) {
        let sample = recipe.build(false);
        for pipeline in pipelines() {
            let pipeline = pipeline.without("stop_gradient");
            held(commutes(&pipeline, &sample, level, Key(key)), &pipeline)?;
        }
    }
}
