//! Tests of passes and rules, for the library's own and for users'.
//!
//! | I want to… | item |
//! |---|---|
//! | see what a pass makes of a small graph | [`check`], [`check_unchanged`] |
//! | prove a rule | [`holds`]: both sides, values and gradients, generated from the rule |
//! | prove a pass on random graphs | [`preserves`], [`commutes`], with [`recipes`] or [`Recipe::drawn`] |
//! | make a graph that fails small | [`shrink`] |
//! | write a graph worse, by rules backwards | [`obfuscate`] |
//! | compare two values by class | [`agree`] |

mod kitchen;
mod laws;
mod obfuscate;
mod random;
mod shrink;
mod sides;
mod values;

use expect_test::Expect;
use pleach_ops::{Graph, Registry};

use crate::pipeline::check as same_outputs;
use crate::{Class, Ledger, Level, Outcome, Pass, PassCx, Totals};

pub use laws::{Broken, Law, Sample, commutes, interpreted, keeps, preserves, scale_of};
pub use obfuscate::obfuscate;
pub use random::{Plants, Recipe, Step, recipes};
pub use shrink::shrink;
pub use sides::{Held, holds};
pub use values::{agree, draw, special};

/// A graph from its text.
///
/// # Panics
/// If the text is no graph.
pub fn graph(text: &str) -> Graph {
    Graph::parse(text, &Registry::new()).unwrap_or_else(|e| panic!("the text is no graph: {e}"))
}

/// What a pass makes of a graph, and the ledger of it; `None` if it leaves the graph as it is.
///
/// # Panics
/// If the pass fails, breaks the graph or changes its outputs, or if the ledger does not add up.
pub fn run(pass: &dyn Pass, g: &Graph, cx: &mut PassCx<'_>) -> (Option<Graph>, Ledger) {
    let mut ledger = Ledger::default();
    let before = Totals::of(g);
    ledger.stage("graph", before);
    let new = match pass.run(g, cx) {
        Ok(Outcome::Unchanged) => None,
        Ok(Outcome::Changed(new, _)) => Some(new),
        Err(error) => panic!("{error}"),
    };
    if let Some(new) = &new {
        same_outputs(pass.name(), g, new).unwrap_or_else(|error| panic!("{error}\n{g}\n{new}"));
    }
    let after = new.as_ref().unwrap_or(g);
    let peak = cx.peak_of(after);
    ledger.enter(pass.name(), before, Totals::of(after), peak, cx);
    assert!(ledger.adds_up(), "the ledger does not add up:\n{ledger}");
    (new, ledger)
}

/// At level `default` the pass makes this of the graph.
///
/// # Panics
/// If it does not.
pub fn check(pass: impl Pass, text: &str, expect: Expect) {
    let (new, _) = run(&pass, &graph(text), &mut PassCx::reference(Level::Default));
    let new = new.unwrap_or_else(|| panic!("{} does not fire", pass.name()));
    expect.assert_eq(&new.to_string());
}

/// At level `default` the pass leaves the graph as it is.
///
/// # Panics
/// If it does not.
pub fn check_unchanged(pass: impl Pass, text: &str) {
    let (new, _) = run(&pass, &graph(text), &mut PassCx::reference(Level::Default));
    if let Some(new) = new {
        panic!("{} fires:\n{new}", pass.name());
    }
}

/// The weaker of two classes.
fn weaker(a: Class, b: Class) -> Class {
    a.max(b)
}
