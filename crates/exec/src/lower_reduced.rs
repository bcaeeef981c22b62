//! Reductions that a loop does while it makes what they reduce.
//!
//! A sum along the last axes of what a loop makes is added up row by row while a row is in the nearest
//! cache; if nothing else reads the values, they are not written. The order of sums is that of the
//! reduction by itself, so no bit changes. A loop that reads a product stays as it is: it may be done
//! while the product is written.

use pleach_graph::{Node, NodeId};
use pleach_kernels::{
    BufferId, Kernel, Lowering, MAX_ROW, ReduceOp, ScalarProgram, Slice, loop_reduces,
};
use pleach_ops::Op;
use pleach_tensor::Type;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::lower::Lowered;
use crate::order::Lies;

/// A reduction along the last axes.
#[derive(Clone, Debug)]
struct Reduction {
    node: NodeId,
    op: ReduceOp,
    ty: Type,
}

/// The reductions that loops may do.
#[derive(Debug, Default)]
pub(crate) struct Reductions {
    /// Those of a value.
    of: FxHashMap<NodeId, Vec<Reduction>>,
    /// By node: is the value read otherwise, too?
    read: Vec<bool>,
    /// Values that were reduced and not written.
    pub(crate) gone: FxHashSet<NodeId>,
}

impl Reductions {
    /// The reductions of live nodes; values of nodes `asked` are read later.
    pub(crate) fn new(nodes: &[&Node<Op>], live: &[bool], asked: &[usize]) -> Reductions {
        let read = vec![false; nodes.len()];
        let mut found = Reductions { read, ..Reductions::default() };
        asked.iter().for_each(|&i| found.read[i] = true);
        for (i, node) in nodes.iter().enumerate().filter(|(i, _)| live[*i]) {
            if let [x] = node.inputs[..]
                && let of = &nodes[x.index()].ty
                && let Lowering::Reduce { op, axes } = node.op.lower(&[of], &node.ty)
            {
                let (rank, lead) = (of.rank(), node.ty.rank());
                let row = of.shape()[lead.min(rank)..].iter().product();
                let last = axes.iter().copied().eq(lead..rank) && (2..=MAX_ROW).contains(&row);
                if last && of.dtype().is_wide() {
                    let reduction = Reduction { node: NodeId::new(i), op, ty: node.ty.clone() };
                    found.of.entry(x).or_default().push(reduction);
                    continue;
                }
            }
            node.inputs.iter().for_each(|x| found.read[x.index()] = true);
        }
        found
    }
}

/// A result of a loop.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) node: NodeId,
    pub(crate) ty: Type,
    pub(crate) lies: Lies,
}

impl Lowered {
    /// Emits a loop with these results, and with what is reduced of them.
    pub(crate) fn looped(
        &mut self,
        id: NodeId,
        program: ScalarProgram,
        inputs: Vec<Slice>,
        made: &[Made],
    ) {
        let Some(Split { program, written, reduced }) = self.split(&program, &inputs, made) else {
            let outputs: Vec<Slice> = made.iter().map(|made| self.made(made)).collect();
            return self.emit(id, Kernel::Loop { program, inputs, outputs });
        };
        let outputs: Vec<Slice> = written.iter().map(|&i| self.made(&made[i])).collect();
        let gone = made.iter().map(|made| made.node).filter(|node| !self.values.contains_key(node));
        self.reductions.gone.extend(gone);
        let mut of = |Reduction { node, op, ty }: Reduction| {
            let slice = self.fresh(&ty);
            self.values.insert(node, slice.clone());
            (op, slice)
        };
        let reduced = reduced.into_iter().map(&mut of).collect();
        self.emit(id, Kernel::LoopReduce { program, inputs, outputs, reduced });
    }

    /// Memory for a result, which is where its value is.
    fn made(&mut self, made: &Made) -> Slice {
        let slice = self.memory(&made.ty, &made.lies);
        self.values.insert(made.node, slice.clone());
        slice
    }

    /// Which results are written and which reductions are done, if any can be.
    fn split(&self, program: &ScalarProgram, inputs: &[Slice], made: &[Made]) -> Option<Split> {
        let is_reduced = |made: &Made| self.reductions.of.contains_key(&made.node);
        if !made.iter().any(is_reduced) || inputs.iter().any(|x| self.products.contains(&x.buffer))
        {
            return None;
        }
        let mut split = Split { program: program.clone(), written: vec![], reduced: vec![] };
        split.program.outputs.clear();
        let (mut rank, mut regs) = (None, Vec::new());
        for (i, made) in made.iter().enumerate() {
            let all = self.reductions.of.get(&made.node).map_or(&[][..], Vec::as_slice);
            let rows = made.lies == Lies::Rows;
            let fits = |r: &&Reduction| rows && *rank.get_or_insert(r.ty.rank()) == r.ty.rank();
            let done: Vec<Reduction> = all.iter().filter(fits).cloned().collect();
            if done.len() < all.len() || all.is_empty() || self.reductions.read[made.node.index()] {
                split.written.push(i);
                split.program.outputs.push(program.outputs[i]);
            }
            regs.extend(done.iter().map(|_| program.outputs[i]));
            split.reduced.extend(done);
        }
        split.program.outputs.extend(regs);
        // In memory that is nobody else's.
        let mut buffers = (0..u32::MAX).rev().map(BufferId);
        let mut lying =
            |ty: &Type| buffers.next().map(|buffer| Slice::new(buffer, ty.dtype(), 0, ty.shape()));
        let outputs: Vec<Slice> =
            split.written.iter().map(|&i| lying(&made[i].ty)).collect::<Option<_>>()?;
        let reduced: Vec<(ReduceOp, Slice)> =
            split.reduced.iter().map(|r| Some((r.op, lying(&r.ty)?))).collect::<Option<_>>()?;
        let fits = !reduced.is_empty() && loop_reduces(&split.program, inputs, &outputs, &reduced);
        fits.then_some(split)
    }
}

/// What becomes of the results of a loop.
struct Split {
    program: ScalarProgram,
    /// The numbers of those that are written.
    written: Vec<usize>,
    reduced: Vec<Reduction>,
}
