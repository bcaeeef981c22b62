//! Leaves out what is known to be zero, or one number, before a run: neurons without a weight.
//!
//! ```text
//! %2 = select %mask %w %zeros : [64, 10]       %3 = slice(rows 8..64) %x …
//! %3 = matmul %x %2           : [5, 10]   =>   %4 = matmul %3 %2 : [5, 10]
//! ```
//! where the first eight rows of the constant mask are false. From constants forward it is found which slices
//! of a value are one number: of a weight whose mask is zero there, of the hidden unit that has no weight, of
//! its activation. From the outputs back it is found which slices are needed: terms of a product or a sum that
//! are zero need neither factor, and so their rows, units, gradients and updates are never computed. A term with
//! one factor that is a number `c` is the same for all rows: such terms are added up once, and go
//! into the bias that follows. What an output needs whole is computed where it is not known and filled up.
//!
//! `0·x` is 0 only where `x` is proved to be finite or known itself, so a mask that multiplies a weight that a run may
//! change is not zero: a mask that selects is. Who knows that all values are finite says so
//! ([`Shrink::finite`]). The zeros around an image are no constant channel, so a channel that is a number
//! but zero stays where there is padding. Nothing fires unless the whole graph gets cheaper. Class: rounding, for
//! shorter sums have another order. Cost: O(nodes + lengths of axes), and the constants, at most 8 times. Run after
//! [`Simplify`](crate::Simplify), before [`Fold`](crate::Fold), which evaluates what becomes of the constants.
//!
//! **Source** Han et al. 2015, 3.5.

mod axes;
mod build;
mod known;
mod plan;

use pleach_graph::NodeMap;
use pleach_ops::{Graph, Op};

use self::build::{Fired, build};
use self::known::Facts;
use self::plan::{Choice, Plan};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Price};

/// Names of the rules of this pass.
const DEAD: &str = "dead_terms";
const TERMS: &str = "constant_terms";
const FILLED: &str = "constant_slices";
/// Most graphs built one from the other.
const SWEEPS: usize = 8;

/// Removes neurons that are zero or constant, and all that only they need.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shrink {
    /// Is every value known to be finite, though nothing proves it? Then `0·x` is always 0, and a mask may
    /// multiply.
    pub finite: bool,
}

impl Pass for Shrink {
    fn name(&self) -> &'static str {
        "shrink"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![DEAD, TERMS, FILLED]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        let live = g.live();
        let has = |is: fn(&Op) -> bool| {
            g.ids().any(|id| live[id.index()] && g.peek(id, |node| is(&node.op)) == Some(true))
        };
        let source = |op: &Op| match op {
            Op::Constant(c) => c.value().shape().rank() > 0,
            op => matches!(op, Op::Iota(_) | Op::Pad(_)),
        };
        let contracts = |op: &Op| matches!(op, Op::MatMul(_) | Op::Sum(_));
        if !cx.may(DEAD, Class::Rounding) || !has(source) || !has(contracts) {
            return Ok(Outcome::Unchanged);
        }
        let mut done: Option<(Graph, NodeMap)> = None;
        // A smaller graph may have a better variant; each is cheaper than the one before.
        for _ in 0..SWEEPS {
            let from = done.as_ref().map_or(g, |(g, _)| g);
            let Some((new, map, fired)) = self.cheapest(from, cx) else { break };
            fired.into_iter().for_each(|(rule, at, delta)| cx.applied(rule, from, at, delta));
            cx.rebuilt(self.name(), from, &new, &map);
            done = Some(match done {
                None => (new, map),
                Some((_, before)) => (new, before.then(&map)),
            });
        }
        Ok(done.map_or(Outcome::Unchanged, |(new, map)| Outcome::Changed(new, map)))
    }
}

impl Shrink {
    /// The cheapest variant of a graph, if it is cheaper than the graph.
    fn cheapest(&self, g: &Graph, cx: &mut PassCx<'_>) -> Option<(Graph, NodeMap, Vec<Fired>)> {
        if !cx.may(DEAD, Class::Rounding) {
            return None;
        }
        let facts = Facts::of(g, &g.live(), cx.evaluate, self.finite);
        let mut best = None;
        let mut least = Price::of_live(g).work;
        for (terms, filled) in [(true, true), (true, false), (false, true), (false, false)] {
            let allowed = |asked: bool, rule| !asked || cx.may(rule, Class::Rounding);
            if !allowed(terms, TERMS) || !allowed(filled, FILLED) {
                continue;
            }
            let Some(steps) = Plan::of(g, &facts, Choice { terms, filled }) else { continue };
            let built = build(g, &facts, &steps);
            cx.step(g.len() as u64);
            let work = Price::of_live(&built.0).work;
            if work < least {
                (best, least) = (Some(built), work);
            }
        }
        best
    }
}
