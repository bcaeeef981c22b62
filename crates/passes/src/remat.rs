//! Computes values again instead of keeping them for the gradient: memory for work.
//!
//! ```text
//! %1 = tanh %0                     %1 = tanh %0
//! %2 = … the loss, of %1           %2 = … the loss, of %1
//! %3 = mul %1 …              =>    %3 = checkpoint(epoch: 1) %0
//!                                  %4 = tanh %3
//!                                  %5 = mul %4 …
//! ```
//! Does nothing unless the user marked values ([`Checkpoint`](pleach_ops::Checkpoint)) or asked for
//! less memory ([`PassCx::max_peak_bytes`]). A mark cuts the tape: what crosses a cut on its way
//! forward is kept, what lies between two cuts is computed again, what lies after the last is kept.
//! Under a limit the pass chooses, among
//!
//! - elementwise operators alone, by the least cut between all others and what the gradient reads: next to
//!   no work;
//! - cuts by dynamic programming, for segments of many sizes: √n segments of n equal layers, and
//!   others where layers differ;
//! - the values of any graph in the order of bytes times the time that they are kept, by the work of
//!   computing them again, as few as are enough;
//!
//! what meets the limit with the least work, by the peak that the planner gives for each; then keeps
//! again what is dearest, as much as there is room for. If nothing meets it, the lowest peak is taken.
//!
//! A value is computed again once at most, before its first use after the first output, so all of it
//! costs one more forward computation at most. Random numbers are functions of their keys, so masks are
//! the same again. The epoch of the checkpoint from which values are computed keeps them apart from the
//! first ones: sharing finds nothing equal. Class: kernel-exact. Cost: O(nodes) for marks; for a limit,
//! about thirty plans. Run last, on regions: what a region keeps inside takes no memory.

mod build;
mod cheap;
mod segments;
mod tape;

use pleach_graph::NodeId;
use pleach_ops::{Graph, Op};

use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Totals};
use build::{Built, build};
use tape::{Tape, is_mark};

/// Name of the one rule of this pass.
const RULE: &str = "computed_again";

/// Computes again what is not kept for the gradient.
#[derive(Clone, Copy, Debug)]
pub struct Remat;

/// A way to run the graph: what is kept, and what that takes.
struct Tried {
    kept: Vec<bool>,
    built: Built,
    peak: u64,
    /// Arithmetic and bytes moved.
    work: i64,
}

impl Pass for Remat {
    fn name(&self) -> &'static str {
        "remat"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::KernelExact)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE]
    }

    /// Plans are of what loops take in the end.
    fn needs_loops(&self) -> bool {
        true
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        let checkpoint = |epoch: u32| {
            let is = |op: &Op| matches!(op, Op::Checkpoint(c) if (c.epoch > 0) == (epoch > 0));
            g.ids().any(|id| g.peek(id, |node| is(&node.op)) == Some(true))
        };
        let (marked, limit) = (checkpoint(0), cx.max_peak_bytes);
        if !(marked || limit.is_some()) || checkpoint(1) || !cx.may(RULE, Class::KernelExact) {
            return Ok(Outcome::Unchanged);
        }
        let tape = if cx.in_loop { None } else { Tape::new(g) };
        let Some(tape) = tape else {
            return Ok(if marked { without_marks(g) } else { Outcome::Unchanged });
        };
        let marks = tape.marks();
        let by_marks = if marks.is_empty() { None } else { Some(tape.kept(&marks)) };
        let chosen = match limit {
            None => by_marks.map(|kept| build(&tape, &kept)),
            Some(limit) => choose(&tape, limit, by_marks, cx),
        };
        let Some(built) = chosen else {
            return Ok(if marked { without_marks(g) } else { Outcome::Unchanged });
        };
        for (old, nodes) in &built.again {
            let totals = |i: usize| Totals::of_node(&built.graph, NodeId::new(i));
            let delta = nodes.clone().map(totals).sum();
            cx.applied(RULE, g, *old, delta);
        }
        Ok(Outcome::Changed(built.graph, built.map))
    }
}

/// The graph without the user's marks.
fn without_marks(g: &Graph) -> Outcome {
    let (graph, map) = g.rebuild(|_, _, node, inputs| match is_mark(&node.op) {
        true => pleach_graph::Rewrite::Replace(inputs[0]),
        false => pleach_graph::Rewrite::Keep,
    });
    Outcome::Changed(graph, map)
}

fn attempt(tape: &Tape<'_>, kept: Vec<bool>, cx: &mut PassCx<'_>) -> Tried {
    let built = build(tape, &kept);
    cx.step(built.graph.len() as u64);
    let totals = Totals::of(&built.graph);
    let (peak, work) = (cx.peak_of(&built.graph), totals.flops + totals.bytes);
    Tried { kept, built, peak, work }
}

/// What meets the limit with the least work, or else takes the least memory; `None` if the graph as it
/// is does.
fn choose(
    tape: &Tape<'_>,
    limit: u64,
    by_marks: Option<Vec<bool>>,
    cx: &mut PassCx<'_>,
) -> Option<Built> {
    let plain = attempt(tape, by_marks.unwrap_or_else(|| vec![true; tape.g.len()]), cx);
    if plain.peak <= limit {
        return (!plain.built.again.is_empty()).then_some(plain.built);
    }
    let mut stash = tape.stash();
    let worth: Vec<f64> = stash.iter().map(|&i| tape.worth(i)).collect();
    let mut order: Vec<usize> = (0..stash.len()).collect();
    order.sort_by(|&a, &b| worth[b].total_cmp(&worth[a]));
    stash = order.into_iter().map(|at| stash[at]).collect();

    let total: u64 = stash.iter().map(|&i| tape.bytes[i]).sum();
    let mut best = plain;
    let better = |a: &Tried, b: &Tried| match (a.peak <= limit, b.peak <= limit) {
        (true, true) => (a.work, a.peak) < (b.work, b.peak),
        (false, false) => (a.peak, a.work) < (b.peak, b.work),
        (fits, _) => fits,
    };
    let best_of = |tried: Vec<Tried>, best: Tried| {
        tried.into_iter().fold(best, |best, t| if better(&t, &best) { t } else { best })
    };
    if let Some(kept) = cheap::kept(tape) {
        best = best_of(vec![attempt(tape, kept, cx)], best);
    }
    let mut segments = 2u64;
    let mut last: Vec<usize> = Vec::new();
    while segments <= stash.len() as u64 {
        let cuts = segments::cuts(tape, total / segments);
        if cuts != last && !cuts.is_empty() {
            best = best_of(vec![attempt(tape, tape.kept(&cuts), cx)], best);
            last = cuts;
        }
        segments += segments.div_ceil(3);
    }
    // As few as are enough, those first that are worth it most. What the gradient does not need is not
    // kept to compute others from it.
    let given_up = |n: usize| {
        let mut kept: Vec<bool> = tape.again.iter().map(|again| !again).collect();
        stash[n..].iter().for_each(|&i| kept[i] = true);
        kept
    };
    let tried = least(stash.len(), |n| attempt(tape, given_up(n), cx), |t| t.peak <= limit);
    best = best_of(tried, best);
    if best.peak <= limit {
        // Back again, those first that are worth it least, for as long as there is room.
        let gone: Vec<usize> = stash.iter().copied().filter(|&i| !best.kept[i]).collect();
        let base = best.kept.clone();
        let back = |n: usize| {
            let mut kept = base.clone();
            gone[n..].iter().for_each(|&i| kept[i] = true);
            kept
        };
        let tried = least(gone.len(), |n| attempt(tape, back(n), cx), |t| t.peak <= limit);
        best = best_of(tried, best);
    }
    if best.peak > limit {
        let reason = format!("takes {} bytes, more than {limit}", best.peak);
        cx.skip(RULE, tape.g, NodeId::new(tape.turn), &reason);
    }
    (!best.built.again.is_empty()).then_some(best.built)
}

/// Tries numbers up to `n` by bisection, for the least that is good: what was tried, in order.
fn least(
    n: usize,
    mut attempt: impl FnMut(usize) -> Tried,
    good: impl Fn(&Tried) -> bool,
) -> Vec<Tried> {
    let (mut low, mut high) = (0, n);
    let mut tried = Vec::new();
    while low < high {
        let middle = (low + high) / 2;
        let next = attempt(middle);
        if good(&next) {
            high = middle
        } else {
            low = middle + 1
        }
        tried.push(next);
    }
    tried
}
