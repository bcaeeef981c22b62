//! Prunes what no output needs.
//!
//! ```text
//! %1 = exp %0
//! %2 = neg %0           =>   %1 = neg %0
//! return %2                  return %1
//! ```
//! Variables that nothing needs are listed in the ledger. Class: bit-exact. Cost: O(nodes). Run
//! first, and after passes that leave nodes behind.

use pleach_graph::Rewrite;
use pleach_ops::{Graph, Op};

use crate::{Class, Classes, Delta, Outcome, Pass, PassCx, PassError, Totals};

/// Removes nodes that no output and no assignment needs.
#[derive(Clone, Copy, Debug)]
pub struct Prune;

impl Pass for Prune {
    fn name(&self) -> &'static str {
        "prune"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::BitExact)
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let live = g.live();
        cx.step(live.len() as u64);
        if live.iter().all(|&l| l) {
            return Ok(Outcome::Unchanged);
        }
        for id in g.ids().filter(|id| !live[id.index()]) {
            if let Op::Variable(variable) = &g.node(id).op {
                cx.unused(variable.name());
            }
            cx.enter("dead", g, id, Delta::default() - Totals::of_node(g, id));
        }
        let keep = |live: bool| if live { Rewrite::Keep } else { Rewrite::Drop };
        let (new, map) = g.rebuild(|_, old, _, _| keep(live[old.index()]));
        Ok(Outcome::Changed(new, map))
    }
}
