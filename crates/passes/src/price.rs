//! What rules go by: an estimate of the work of operators that may be fused into loops.

use std::ops::{Add, AddAssign};

use pleach_graph::{Node, NodeId, Operator};
use pleach_ops::{Graph, Op};
use pleach_tensor::Type;

use crate::totals::is_computed_by;

/// The estimated price of some operators, compared in the order of the fields. A rule may fire
/// only where it makes this less; a rule of the class stabilizing may pay for accuracy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price {
    /// Operations and bytes moved. A splat takes no memory, so reading one is free.
    pub work: u64,
    /// Operators.
    pub operators: u64,
    /// How heavy they are: of operators that move as many bytes, a division is slower than a
    /// product, a product than a sum, a sum than a sign.
    pub weight: u64,
}

impl Price {
    /// The price of an operator; `splats` says which operands are splats.
    pub fn of(op: &Op, x: &[&Type], splats: &[bool], y: &Type) -> Price {
        let cost = op.cost(x, y);
        let free: u64 =
            x.iter().zip(splats).filter(|(_, s)| **s).map(|(t, _)| t.bytes() as u64).sum();
        let free = free.saturating_add(splats_of_steps(op));
        let weight = match op {
            Op::Neg(_) | Op::Abs(_) | Op::Not(_) | Op::Add(_) => 1,
            Op::Sub(_) => 2,
            Op::Div(_) => 4,
            Op::Pow(_) => 8,
            _ => 3,
        };
        Price { work: cost.flops + cost.bytes.saturating_sub(free), operators: 1, weight }
    }

    /// The price of an operator applied to nodes.
    pub fn of_inputs(g: &Graph, op: &Op, inputs: &[NodeId], y: &Type) -> Price {
        let nodes: smallvec::SmallVec<[_; 4]> = inputs.iter().map(|&x| g.node(x)).collect();
        let types: smallvec::SmallVec<[&Type; 4]> = nodes.iter().map(|n| &n.ty).collect();
        let splats: smallvec::SmallVec<[bool; 4]> =
            nodes.iter().map(|n| matches!(n.op, Op::Full(_))).collect();
        Price::of(op, &types, &splats, y)
    }

    /// The price of a node.
    pub fn of_node(g: &Graph, id: NodeId) -> Price {
        let price = |node: &Node<Op>| Price::of_inputs(g, &node.op, &node.inputs, &node.ty);
        g.peek(id, price).unwrap_or_default()
    }

    /// The price of everything that an output needs, sources aside.
    pub fn of_live(g: &Graph) -> Price {
        let live = g.live();
        let mut sum = Price::default();
        for id in g.ids().filter(|id| live[id.index()]) {
            if !g.node(id).inputs.is_empty() && !is_computed_by(g, id, |twin| live[twin.index()]) {
                sum += Price::of_node(g, id);
            }
        }
        sum
    }
}

/// The bytes of splats that all steps of a loop read.
fn splats_of_steps(op: &Op) -> u64 {
    let Op::Scan(scan) = op else { return 0 };
    let nodes = scan.of().body().nodes();
    let read = nodes.iter().filter(|node| node.op.family().is_none());
    let splats = read.flat_map(|node| &node.inputs).map(|x| &nodes[x.index()]);
    let bytes = splats.filter(|x| matches!(x.op, Op::Full(_))).map(|x| x.ty.bytes() as u64);
    bytes.sum::<u64>().saturating_mul(scan.of().length() as u64)
}

impl Add for Price {
    type Output = Price;
    fn add(self, o: Price) -> Price {
        Price {
            work: self.work + o.work,
            operators: self.operators + o.operators,
            weight: self.weight + o.weight,
        }
    }
}

impl AddAssign for Price {
    fn add_assign(&mut self, o: Price) {
        *self = *self + o;
    }
}
