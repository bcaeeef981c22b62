//! What derivatives and rewrites of loops share: recording a new loop.

use std::sync::Arc;

use pleach_graph::{Body, NodeId, Operator};
use pleach_tensor::Type;

use super::Loop;
use super::scan::{Header, Scan};
use crate::{Graph, Op};

/// A parameter of the body of a new loop: its type, and the operand that it gets.
pub(super) type Given = (Type, NodeId);

/// A new loop with its operands.
#[derive(Debug)]
pub struct Recorded {
    pub(super) of: Arc<Loop>,
    operands: Vec<NodeId>,
}

impl Loop {
    /// Records a loop of so many steps, from the first slice to the last or in reverse: `step` maps
    /// the carries, then one slice of each value of `slices`, to new carries and what is stacked. It
    /// may use any value around it. Slices that it does not use are left out. `None` if something
    /// was refused, such as a carry that changes its type, or a first axis that is not `length`.
    pub fn record(
        g: &Graph,
        (length, reverse): (usize, bool),
        carries: &[NodeId],
        slices: &[NodeId],
        step: impl FnOnce(&[NodeId]) -> Vec<NodeId>,
    ) -> Option<Recorded> {
        let carried: Vec<Given> = carries.iter().map(|&id| (g.ty(id), id)).collect();
        let slice = |&id: &NodeId| -> Option<Given> {
            let ty = g.ty(id);
            let item = ty.with_shape(ty.shape().without(&[0])).ok()?;
            (ty.shape().first() == Some(&length)).then_some((item, id))
        };
        let sliced: Vec<Given> = slices.iter().map(slice).collect::<Option<_>>()?;
        let header = Header { length, carries: 0, slices: 0, reverse };
        Recorded::new(g, header, &carried, &sliced, &[], step)
    }
}

impl Recorded {
    /// Records the body of a loop as a function of `carries`, `slices` and `captures`, in this
    /// order; what it uses from around it is captured too. Slices and captures that it does not
    /// use are left out. `None` if something was refused: the graph holds the error.
    pub(super) fn new(
        g: &Graph,
        header: Header,
        carries: &[Given],
        slices: &[Given],
        captures: &[Given],
        record: impl FnOnce(&[NodeId]) -> Vec<NodeId>,
    ) -> Option<Recorded> {
        let given = [carries, slices, captures].concat();
        let types: Vec<Type> = given.iter().map(|(ty, _)| ty.clone()).collect();
        let (body, more) = g.frame(&types, record).ok()?;
        let operands: Vec<NodeId> = given.iter().map(|&(_, id)| id).chain(more).collect();
        let header = Header { carries: carries.len(), slices: slices.len(), ..header };
        Recorded::trimmed(g, header, &body, &operands)
    }

    /// The loop over `body` without the slices and captures that the body does not use.
    pub(super) fn trimmed(
        g: &Graph,
        header: Header,
        body: &Arc<Body<Op>>,
        operands: &[NodeId],
    ) -> Option<Recorded> {
        let mut used = vec![false; body.nodes().len()];
        used[..header.carries].fill(true);
        body.results().iter().for_each(|&r| used[r] = true);
        let inputs = body.nodes().iter().flat_map(|node| &node.inputs);
        inputs.for_each(|x| used[x.index()] = true);
        let kept: Vec<usize> = (0..body.params()).filter(|&i| used[i]).collect();
        let operands: Vec<NodeId> = kept.iter().map(|&i| operands[i]).collect();
        let is_slice = |i: &&usize| (header.carries..header.carries + header.slices).contains(i);
        let header = Header { slices: kept.iter().filter(is_slice).count(), ..header };
        let mut body = body.clone();
        if kept.len() < body.params() {
            let types: Vec<Type> = body.param_types().cloned().collect();
            let types: Vec<Type> = kept.iter().map(|&i| types[i].clone()).collect();
            let whole = body.clone();
            let (trimmed, _) = g
                .frame(&types, |ids| {
                    // Parameters that are not used may be anything.
                    let mut args = vec![NodeId::new(0); whole.params()];
                    kept.iter().zip(ids).for_each(|(&i, &id)| args[i] = id);
                    whole.instantiate(g, &args)
                })
                .ok()?;
            body = trimmed;
        }
        let of = Arc::new(Loop::new(body, header).ok()?);
        Some(Recorded { of, operands })
    }

    /// Records result number `result`, as [`Loop`] numbers them.
    #[track_caller]
    pub fn result(&self, g: &Graph, result: usize) -> NodeId {
        g.push(Op::Scan(Scan::new(self.of.clone(), result)), &self.operands)
    }
}

/// Hands out the parameters of a body, group after group.
pub(super) struct Groups<'a>(pub(super) &'a [NodeId]);

impl<'a> Groups<'a> {
    /// The next `n`.
    pub(super) fn next(&mut self, n: usize) -> &'a [NodeId] {
        let (group, rest) = self.0.split_at(n);
        self.0 = rest;
        group
    }
}

/// Zeros of this type.
pub(super) fn zeros(g: &Graph, ty: &Type) -> NodeId {
    Op::full(g, ty, 0.0)
}
