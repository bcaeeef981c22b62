//! A small product: one block, found without a walk. What such a product takes is mostly calls.

use super::GemmPlan;
use super::blocks::Blocked;
use super::choice::Way;
use super::finish::Next;
use super::product::Matrices;
use super::strips::Nested;
use crate::Pool;
use crate::bind::{Mem, Start};
use crate::program::{Failure, Step};

/// A product that is one block.
#[derive(Debug)]
pub(crate) struct Single {
    plan: GemmPlan,
    starts: [Start; 3],
}

impl GemmPlan {
    /// As a step: with its places found, if it is one block.
    pub(crate) fn step(self) -> Box<dyn Step> {
        let one = self.tasks <= 1 && self.batch.numel() == 1;
        if !one || self.operands.iter().any(|s| s.dims.contains(&0)) {
            return Box::new(self);
        }
        let starts = self.operands.each_ref().map(Start::of);
        Box::new(Single { plan: self, starts })
    }
}

impl Step for Single {
    unsafe fn run(&self, mem: Mem<'_>, _: &Pool) -> Result<(), Failure> {
        let GemmPlan { m, n, k, ref strides, ref sides, ref borders, way, .. } = self.plan;
        // SAFETY: the operands were checked for this memory, and are not empty.
        let [a, b, c] = self.starts.map(|start| unsafe { mem.first(start) });
        // SAFETY: as above.
        let placed = self.plan.then.as_ref().map(|then| unsafe { then.placed(mem) });
        let next = placed.as_ref().map_or(Next::NOTHING, |placed| Next { placed, at: [0, 0] });
        let [[a_rs, a_cs], [b_rs, b_cs], [c_rs, c_cs]] = *strides;
        let p = Matrices { m, n, k, a, a_rs, a_cs, b, b_rs, b_cs, c, c_rs, c_cs, add: false, next };
        // SAFETY: checked slices with these strides; c is apart from a and b. The sides give the
        // places of elements of a and b.
        unsafe {
            match way {
                Way::Direct(entry) => entry(p),
                Way::Blocked { panels, tiles, pack_a } => {
                    panels(Blocked { p, at: [0, 0], sides: &raw const *sides, tiles, pack_a });
                }
                Way::Strips(entry) | Way::Along(entry) => {
                    let (sides, borders) = (&raw const *sides, &raw const *borders);
                    entry(Nested { p, at: [0, 0], sides, borders });
                }
            }
        }
        Ok(())
    }
}
