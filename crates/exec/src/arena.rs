//! Memory: which storage lives when, who takes over whose memory, where everything lies.

use pleach_kernels::{BufferId, Kernel, Slice};

use crate::assign::Output;
use crate::lower::{Lowered, Storage};
use crate::place::{Block, lower_bound, place_least};

/// Where every storage of the arena lies.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    /// Byte offset by storage; 0 for storages outside of the arena.
    pub(crate) offsets: Vec<usize>,
    /// Bytes of the arena.
    pub(crate) bytes: usize,
    /// The most bytes that live at once: no arena can be smaller.
    pub(crate) lower_bound: usize,
    /// Storages that took over the memory of a dying operand.
    pub(crate) in_place: usize,
    /// Is it proved that no arena of these lifetimes is smaller?
    pub(crate) least: bool,
    /// Every block: the time of its last use, its offset and its bytes.
    pub(crate) blocks: Vec<(usize, usize, usize)>,
}

impl Arena {
    pub(crate) fn new(lowered: &Lowered, outputs: &[Output]) -> Arena {
        let n = lowered.storages.len();
        let mut leaves = Vec::new();
        let end = timeline(&mut lowered.instrs.iter().map(|i| &i.kernel), 0, &[], &mut leaves);
        let mut first = vec![usize::MAX; n];
        let mut last = vec![0usize; n];
        for leaf in &leaves {
            for slice in leaf.reads.iter().chain(&leaf.writes) {
                let s = slice.buffer.0 as usize;
                // What was made outside of a loop lives as long as the whole loop does.
                let around = leaf.loops.get(lowered.depths[s]);
                let (from, to) = around.copied().unwrap_or((leaf.at, leaf.at));
                first[s] = first[s].min(from);
                last[s] = last[s].max(to);
            }
        }
        for output in outputs {
            last[output.slice.buffer.0 as usize] = end;
        }
        // What is done once is there in all later runs.
        let kept = lowered.once.kept.iter().enumerate().filter(|(_, kept)| **kept);
        kept.for_each(|(s, _)| last[s] = end);
        let bytes = |s: usize| match lowered.storages[s] {
            Storage::Arena { bytes } => Some(bytes),
            _ => None,
        };

        // In place: a loop's output takes over a dying input of the same extent. `owner` leads to
        // the first storage of the chain, whose block is extended.
        let mut owner: Vec<usize> = (0..n).collect();
        let mut in_place = 0;
        for leaf in &leaves {
            let at = leaf.at;
            let (Kernel::Loop { inputs, outputs: written, .. }
            | Kernel::LoopReduce { inputs, outputs: written, .. }) = leaf.kernel
            else {
                continue;
            };
            for y in written {
                let s = y.buffer.0 as usize;
                if bytes(s).is_none() || first[s] != at || owner[s] != s {
                    continue;
                }
                let taken = written.iter().map(|o| owner[o.buffer.0 as usize]).collect::<Vec<_>>();
                let heir = inputs.iter().find(|x| {
                    let d = x.buffer.0 as usize;
                    bytes(d) == bytes(s)
                        && last[d] == at
                        && !taken.contains(&owner[d])
                        && same_place(x, y)
                        && inputs.iter().all(|o| o.buffer != x.buffer || same_place(o, y))
                });
                if let Some(x) = heir {
                    owner[s] = owner[x.buffer.0 as usize];
                    in_place += 1;
                }
            }
        }

        // A block is a storage, or several that follow one another in place.
        let mut block_of: Vec<Option<usize>> = vec![None; n];
        let mut blocks: Vec<Block> = Vec::new();
        for s in (0..n).filter(|&s| first[s] != usize::MAX) {
            let Some(bytes) = bytes(s) else { continue };
            let at = *block_of[owner[s]].get_or_insert_with(|| {
                blocks.push(Block { bytes, first: first[s], last: 0 });
                blocks.len() - 1
            });
            let block = &mut blocks[at];
            block.first = block.first.min(first[s]);
            block.last = block.last.max(last[s]);
        }
        let (places, least) = place_least(&blocks);
        let offset = |s: usize| block_of[owner[s]].map_or(0, |at| places.offsets[at]);
        let offsets = (0..n).map(offset).collect();
        let (bytes, lower_bound) = (places.end, lower_bound(&blocks));
        let blocks = blocks.iter().zip(&places.offsets);
        let blocks = blocks.map(|(block, &at)| (block.last, at, block.size())).collect();
        Arena { offsets, bytes, lower_bound, in_place, least, blocks }
    }

    /// What is free after every instruction that is in no loop: offsets and bytes of the blocks whose
    /// last use it is.
    pub(crate) fn freed(&self, lowered: &Lowered) -> Vec<Vec<(usize, usize)>> {
        let mut end = 0;
        let mut freed = Vec::new();
        for instr in &lowered.instrs {
            let (begin, one) = (end, std::iter::once(&instr.kernel));
            end = timeline(&mut { one }, begin, &[], &mut Vec::new());
            let dies = |(last, _, _): &&(usize, usize, usize)| (begin..end).contains(last);
            freed.push(self.blocks.iter().filter(dies).map(|&(_, at, n)| (at, n)).collect());
        }
        freed
    }

    /// The slice in the arena, or as it was.
    pub(crate) fn move_slice(&self, slice: &mut Slice, buffers: &[BufferId]) {
        let storage = slice.buffer.0 as usize;
        slice.buffer = buffers[storage];
        slice.offset += self.offsets[storage] / slice.dtype.size();
    }
}

/// An instruction that is no loop, in the order of time.
struct Leaf<'a> {
    at: usize,
    kernel: &'a Kernel,
    reads: Vec<&'a Slice>,
    writes: Vec<&'a Slice>,
    /// When the loops around it begin and end, the outermost first.
    loops: Vec<(usize, usize)>,
}

/// Appends the leaves of `kernels`, the first of which is at time `now`; answers the time after the
/// last. A loop ends after its last leaf: what it needs in every step outlives that leaf.
fn timeline<'a>(
    kernels: &mut dyn Iterator<Item = &'a Kernel>,
    mut now: usize,
    loops: &[(usize, usize)],
    leaves: &mut Vec<Leaf<'a>>,
) -> usize {
    for kernel in kernels {
        let Kernel::Repeat { body, .. } = kernel else {
            let (reads, writes) = (kernel.inputs(), kernel.outputs());
            leaves.push(Leaf { at: now, kernel, reads, writes, loops: loops.into() });
            now += 1;
            continue;
        };
        let (start, begin) = (leaves.len(), now);
        let inside = [loops, &[(begin, usize::MAX)]].concat();
        now = timeline(&mut body.iter(), now, &inside, leaves);
        leaves[start..].iter_mut().for_each(|leaf| leaf.loops[loops.len()].1 = now);
        now += 1;
    }
    now
}

/// Do both slices touch the same bytes, element by element?
fn same_place(x: &Slice, y: &Slice) -> bool {
    x.offset == y.offset
        && x.moves == y.moves
        && x.dims == y.dims
        && x.strides == y.strides
        && x.dtype.size() == y.dtype.size()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::copy_program;
    use pleach_graph::NodeId;
    use pleach_tensor::{F32, Type};

    /// In every step the loop reads what was made before it: nothing in it takes over that memory,
    /// even where the reading is the last thing that a step does.
    #[test]
    fn what_a_loop_reads_outlives_its_last_instruction() {
        let ty = Type::new(F32, [4]).expect("a small type");
        let mut lowered = Lowered::default();
        let outer = lowered.fresh(&ty);
        lowered.depth = 1;
        let inner = lowered.fresh(&ty);
        let (program, node) = (copy_program(F32), NodeId::new(0));
        let copy = Kernel::Loop { program, inputs: vec![outer], outputs: vec![inner] };
        lowered.emit(node, Kernel::Repeat { length: 2, reverse: false, body: vec![copy] });
        let arena = Arena::new(&lowered, &[]);
        assert_eq!(arena.in_place, 0);
        assert_ne!(arena.offsets[0], arena.offsets[1]);
    }
}
