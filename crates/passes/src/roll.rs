//! Finds loops in what was recorded step by step.
//!
//! ```text
//! %4 = matmul %h %w
//! %6 = tanh (add %4 x[0])
//! %7 = matmul %6 %w            =>   %5 = scan(length: n, … {tanh (add (matmul h w) x)}) %h x %w
//! %9 = tanh (add %7 x[1])
//! …                                 what is used of each step is a slice of what the loop stacks
//! ```
//! A network unrolled by a loop of the host language is a tape that repeats itself. The operators of the
//! tape are letters; runs of a word are candidates. A run is a loop if every operand is the same in all steps,
//! or made so many operators before, or the next part of one value, or what the next (or the step before) step of
//! another loop made: so gradients go backwards over what the forward loop stacked. Only whole steps that
//! are alike are taken; what differs at both ends stays as it is. A loop begins where it carries least, and
//! stacks what is used of all steps, but for views of what it is given. What steps add to a value part by part
//! (the gradient of what they have slices of) is put together once.
//!
//! A step must do more than elementwise operators, which [`unroll`](crate::Unroll) makes one region of,
//! and must need the step before: else it is no loop, and [`merge`](crate::Merge) makes one product of
//! its products. Steps with parameters of their own stay: to put them together would be a copy. So does all of a
//! graph for which a limit of memory is given, as values of a loop are not computed again. Class:
//! kernel-exact. Cost: O(nodes). Run before all passes of loops, which find that products of all
//! steps are one.

mod build;
mod letter;
mod runs;
mod step;
mod tape;

use std::collections::HashMap;

use pleach_graph::{NodeId, Operator, Rewrite, Traits};
use pleach_ops::{Graph, Op};

use crate::family::is_view;
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Totals};
use step::Rolled;
use tape::Tape;

/// Name of the one rule of this pass.
const RULE: &str = "loop_of_steps";

/// Finds loops in what was recorded step by step.
#[derive(Clone, Copy, Debug)]
pub struct Roll {
    /// Fewest steps of a loop.
    pub min_steps: usize,
    /// Most bytes that a loop stacks for others.
    pub max_bytes: usize,
}

impl Default for Roll {
    fn default() -> Roll {
        Roll { min_steps: 4, max_bytes: 1 << 30 }
    }
}

impl Roll {
    /// The loops of a tape, none of which overlap.
    fn loops(&self, tape: &Tape<'_>, cx: &mut PassCx<'_>) -> Vec<Rolled> {
        let mut runs = runs::runs(&tape.labels, self.min_steps, cx);
        // Longest first; the gradient of a loop is one only if the loop is.
        runs.sort_by_key(|run| (std::cmp::Reverse(run.saved()), run.start));
        let mut found: Vec<Rolled> = Vec::new();
        loop {
            let before = found.len();
            runs.retain_mut(|run| {
                found.iter().for_each(|of| of.clip(run));
                if run.end - run.start < self.min_steps * run.period {
                    return false;
                }
                cx.step((run.end - run.start) as u64);
                let rolled = Rolled::of(tape, &found, run, self.min_steps)
                    .filter(|of| of.stacked(tape) <= self.max_bytes);
                let missed = rolled.is_none();
                found.extend(rolled);
                missed
            });
            if found.len() == before {
                return found;
            }
        }
    }
}

impl Pass for Roll {
    fn name(&self) -> &'static str {
        "roll"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::KernelExact)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        if cx.max_peak_bytes.is_some() || !cx.may(RULE, Class::KernelExact) {
            return Ok(Outcome::Unchanged);
        }
        let tape = Tape::of(g);
        let loops = self.loops(&tape, cx);
        if loops.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let first: HashMap<NodeId, usize> =
            loops.iter().enumerate().map(|(at, of)| (tape.ids[of.start], at)).collect();
        let mut owner: Vec<Option<usize>> = vec![None; tape.ids.len()];
        for (number, of) in loops.iter().enumerate() {
            owner[of.start..of.end()].fill(Some(number));
        }
        let mut places: Vec<Option<NodeId>> = vec![None; g.len()];
        let mut built: Vec<Option<build::Built>> = loops.iter().map(|_| None).collect();
        let live = g.live();
        let (new, map) = g.rebuild(|new, old, node, inputs| {
            if let Some(&number) = first.get(&old)
                && cx.may(RULE, Class::KernelExact)
            {
                let start = new.len();
                built[number] = build::build(new, &tape, &loops, number, &built, &mut places);
                if built[number].is_some() {
                    let nodes = &tape.ids[loops[number].start..loops[number].end()];
                    let gone: Totals = nodes.iter().map(|&id| Totals::of_node(g, id)).sum();
                    cx.applied(RULE, g, old, Totals::since(new, start) - gone);
                }
            }
            if !live[old.index()] {
                return Rewrite::Keep;
            }
            let owner = tape.place(old).and_then(|at| Some((at, owner[at]?)));
            let within = owner.and_then(|(at, of)| Some((at, &loops[of], built[of].as_ref()?)));
            places[old.index()] = match within {
                Some((at, of, built)) => built.value(new, &tape, of, at),
                None => Some(new.push(node.op.clone(), inputs)),
            };
            places[old.index()].map_or(Rewrite::Drop, Rewrite::Replace)
        });
        let done = built.iter().any(Option::is_some);
        Ok(if done { Outcome::Changed(new, map) } else { Outcome::Unchanged })
    }
}

/// Does an operator compute more than each element by itself?
fn is_heavy(op: &Op) -> bool {
    !op.traits().has(Traits::ELEMENTWISE)
        && !is_view(op)
        && !matches!(op, Op::Pad(_) | Op::Concat(_) | Op::Flip(_))
}
