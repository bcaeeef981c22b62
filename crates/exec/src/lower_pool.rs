//! Lowering of max pooling: the places of maxima are not written where only these three read them.
//!
//! ```text
//! p = argmax_pool x                  y, k = max_pool x          k: u8, the number in the window
//! y = gather x p              =>
//! z = scatter_add dy p               z = max_pool_add dy k
//! ```
//! Any reshape between them is looked through.

use pleach_graph::{Node, NodeId};
use pleach_kernels::{Kernel, Lowering, Slice, View, Window};
use pleach_ops::Op;
use pleach_tensor::{DType, Type};
use rustc_hash::FxHashMap;

use crate::lower::Lowered;

/// Elements of a window that a number of one byte can tell apart.
const NUMBERS: usize = 1 << u8::BITS;

/// What a node is in a max pooling.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The places of the maxima, perhaps under another shape.
    Places,
    /// The maxima at these places.
    Values(NodeId),
    /// What came for the maxima, added up at these places.
    Add(NodeId),
}

/// A pooling that was lowered.
#[derive(Clone, Debug)]
struct Made {
    windows: Vec<Vec<Window>>,
    values: Slice,
    numbers: Slice,
}

/// The max poolings among some nodes.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    parts: FxHashMap<NodeId, Part>,
    made: FxHashMap<NodeId, Made>,
}

/// The operand of a reshape.
fn reshaped(node: &Node<Op>) -> Option<NodeId> {
    matches!(node.op, Op::Reshape(_)).then(|| node.inputs[0])
}

/// The windows of a pooling whose numbers fit in a byte.
fn windows(node: &Node<Op>, x: &Type) -> Option<Vec<Vec<Window>>> {
    let Lowering::ArgMaxPool { windows } = node.op.lower(&[x], &node.ty) else { return None };
    let largest = |w: &Vec<Window>| w.iter().map(|w| w.count).max().unwrap_or(0);
    let most = windows.iter().map(largest).fold(1, usize::saturating_mul);
    (most <= NUMBERS).then_some(windows)
}

impl Pools {
    /// The poolings among the live nodes; those in `asked` are read from outside.
    pub(crate) fn new(nodes: &[&Node<Op>], live: &[bool], asked: &[usize]) -> Pools {
        let mut pools = Pools::default();
        let live = || (0..nodes.len()).filter(|&i| live[i]);
        if !live().any(|i| matches!(nodes[i].op, Op::ArgMaxPool(_))) {
            return pools;
        }
        let mut users: Vec<Vec<(usize, usize)>> = vec![vec![]; nodes.len()];
        for i in live() {
            for (slot, x) in nodes[i].inputs.iter().enumerate() {
                users[x.index()].push((i, slot));
            }
        }
        for i in live().filter(|&i| matches!(nodes[i].op, Op::ArgMaxPool(_))) {
            pools.parts.extend(parts(nodes, i, &users, asked).into_iter().flatten());
        }
        pools
    }
}

/// The parts of the pooling of an argmax, if nothing else reads its places.
fn parts(
    nodes: &[&Node<Op>],
    argmax: usize,
    users: &[Vec<(usize, usize)>],
    asked: &[usize],
) -> Option<Vec<(NodeId, Part)>> {
    // What a value is a reshape of: it has the same elements in the same order.
    let base = |mut id: NodeId| {
        while let Some(x) = reshaped(nodes[id.index()]) {
            id = x;
        }
        id
    };
    let (at, x) = (NodeId::new(argmax), nodes[argmax].inputs[0]);
    let windows = windows(nodes[argmax], &nodes[x.index()].ty)?;
    let shape = nodes[x.index()].ty.shape();
    let (lead, pooled) = shape.split_at(shape.rank() - windows.len());
    let len = pooled.iter().product::<usize>();
    let flat = |ty: &Type, len: usize| ty.shape().split_last() == Some((&len, lead));
    let count = nodes[argmax].ty.shape()[lead.len()..].iter().product::<usize>();

    let views = users[argmax].iter().map(|&(user, _)| user);
    let views = views.filter(|&user| reshaped(nodes[user]).is_some());
    let places: Vec<usize> = std::iter::once(argmax).chain(views).collect();
    let mut parts: Vec<(NodeId, Part)> = Vec::new();
    for &place in &places {
        if asked.contains(&place) {
            return None;
        }
        parts.push((NodeId::new(place), Part::Places));
        for &(user, slot) in users[place].iter().filter(|(user, _)| !places.contains(user)) {
            let (node, id) = (nodes[user], NodeId::new(user));
            let from = node.inputs[0];
            let types: Vec<&Type> = node.inputs.iter().map(|x| &nodes[x.index()].ty).collect();
            let along = flat(&nodes[place].ty, count) && slot == 1;
            match node.op.lower(&types, &node.ty) {
                Lowering::Gather { axis } if along && axis == lead.len() => {
                    let same = base(from) == base(x) && flat(types[0], len);
                    parts.push(same.then_some((id, Part::Values(at)))?);
                }
                Lowering::ScatterAdd { axis, len: n } if along && axis == lead.len() => {
                    parts.push((n == len).then_some((id, Part::Add(at)))?);
                }
                _ => return None,
            }
        }
    }
    Some(parts)
}

impl Lowered {
    /// Lowers a part of a max pooling. Answers `false` if the node is none.
    pub(crate) fn pool(&mut self, pools: &mut Pools, id: NodeId, nodes: &[&Node<Op>]) -> bool {
        let (node, Some(&part)) = (nodes[id.index()], pools.parts.get(&id)) else { return false };
        let x = node.inputs[0];
        let slice = match part {
            Part::Places => {
                let x_ty = &nodes[x.index()].ty;
                if let Some(windows) = windows(node, x_ty) {
                    // What is largest is so in `f32`, too, and vectors compare there.
                    let input = self.value(x);
                    let input = self.widened(id, input);
                    let [values, numbers] = [input.dtype, DType::U8]
                        .map(|dtype| self.pooled(&node.ty.with_dtype(dtype), &input, &windows));
                    let made = Made { windows, values, numbers };
                    let Made { windows, values, numbers } = made.clone();
                    self.emit(id, Kernel::MaxPool { windows, input, values, numbers });
                    let values = self.narrowed(id, made.values, x_ty.dtype());
                    pools.made.insert(id, Made { values, ..made });
                }
                return true;
            }
            Part::Values(argmax) => {
                let values = &pools.made[&argmax].values;
                values.view(&View::Reshape, node.ty.shape()).expect("joined axes")
            }
            Part::Add(argmax) => {
                let Made { windows, numbers, .. } = &pools.made[&argmax];
                let (windows, numbers) = (windows.clone(), numbers.clone());
                let places = &nodes[argmax.index()];
                let shape = nodes[places.inputs[0].index()].ty.shape();
                let dtype = node.ty.dtype();
                let dy = self.view(id, x, &View::Reshape, &places.ty.with_dtype(dtype));
                let dy = self.as_lies(id, dy, &numbers);
                let dy = self.widened(id, dy);
                let ty = Type::new(dy.dtype, shape.to_vec()).expect("as large as the value");
                let output = self.pooled(&ty, &numbers, &windows);
                let sums = output.clone();
                self.emit(id, Kernel::MaxPoolAdd { windows, dy, numbers, output });
                let sums = self.narrowed(id, sums, dtype);
                sums.view(&View::Reshape, node.ty.shape()).expect("joined axes")
            }
        };
        self.values.insert(id, slice);
        true
    }
}
