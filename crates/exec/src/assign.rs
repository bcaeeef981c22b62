//! Assignments and outputs: where values go at the end of a run.

use pleach_graph::{NodeId, Root};
use pleach_kernels::{BufferId, Kernel, Slice};
use pleach_ops::Graph;
use pleach_tensor::Type;

use crate::lower::{Lowered, Storage};

/// An output of the plan: its name and where its value is, dense, until the next run.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) slice: Slice,
}

impl Lowered {
    /// Makes every output dense memory of the arena, and every assignment write its variable: in
    /// place by the instruction that computes the value where nothing reads the old value any
    /// more, by a copy at the end otherwise.
    pub(crate) fn finish(&mut self, g: &Graph) -> Vec<Output> {
        let roots = g.roots();
        let outputs: Vec<Output> =
            roots.iter().filter(|r| r.target.is_none()).map(|r| self.output(g, r)).collect();
        // Values that are read from a variable's memory are saved before any variable is written.
        let mut writes: Vec<(NodeId, Slice, Slice)> = Vec::new();
        for root in roots {
            let Some(target) = root.target else { continue };
            let to = self.value(target);
            let mut from = self.value(root.value);
            if from == to {
                continue;
            }
            if matches!(self.storages[from.buffer.0 as usize], Storage::Variable(_)) {
                let saved = self.fresh(&g.ty(root.value));
                self.copy(root.value, from, saved.clone());
                from = saved;
            }
            writes.push((root.value, from, to));
        }
        let mut late: Vec<(NodeId, Slice, Slice)> = Vec::new();
        for (node, from, to) in writes {
            let pinned = outputs.iter().any(|o| o.slice.buffer == from.buffer)
                || late.iter().any(|(_, f, _)| f.buffer == from.buffer);
            match self.direct_writer(&from, &to).filter(|_| !pinned) {
                Some(_) => {
                    self.redirect(from.buffer, to.buffer);
                    self.updated_in_place += 1;
                }
                None => late.push((node, from, to)),
            }
        }
        for (node, from, to) in late {
            self.copy(node, from, to);
        }
        outputs
    }

    fn output(&mut self, g: &Graph, root: &Root) -> Output {
        let ty = g.ty(root.value);
        let mut slice = self.value(root.value);
        let arena = matches!(self.storages[slice.buffer.0 as usize], Storage::Arena { .. });
        if !(arena && slice.is_contiguous()) {
            let dense = self.fresh(&ty);
            self.copy(root.value, slice, dense.clone());
            slice = dense;
        }
        Output { name: root.name.to_string(), ty, slice }
    }

    /// The instruction that can write `from` into `to` at once: a loop that is the only writer of
    /// the whole of `from`, after which nothing reads the old value and nothing can fail.
    fn direct_writer(&self, from: &Slice, to: &Slice) -> Option<usize> {
        let Storage::Arena { bytes } = self.storages[from.buffer.0 as usize] else { return None };
        let whole = from.is_contiguous()
            && from.offset == 0
            && from.dims == to.dims
            && bytes == from.numel() * from.dtype.size();
        if !whole {
            return None;
        }
        let writes = |k: &Kernel, b: BufferId| k.outputs().iter().any(|s| s.buffer == b);
        let mut writers =
            (0..self.instrs.len()).filter(|&i| writes(&self.instrs[i].kernel, from.buffer));
        let (at, None) = (writers.next()?, writers.next()) else { return None };
        let Kernel::Loop { inputs, outputs, .. } = &self.instrs[at].kernel else { return None };
        if outputs.len() != 1 || outputs[0] != *from {
            return None;
        }
        // In place: the loop may read the old value only at the element that it writes.
        let aligned = inputs.iter().all(|x| x.buffer != to.buffer || x == to);
        let later = &self.instrs[at + 1..];
        let quiet = later.iter().all(|i| {
            let reads = i.kernel.inputs().iter().any(|s| s.buffer == to.buffer);
            !reads && !writes(&i.kernel, to.buffer) && !can_fail(&i.kernel)
        });
        (aligned && quiet).then_some(at)
    }

    /// From here on storage `from` is storage `to`.
    fn redirect(&mut self, from: BufferId, to: BufferId) {
        let change = |s: &mut Slice| {
            if s.buffer == from {
                s.buffer = to;
            }
        };
        self.instrs.iter_mut().for_each(|i| map_slices(&mut i.kernel, change));
        self.values.values_mut().for_each(change);
    }
}

/// Can the instruction stop a run? Variables are written after everything that can.
fn can_fail(kernel: &Kernel) -> bool {
    matches!(
        kernel,
        Kernel::Take { .. }
            | Kernel::TakeAdd { .. }
            | Kernel::Gather { .. }
            | Kernel::ScatterAdd { .. }
            | Kernel::Call { .. }
    )
}

/// Applies `f` to every slice of an instruction.
pub(crate) fn map_slices(kernel: &mut Kernel, f: impl Fn(&mut Slice)) {
    match kernel {
        Kernel::Loop { inputs, outputs, .. } => inputs.iter_mut().chain(outputs).for_each(f),
        Kernel::Reduce { input, output, .. } | Kernel::ArgMax { input, output, .. } => {
            [input, output].into_iter().for_each(f);
        }
        Kernel::Gemm { a, b, c } => [a, b, c].into_iter().for_each(f),
        Kernel::Take { x, indices, output, .. } | Kernel::Gather { x, indices, output, .. } => {
            [x, indices, output].into_iter().for_each(f);
        }
        Kernel::TakeAdd { dy, indices, output, .. }
        | Kernel::ScatterAdd { dy, indices, output, .. } => {
            [dy, indices, output].into_iter().for_each(f);
        }
        Kernel::Iota { output, .. } => f(output),
        Kernel::Random { key, output, .. } => [key, output].into_iter().for_each(f),
        Kernel::FoldIn { key, n, output } => [key, n, output].into_iter().for_each(f),
        Kernel::Call { inputs, output, .. } => inputs.iter_mut().chain([output]).for_each(f),
    }
}
