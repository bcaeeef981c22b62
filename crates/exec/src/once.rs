//! Work that is the same in every run: it is done once, and again when what it reads has changed.
//!
//! An instruction is of that kind if all that it reads are constants, variables that the plan does not
//! write, and results of such instructions: frozen layers, what inference makes of weights, masks, rates.
//! Draws are among them only where the count of runs does not enter their keys. Such instructions go to
//! the front; what others read of them keeps its memory for as long as the plan lives. That is bounded: it
//! may take as much as the variables and constants of the plan do, and a little more. No bit changes.

use pleach_kernels::Kernel;

use crate::assign::Output;
use crate::lower::{Instr, Lowered, Storage};

/// Bytes that kept values may take besides as many as variables and constants do.
const ROOM: usize = 1 << 20;

/// What of a plan is done once.
#[derive(Debug, Default)]
pub(crate) struct Once {
    /// So many of the first instructions.
    pub(crate) instrs: usize,
    /// By storage: is it kept between runs?
    pub(crate) kept: Vec<bool>,
    /// Places of the variables that they read.
    pub(crate) variables: Vec<usize>,
}

/// Which instructions write and read a storage, in order.
#[derive(Clone, Default)]
struct Uses {
    writes: Vec<usize>,
    reads: Vec<usize>,
}

impl Lowered {
    /// Moves what is done once to the front. Outputs are asked for after every run.
    pub(crate) fn split_once(&mut self, outputs: &[Output]) {
        let mut uses = vec![Uses::default(); self.storages.len()];
        for (at, instr) in self.instrs.iter().enumerate() {
            let of = |slices: Vec<&pleach_kernels::Slice>| -> Vec<usize> {
                slices.iter().map(|s| s.buffer.0 as usize).collect()
            };
            of(instr.kernel.inputs()).into_iter().for_each(|s| uses[s].reads.push(at));
            of(instr.kernel.outputs()).into_iter().for_each(|s| uses[s].writes.push(at));
        }
        let mut asked = vec![false; self.storages.len()];
        outputs.iter().for_each(|output| asked[output.slice.buffer.0 as usize] = true);
        let mut once: Vec<bool> =
            self.instrs.iter().map(|i| !matches!(i.kernel, Kernel::Call { .. })).collect();
        let sources = self.storages.iter().map(|storage| match storage {
            Storage::Arena { .. } | Storage::Input(_) => 0,
            Storage::Variable(at) => self.variables[*at].ty().bytes(),
            Storage::Constant(value) => value.len(),
        });
        let room = sources.sum::<usize>().saturating_add(ROOM);
        let mut kept = settle(&self.storages, &uses, &asked, &mut once);
        // What does not fit is computed in every run, the largest first.
        loop {
            let bytes = |s: usize| match self.storages[s] {
                Storage::Arena { bytes } if kept[s] => bytes,
                _ => 0,
            };
            let sizes = (0..kept.len()).map(|s| (bytes(s), s));
            let total = sizes.clone().fold(0, |sum: usize, (bytes, _)| sum.saturating_add(bytes));
            let Some((_, largest)) = sizes.max().filter(|_| total > room) else { break };
            uses[largest].writes.iter().for_each(|&at| once[at] = false);
            kept = settle(&self.storages, &uses, &asked, &mut once);
        }
        let mut variables: Vec<usize> = Vec::new();
        for (storage, uses) in self.storages.iter().zip(&uses) {
            if let Storage::Variable(at) = storage
                && uses.reads.iter().any(|&at| once[at])
            {
                variables.push(*at);
            }
        }
        let (mut first, mut then): (Vec<Instr>, Vec<Instr>) = (Vec::new(), Vec::new());
        for (instr, once) in std::mem::take(&mut self.instrs).into_iter().zip(once) {
            if once { first.push(instr) } else { then.push(instr) }
        }
        let instrs = first.len();
        first.append(&mut then);
        self.instrs = first;
        self.once = Once { instrs, kept, variables };
    }
}

/// Takes back from `once` what depends on more than it may, until nothing changes; answers which storages
/// must be kept: those that are read afterwards.
fn settle(storages: &[Storage], uses: &[Uses], asked: &[bool], once: &mut [bool]) -> Vec<bool> {
    let mut changed = true;
    while changed {
        changed = false;
        for (storage, uses) in storages.iter().zip(uses) {
            let stays = match storage {
                Storage::Constant(_) => true,
                Storage::Variable(_) => uses.writes.is_empty(),
                Storage::Input(_) => false,
                Storage::Arena { .. } => {
                    let whole = !uses.writes.is_empty() && uses.writes.iter().all(|&at| once[at]);
                    // What others read before it is complete is written where it was.
                    let later = uses.reads.iter().find(|&&at| !once[at]);
                    whole && later.is_none_or(|at| uses.writes.last() < Some(at))
                }
            };
            for &at in uses.reads.iter().chain(&uses.writes).filter(|_| !stays) {
                changed |= std::mem::replace(&mut once[at], false);
            }
        }
    }
    let is_kept = |(s, uses): (usize, &Uses)| {
        uses.writes.iter().any(|&at| once[at])
            && (asked[s] || uses.reads.iter().any(|&at| !once[at]))
    };
    uses.iter().enumerate().map(is_kept).collect()
}
