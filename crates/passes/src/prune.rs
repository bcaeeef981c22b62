//! Prunes what no output needs.
//!
//! ```text
//! %1 = exp %0
//! %2 = neg %0           =>   %1 = neg %0
//! return %2                  return %1
//! ```
//! Class: bit-exact. Cost: O(nodes). Run first, and after passes that leave nodes behind.

use pleach_graph::Rewrite;
use pleach_ops::Graph;

use crate::{Class, Classes, Outcome, Pass, PassCx, PassError};

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

    fn run(&self, g: &Graph, _: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let live = g.live();
        if live.iter().all(|&l| l) {
            return Ok(Outcome::Unchanged);
        }
        let keep = |live: bool| if live { Rewrite::Keep } else { Rewrite::Drop };
        let (new, map) = g.rebuild(|_, old, _, _| keep(live[old.index()]));
        Ok(Outcome::Changed(new, map))
    }
}
