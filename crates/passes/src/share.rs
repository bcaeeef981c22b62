//! Shares equal subgraphs: two nodes with the same operator and operands become one.
//!
//! ```text
//! %1 = sigmoid %0            %1 = sigmoid %0
//! %2 = sigmoid %0      =>
//! %3 = mul %1 %2             %2 = mul %1 %1
//! ```
//! Class: bit-exact. Cost: O(nodes). Run after [`simplify`](crate::Simplify), before
//! [`fuse`](crate::Fuse).

use pleach_graph::Rewrite;
use pleach_ops::Graph;

use crate::{Class, Classes, Outcome, Pass, PassCx, PassError};

/// Makes equal nodes one. Building is hash-consing, so building anew is all it takes, and only a graph
/// that was recorded raw or read from text needs it.
#[derive(Clone, Copy, Debug)]
pub struct Share;

impl Pass for Share {
    fn name(&self) -> &'static str {
        "share"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::BitExact)
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        if g.is_shared() {
            return Ok(Outcome::Unchanged);
        }
        let (new, map) = g.rebuild(|_, _, _, _| Rewrite::Keep);
        let same = new.len() == g.len() && new.structural_hash() == g.structural_hash();
        Ok(if same { Outcome::Unchanged } else { Outcome::Changed(new, map) })
    }
}
