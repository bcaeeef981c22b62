//! Planted mistakes, and what is right: the harness tells them apart.
//!
//! The rules are in `wrong/rules.rs`, one a line with what is wrong; the passes in
//! `wrong/passes.rs`, each a mistake that a graph optimizer once made.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "wrong/rules.rs"]
mod lists;
#[path = "wrong/passes.rs"]
mod passes;

use std::sync::Arc;

use pleach_check::{RewriteCheck, WrongRewrite};
use pleach_passes::testing::Law;
use pleach_passes::{Pipeline, Prune, Rule, rules};

fn all_caught(rules: &[Rule]) {
    let few = RewriteCheck { graphs: 64, ..RewriteCheck::default() };
    let believed = |rule: &Rule| match few.rewrite(rule) {
        Ok(proved) => Some(format!("{rule}\nis believed: {proved:?}")),
        Err(wrong) if wrong.why.contains("never fired") => Some(wrong.to_string()),
        Err(_) => None,
    };
    let believed: Vec<String> = rules.iter().filter_map(believed).collect();
    assert!(believed.is_empty(), "{} of {}\n{}", believed.len(), rules.len(), believed.join("\n"));
}

#[test]
fn a_rule_without_one_of_its_guards_is_caught() {
    all_caught(&lists::without_a_guard());
}

#[test]
fn rules_that_are_wrong_in_values_are_caught() {
    all_caught(&lists::in_values());
}

#[test]
fn rules_that_are_wrong_at_nan_and_zeros_alone_are_caught() {
    all_caught(&lists::at_nan_and_zeros());
}

/// Their gradients claimed lossy, they are believed: nothing else is wrong with them.
#[test]
fn rules_that_are_wrong_in_gradients_alone_are_caught() {
    let wrong = lists::in_gradients();
    all_caught(&wrong);
    for mut rule in wrong {
        rule.gradients = pleach_passes::Class::Lossy;
        let few = RewriteCheck { graphs: 16, ..RewriteCheck::default() };
        few.rewrite(&rule).unwrap_or_else(|why| panic!("{why}"));
    }
}

/// What a pass breaks, and how large the smallest graph is that shows it.
fn breaks(result: Result<impl std::fmt::Debug, WrongRewrite>, law: Law, most: usize) {
    let wrong = result.unwrap_err();
    assert_eq!(wrong.law, Some(law), "{wrong}");
    let graph = wrong.graph.as_deref().unwrap_or_default();
    let nodes = graph.lines().filter(|line| line.starts_with('%')).count();
    assert!((1..=most).contains(&nodes), "{nodes} nodes, at most {most}: {wrong}");
    assert!(wrong.to_string().contains(graph), "{wrong}");
}

#[test]
fn wrong_passes_are_caught_at_small_graphs() {
    let check = RewriteCheck::default();
    breaks(check.pass(passes::FoldRandom), Law::Values, 8);
    breaks(check.pass(passes::ShareDraws), Law::Values, 16);
    // Zeros of both signs, planted: by themselves they rarely meet. And after another pass, for this
    // one looks at dead nodes too, which no cut keeps.
    let zeros = rules! {
        zeros: R, R "planted" mul(div(x, 0.0), div(x, -0.0)) => mul(x, x);
    };
    let planted = RewriteCheck { rules: vec![zeros[0].clone(); 40], ..check.clone() };
    let pruned = Pipeline::new(vec![Arc::new(Prune), Arc::new(passes::EqualConstants)]);
    breaks(planted.pipeline(&pruned), Law::Values, 8);
    breaks(check.pass(passes::SwapOperands), Law::Values, 6);
    breaks(check.pass(passes::LoseUpdate), Law::Form, 40);
    breaks(check.pass(passes::HideNan), Law::Nan, 6);
    breaks(check.pass(passes::Recompute), Law::Price, 6);
    breaks(check.pass(passes::AnyOrder), Law::Repeats, 200);
}

#[test]
fn the_library_s_passes_and_pipeline_are_right() {
    let check = RewriteCheck { graphs: 64, ..RewriteCheck::default() };
    for name in Pipeline::default().passes().iter().map(|pass| pass.name()) {
        let others = Pipeline::default();
        let others = others.passes().iter().filter(|pass| pass.name() == name).take(1);
        let alone = Pipeline::new(others.cloned().collect());
        let alone = alone.without("stop_gradient").without("straight");
        check.pipeline(&alone).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    check.pipeline(&Pipeline::default()).unwrap_or_else(|why| panic!("{why}"));
}
