//! Values that are computed where they are copied to: parts of a concatenation, what a loop stacks,
//! carries.

use pleach_kernels::{BufferId, Kernel, ScalarOp, Slice};

use crate::assign::map_slices;
use crate::lower::{Instr, Lowered, Storage};

/// From where to where an instruction copies, if it does nothing else.
fn copied(kernel: &Kernel) -> Option<(&Slice, &Slice)> {
    let Kernel::Loop { program, inputs, outputs } = kernel else { return None };
    let ([from], [to], [instr]) = (&inputs[..], &outputs[..], &program.instrs[..]) else {
        return None;
    };
    let same = from.dtype == to.dtype && from.dims == to.dims;
    (instr.op == ScalarOp::Copy && same).then_some((from, to))
}

fn touches(slices: &[&Slice], buffer: BufferId) -> bool {
    slices.iter().any(|slice| slice.buffer == buffer)
}

impl Lowered {
    /// In the body of a loop: an instruction writes its result where a later copy puts it, and the
    /// copy goes. Only values that are made in the body, and only if nothing looks at the place in
    /// between.
    pub(crate) fn write_in_place(&mut self) {
        let mut at = 0;
        while at < self.instrs.len() {
            match self.writer(at) {
                Some((from, to)) => {
                    self.instrs.remove(at);
                    self.rename(&from, &to);
                }
                None => at += 1,
            }
        }
    }

    /// Whether the copy at `at` can go, and from where to where it is.
    fn writer(&self, at: usize) -> Option<(Slice, Slice)> {
        let (from, to) = copied(&self.instrs[at].kernel)?;
        let storage = from.buffer.0 as usize;
        let Storage::Arena { bytes } = self.storages[storage] else { return None };
        let whole = from.offset == 0
            && from.moves.is_none()
            && from.is_contiguous()
            && from.numel() * from.dtype.size() == bytes;
        if !whole || self.depths[storage] != self.depth || to.buffer == from.buffer {
            return None;
        }
        let writes = |instr: &Instr| touches(&instr.kernel.outputs(), from.buffer);
        let writers: Vec<usize> =
            (0..self.instrs.len()).filter(|&i| writes(&self.instrs[i])).collect();
        let (&first, &last) = (writers.first()?, writers.last()?);
        let maker = &self.instrs[first].kernel;
        // One instruction makes all of it, or several make parts of what lies on end.
        let alone = first == last && maker.outputs().contains(&from);
        let strided = !to.is_contiguous();
        if last >= at || strided && !(alone && matches!(maker, Kernel::Loop { .. })) {
            return None;
        }
        // All looks at the value must be possible at its new place: whole, or as views of what is
        // contiguous; not from an inner loop.
        for instr in &self.instrs {
            let (reads, written) = (instr.kernel.inputs(), instr.kernel.outputs());
            let inner = matches!(instr.kernel, Kernel::Repeat { .. });
            let of = |slice: &&&Slice| slice.buffer == from.buffer;
            let all = reads.iter().chain(&written).filter(of);
            let fits = |slice: &&Slice| *slice == from || !strided && slice.dtype == from.dtype;
            let mut all = all.copied();
            if inner && all.next().is_some() || !all.all(|slice| fits(&slice)) {
                return None;
            }
        }
        // From the maker on, nothing else looks at the place; the maker may read what it replaces,
        // element by element.
        for (i, instr) in self.instrs.iter().enumerate().skip(first) {
            let (reads, written) = (instr.kernel.inputs(), instr.kernel.outputs());
            let apart = |slice: &&Slice| slice.is_apart(to);
            let in_place = matches!(instr.kernel, Kernel::Loop { .. }) && alone && i == first;
            let read = |slice: &&Slice| apart(slice) || in_place && slice.is_same_place(to);
            let reads_before = i < at && !reads.iter().all(read);
            if i != at && (reads_before || !written.iter().all(apart)) {
                return None;
            }
        }
        Some((from.clone(), to.clone()))
    }

    /// What was at `from` is at `to`.
    fn rename(&mut self, from: &Slice, to: &Slice) {
        let moved = |slice: &mut Slice| {
            if slice == from {
                *slice = to.clone();
            } else if slice.buffer == from.buffer {
                slice.buffer = to.buffer;
                slice.offset += to.offset;
                slice.moves = to.moves;
            }
        };
        self.instrs.iter_mut().for_each(|instr| map_slices(&mut instr.kernel, &moved));
        self.values.values_mut().for_each(moved);
    }
}
