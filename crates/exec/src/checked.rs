//! Plans that show defects of plans: what is free holds NaN, and instructions run in any order.

use pleach_graph::NodeId;
use pleach_kernels::{Kernel, Scalar, Slice};
use pleach_ops::{Graph, Input};
use pleach_tensor::DType;

use crate::arena::Arena;
use crate::lower::{Instr, Lowered};
use crate::plan::{ARENA, Planned};
use crate::scalar::ScalarBuilder;
use crate::{ExecError, Options, Plan};

impl Plan {
    /// As [`Plan::compile`], to find defects of plans. Memory is filled with ones before the first
    /// run, and again after its last use in every run, so that what reads it wrongly reads NaN. With a
    /// `seed`, instructions run in an order that is drawn of all that there are. No bit of any result
    /// differs.
    ///
    /// # Errors
    /// As [`Plan::compile`].
    pub fn compile_checked(
        g: &Graph,
        inputs: &[Input],
        options: Options,
        seed: Option<u64>,
    ) -> Result<Plan, ExecError> {
        g.check()?;
        let mut planned = Planned::new(g);
        if let Some(seed) = seed {
            let order = planned.lowered.drawn_order(&planned.outputs, seed);
            planned.lowered.run_in(&order);
            planned.arena = Arena::new(&planned.lowered, &planned.outputs);
        }
        Plan::of(g, inputs, options, planned, true)
    }
}

impl Lowered {
    /// Fills the whole arena before the first instruction, and after each what is free then.
    /// Slices are places in buffers already.
    pub(crate) fn poison(&mut self, freed: &[Vec<(usize, usize)>], arena: usize) {
        let once = self.once.instrs;
        let mut all = Vec::with_capacity(self.instrs.len());
        all.extend(self.instrs.first().and_then(|first| fill(first.node, 0, arena)));
        for (at, instr) in std::mem::take(&mut self.instrs).into_iter().enumerate() {
            let node = instr.node;
            all.push(instr);
            all.extend(freed[at].iter().filter_map(|&(at, bytes)| fill(node, at, bytes)));
            if at + 1 == once {
                self.once.instrs = all.len();
            }
        }
        self.instrs = all;
    }
}

/// Ones in all bits of a part of the arena.
fn fill(node: NodeId, at: usize, bytes: usize) -> Option<Instr> {
    let mut program = ScalarBuilder::new(vec![]);
    let ones = program.constant(Scalar::fill(DType::U8, 255.0));
    let program = program.finish(&[ones]);
    let outputs = vec![Slice::new(ARENA, DType::U8, at, &[bytes])];
    (bytes > 0).then_some(Instr { kernel: Kernel::Loop { program, inputs: vec![], outputs }, node })
}
