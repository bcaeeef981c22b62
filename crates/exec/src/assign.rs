//! Assignments and outputs: where values go at the end of a run.

use pleach_graph::{NodeId, Root};
use pleach_kernels::{BufferId, Kernel, Slice};
use pleach_ops::Graph;
use pleach_tensor::Type;
use rustc_hash::FxHashMap;

use crate::lower::{Lowered, Storage};

/// An output of the plan: its name and where its value is, dense, until the next run.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) slice: Slice,
}

/// The value of a root on its way into a variable.
struct Write {
    node: NodeId,
    from: Slice,
    to: Slice,
}

/// Which instructions read or write every storage, in order.
struct Uses(Vec<Vec<usize>>);

impl Uses {
    fn new(lowered: &Lowered) -> Uses {
        let mut uses = vec![Vec::new(); lowered.storages.len()];
        for (at, instr) in lowered.instrs.iter().enumerate() {
            for slice in instr.kernel.inputs().into_iter().chain(instr.kernel.outputs()) {
                let of: &mut Vec<usize> = &mut uses[slice.buffer.0 as usize];
                if of.last() != Some(&at) {
                    of.push(at);
                }
            }
        }
        Uses(uses)
    }

    fn of(&self, buffer: BufferId) -> &[usize] {
        &self.0[buffer.0 as usize]
    }
}

impl Lowered {
    /// Makes every output dense memory of the arena, and every assignment write its variable: in
    /// place by the instruction that computes the value where nothing reads the old value any
    /// more, by a copy at the end otherwise. Values of nodes are not asked for after this.
    pub(crate) fn finish(&mut self, g: &Graph) -> Vec<Output> {
        let roots = g.roots();
        let outputs: Vec<Output> =
            roots.iter().filter(|r| r.target.is_none()).map(|r| self.output(g, r)).collect();
        let writes = self.writes(g, &roots);

        // How often a storage is read at the end: one that is read once only may be renamed.
        let mut asked: FxHashMap<BufferId, usize> = FxHashMap::default();
        let at_end = outputs.iter().map(|o| &o.slice).chain(writes.iter().map(|w| &w.from));
        at_end.for_each(|slice| *asked.entry(slice.buffer).or_default() += 1);

        let mut uses = Uses::new(self);
        let fails = self.instrs.iter().rposition(|i| i.kernel.can_fail());
        let mut late: Vec<Write> = Vec::new();
        for write in writes {
            let direct = asked[&write.from.buffer] == 1
                && self
                    .direct_writer(&write, &uses)
                    .is_some_and(|at| fails.is_none_or(|fails| fails < at));
            if direct {
                self.redirect(write.from.buffer, write.to.buffer, &mut uses);
                self.updated_in_place += 1;
            } else {
                late.push(write);
            }
        }
        for Write { node, from, to } in late {
            self.copy(node, from, to);
        }
        self.split_once(&outputs);
        outputs
    }

    /// Every assignment that changes something. Values that are read from a variable's memory are
    /// saved before any variable is written. Of two assignments to one variable the last counts.
    fn writes(&mut self, g: &Graph, roots: &[Root]) -> Vec<Write> {
        let last: FxHashMap<NodeId, usize> =
            roots.iter().enumerate().filter_map(|(i, r)| Some((r.target?, i))).collect();
        let mut writes = Vec::new();
        for (i, root) in roots.iter().enumerate() {
            let Some(target) = root.target.filter(|target| last[target] == i) else { continue };
            let (to, mut from) = (self.value(target), self.value(root.value));
            let is_variable = |lowered: &Lowered, slice: &Slice| {
                matches!(lowered.storages[slice.buffer.0 as usize], Storage::Variable(_))
            };
            if from == to || !is_variable(self, &to) {
                continue;
            }
            if is_variable(self, &from) {
                let saved = self.fresh(&g.ty(root.value));
                self.copy(root.value, from, saved.clone());
                from = saved;
            }
            writes.push(Write { node: root.value, from, to });
        }
        writes
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

    /// The instruction that can write the value into its variable at once: a loop that is the only
    /// writer of the whole of the value, after which nothing reads the old value of the variable.
    fn direct_writer(&self, Write { from, to, .. }: &Write, uses: &Uses) -> Option<usize> {
        let Storage::Arena { bytes } = self.storages[from.buffer.0 as usize] else { return None };
        let whole = from.is_contiguous()
            && from.offset == 0
            && from.dims == to.dims
            && bytes == from.numel() * from.dtype.size();
        if !whole {
            return None;
        }
        let writes = |&i: &usize| {
            self.instrs[i].kernel.outputs().iter().any(|slice| slice.buffer == from.buffer)
        };
        let mut writers = uses.of(from.buffer).iter().copied().filter(writes);
        let (at, None) = (writers.next()?, writers.next()) else { return None };
        let (Kernel::Loop { inputs, outputs, .. } | Kernel::LoopReduce { inputs, outputs, .. }) =
            &self.instrs[at].kernel
        else {
            return None;
        };
        if !outputs.contains(from) {
            return None;
        }
        // In place: the loop may read the old value only at the element that it writes.
        let aligned = inputs.iter().all(|x| x.buffer != to.buffer || x == to);
        let quiet = uses.of(to.buffer).last().is_none_or(|&last| last <= at);
        (aligned && quiet).then_some(at)
    }

    /// From here on storage `from` is storage `to`.
    fn redirect(&mut self, from: BufferId, to: BufferId, uses: &mut Uses) {
        let moved = std::mem::take(&mut uses.0[from.0 as usize]);
        for &i in &moved {
            map_slices(&mut self.instrs[i].kernel, &|s: &mut Slice| {
                if s.buffer == from {
                    s.buffer = to;
                }
            });
        }
        let of = &mut uses.0[to.0 as usize];
        of.extend(moved);
        of.sort_unstable();
        of.dedup();
    }
}

/// Applies `f` to every slice of an instruction.
pub(crate) fn map_slices(kernel: &mut Kernel, f: &dyn Fn(&mut Slice)) {
    match kernel {
        Kernel::Repeat { body, .. } => body.iter_mut().for_each(|kernel| map_slices(kernel, f)),
        Kernel::Loop { inputs, outputs, .. }
        | Kernel::Attention { inputs, outputs, .. }
        | Kernel::Entropy { inputs, outputs } => inputs.iter_mut().chain(outputs).for_each(f),
        Kernel::LoopReduce { inputs, outputs, reduced, .. } => {
            let reduced = reduced.iter_mut().map(|(_, slice)| slice);
            inputs.iter_mut().chain(outputs).chain(reduced).for_each(f);
        }
        Kernel::Reduce { input, output, .. }
        | Kernel::ArgMax { input, output, .. }
        | Kernel::ArgMin { input, output, .. }
        | Kernel::ArgSort { input, output, .. }
        | Kernel::ArgMaxPool { input, output, .. } => {
            [input, output].into_iter().for_each(f);
        }
        Kernel::WindowsAdd { dy, output, .. } => [dy, output].into_iter().for_each(f),
        Kernel::MaxPool { input, values, numbers, .. } => {
            [input, values, numbers].into_iter().for_each(f);
        }
        Kernel::MaxPoolAdd { dy, numbers, output, .. } => {
            [dy, numbers, output].into_iter().for_each(f);
        }
        Kernel::Gemm { a, b, c } => [&mut a.slice, &mut b.slice, c].into_iter().for_each(f),
        Kernel::Take { x, indices, output, .. } | Kernel::Gather { x, indices, output, .. } => {
            [x, indices, output].into_iter().for_each(f);
        }
        Kernel::TakeAdd { dy, indices, output, .. }
        | Kernel::ScatterAdd { dy, indices, output, .. } => {
            [dy, indices, output].into_iter().for_each(f);
        }
        Kernel::Scatter { x, indices, src, output, .. } => {
            [x, indices, src, output].into_iter().for_each(f);
        }
        Kernel::Iota { output, .. } => f(output),
        Kernel::Random { key, output, .. } => [key, output].into_iter().for_each(f),
        Kernel::FoldIn { key, n, output } => [key, n, output].into_iter().for_each(f),
        Kernel::Linalg { inputs, work, output, .. } => {
            inputs.iter_mut().chain([work, output]).for_each(f);
        }
        Kernel::Winograd { inputs, work, output, .. } => {
            inputs.iter_mut().chain([work, output]).for_each(f);
        }
        Kernel::Call { inputs, output, .. } | Kernel::Cumulative { inputs, output, .. } => {
            inputs.iter_mut().chain([output]).for_each(f);
        }
    }
}
