//! Products that may be joined: what they have in common, what that saves, and how it is built.

use std::collections::HashMap;

use pleach_graph::{Node, NodeId};
use pleach_ops::{Graph, Op, Var};
use smallvec::SmallVec;

/// Which operand is common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Common {
    Left,
    Right,
}

/// Products with a common operand, none of which needs another.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) common: Common,
    /// In order, at least two.
    pub(super) members: Vec<NodeId>,
    /// If the other operands are slices of one value, that value.
    steps: Option<Steps>,
}

/// Rows that are slices `[.., i, ..]` of a value of three axes, the last of which is multiplied.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    of: NodeId,
    axis: usize,
    /// For every member, its index.
    at: Vec<usize>,
    first: usize,
    count: usize,
}

/// Bytes that a group costs and saves, and that its product, or operand, takes; of the common operand,
/// and of the largest product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes {
    pub(super) shared: u64,
    pub(super) largest: u64,
    pub(super) spent: u64,
    pub(super) saved: u64,
    pub(super) taken: u64,
}

/// What products that may be joined are equal in: side, common operand, sizes of the other but for the
/// axis along which they come one after the other.
pub(super) type Key = (Common, NodeId, SmallVec<[usize; 4]>, bool);

/// The key of a product.
pub(super) fn key(g: &Graph, node: &Node<Op>, common: Common) -> Option<Key> {
    let (shared, other) = match common {
        Common::Left => (node.inputs[0], node.inputs[1]),
        Common::Right => (node.inputs[1], node.inputs[0]),
    };
    // A weight is repeated for a batch: what is joined is what is repeated.
    let repeated = common == Common::Left && repeated(g, other).is_some();
    let shape = g.ty(other).shape().clone();
    let axis = joined_axis(common, shape.rank());
    let sizes = shape.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, n)| *n).collect();
    Some((common, shared, sizes, repeated))
}

/// The axis along which the other operands come one after the other, and so do the products.
fn joined_axis(common: Common, rank: usize) -> usize {
    match common {
        Common::Left => rank - 1,
        Common::Right => rank - 2,
    }
}

/// The matrix of which this is a repetition along leading axes.
fn repeated(g: &Graph, id: NodeId) -> Option<NodeId> {
    let source = g.peek(id, |node| match node.op {
        Op::Broadcast(_) => Some((node.inputs[0], node.ty.shape().clone())),
        _ => None,
    })??;
    let (source, shape) = source;
    let is_matrix =
        |node: &Node<Op>| node.ty.rank() == 2 && node.ty.shape()[..] == shape[shape.rank() - 2..];
    (g.peek(source, is_matrix) == Some(true)).then_some(source)
}

/// `(x, axis, i)` if this is `x[.., i, ..]`, a matrix.
pub(crate) fn step(g: &Graph, id: NodeId) -> Option<(NodeId, usize, usize)> {
    let node = g.node(id);
    let slice = match node.op {
        Op::Reshape(_) if node.ty.rank() == 2 => g.node(node.inputs[0]),
        _ => return None,
    };
    let Op::Slice(ranges) = &slice.op else { return None };
    let of = slice.inputs[0];
    let whole = g.ty(of).shape().clone();
    let mut cut = (0..whole.rank()).filter(|&i| slice.ty.shape()[i] != whole[i]);
    let (axis, rest) = (cut.next()?, cut.next());
    let fits = whole.rank() == 3
        && rest.is_none()
        && axis < 2
        && slice.ty.shape()[axis] == 1
        && node.ty.shape()[..] == slice.ty.shape().without(&[axis])[..];
    fits.then(|| (of, axis, ranges.ranges()[axis].start))
}

impl Group {
    pub(super) fn new(common: Common) -> Group {
        Group { common, members: Vec::new(), steps: None }
    }

    pub(super) fn rule(&self) -> &'static str {
        match self.common {
            Common::Left => super::LEFT,
            Common::Right => super::RIGHT,
        }
    }

    fn other(&self, g: &Graph, member: NodeId) -> NodeId {
        g.node(member).inputs[usize::from(self.common == Common::Left)]
    }

    fn shared(&self, g: &Graph) -> NodeId {
        g.node(self.members[0]).inputs[usize::from(self.common == Common::Right)]
    }

    /// If most of the other operands are slices of one value, without a hole between them, only these
    /// products are members from here on.
    pub(super) fn find_steps(&mut self, g: &Graph) {
        if self.common == Common::Left {
            return;
        }
        let of = |id: &NodeId| step(g, self.other(g, *id));
        let steps: Vec<_> = self.members.iter().map(of).collect();
        // The value with the most slices among them.
        let mut counts: HashMap<(NodeId, usize), usize> = HashMap::new();
        for &(x, axis, _) in steps.iter().flatten() {
            *counts.entry((x, axis)).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|&(key, count)| (count, std::cmp::Reverse(key)));
        let Some(((x, axis), count)) = most.filter(|&(_, count)| 2 * count > self.members.len())
        else {
            return;
        };
        let is = |step: &Option<(NodeId, usize, usize)>| {
            step.filter(|&(of, along, _)| (of, along) == (x, axis)).map(|(.., i)| i)
        };
        let (members, at): (Vec<NodeId>, Vec<usize>) =
            self.members.iter().zip(&steps).filter_map(|(&id, s)| Some((id, is(s)?))).unzip();
        let first = at.iter().copied().min().unwrap_or(0);
        let last = at.iter().copied().max().unwrap_or(0);
        // Rows that nobody asks for would be work for nothing.
        if last + 1 - first == count {
            self.members = members;
            self.steps = Some(Steps { of: x, axis, at, first, count });
        }
    }

    /// What joining them costs and saves. `None` if that cannot be counted.
    pub(super) fn bytes(&self, g: &Graph, fixed: &[bool]) -> Option<Bytes> {
        let size = |id: NodeId| g.ty(id).bytes() as u64;
        let source = |id: NodeId| {
            let other = self.other(g, id);
            repeated(g, other).filter(|_| self.common == Common::Left).unwrap_or(other)
        };
        let (mut result, mut operand, mut largest) = (0u64, 0u64, 0);
        for &id in &self.members {
            largest = size(id).max(largest);
            result = result.checked_add(size(id))?;
            operand = operand.checked_add(size(source(id)))?;
        }
        let free = match &self.steps {
            // Rows of a part of every slice of the first axis do not follow one another.
            Some(steps) => steps.axis == 0 || steps.count == g.ty(steps.of).shape()[1],
            None => self.members.iter().all(|&id| fixed[source(id).index()]),
        };
        let spent = if free { 0 } else { operand.checked_mul(2)? };
        // A repeated weight is read once.
        let shared = self.shared(g);
        let shared = repeated(g, shared).unwrap_or(shared);
        let shared = size(shared);
        let saved = shared.checked_mul(self.members.len() as u64 - 1)?;
        Some(Bytes { shared, largest, spent, saved, taken: result.max(operand) })
    }

    /// The one product, in the new graph, where nodes of `g` went to `places`.
    pub(super) fn product(
        &self,
        g: &Graph,
        new: &Graph,
        places: &[Option<NodeId>],
    ) -> Option<NodeId> {
        let place = |id: NodeId| Some(Var::new(new, places[id.index()]?));
        let shared = place(self.shared(g))?;
        if let Some(steps) = &self.steps {
            let range = steps.first..steps.first + steps.count;
            let part = place(steps.of)?.slice(steps.axis as i64, range);
            let shape = part.shape();
            let y = part.reshape([shape[0] * shape[1], shape[2]]).matmul(shared);
            return typed(y.reshape([shape[0], shape[1], y.size(-1)]));
        }
        let others: Vec<NodeId> = self.members.iter().map(|&id| self.other(g, id)).collect();
        let sources: Option<Vec<NodeId>> = others.iter().map(|&id| repeated(g, id)).collect();
        let sources = sources.filter(|_| self.common == Common::Left);
        let parts = sources.as_ref().unwrap_or(&others);
        let parts: Vec<Var<'_>> = parts.iter().map(|&id| place(id)).collect::<Option<_>>()?;
        let axis = joined_axis(self.common, parts[0].shape().rank());
        let joined = parts[0].concat(&parts[1..], axis as i64);
        // The method repeats a matrix for the batch.
        typed(match self.common {
            Common::Left => shared.matmul(joined),
            Common::Right => joined.matmul(shared),
        })
    }

    /// Where each member begins in the one product, and where the last one ends.
    pub(super) fn starts(&self, g: &Graph) -> Vec<usize> {
        let mut starts = vec![0];
        for &id in &self.members {
            let shape = g.ty(id).shape().clone();
            starts.push(starts[starts.len() - 1] + shape[joined_axis(self.common, shape.rank())]);
        }
        starts
    }

    /// Member `i` as a part of the one product.
    pub(super) fn part(
        &self,
        new: &Graph,
        product: NodeId,
        i: usize,
        starts: &[usize],
    ) -> Option<NodeId> {
        let y = Var::new(new, product);
        if let Some(steps) = &self.steps {
            let start = steps.at[i] - steps.first;
            let slice = y.slice(steps.axis as i64, start..start + 1);
            return typed(slice.reshape(slice.shape().without(&[steps.axis])));
        }
        let axis = joined_axis(self.common, y.shape().rank());
        typed(y.slice(axis as i64, starts[i]..starts[i + 1]))
    }
}

/// The node, if it was not refused.
pub(crate) fn typed(y: Var<'_>) -> Option<NodeId> {
    y.ty().map(|_| y.id())
}
