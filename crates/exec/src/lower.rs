//! Lowering: every node becomes a view of memory that exists, or an instruction.

use std::sync::Arc;

use pleach_graph::{Node, NodeId};
use pleach_kernels::{
    AlignedBuf, Axes, BufferId, HostCall, Kernel, LinalgOp, Lowering, Reg, Scalar, ScalarOp,
    ScalarProgram, Slice, View,
};
use pleach_ops::{Graph, Op, Variable};
use pleach_tensor::{DType, Tensor, Type};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::borders::Padded;
use crate::lower_fused::Siblings;
use crate::lower_half::takes_halves;
use crate::lower_pool::Pools;
use crate::lower_product::{Joined, factors};
use crate::lower_reduced::{Made, Reductions};
use crate::once::Once;
use crate::order::Lies;
use crate::scalar::ScalarBuilder;
use crate::state::bytes;

/// Where the memory of a storage comes from. Until memory is planned, a slice's buffer is the
/// number of its storage.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// Part of the arena: `bytes` of it.
    Arena { bytes: usize },
    /// The input at this position.
    Input(usize),
    /// A variable of the state, by its place in [`Lowered::variables`].
    Variable(usize),
    /// A constant.
    Constant(AlignedBuf),
}

/// One instruction and the node it computes, for errors and profiles.
#[derive(Clone, Debug)]
pub(crate) struct Instr {
    pub(crate) kernel: Kernel,
    pub(crate) node: NodeId,
}

/// A graph as instructions over storages.
#[derive(Debug, Default)]
pub(crate) struct Lowered {
    pub(crate) instrs: Vec<Instr>,
    pub(crate) storages: Vec<Storage>,
    pub(crate) variables: Vec<Variable>,
    /// Where the value of every lowered node is.
    pub(crate) values: FxHashMap<NodeId, Slice>,
    /// Splats: they take no memory until something but a loop reads them.
    pub(crate) splats: FxHashMap<NodeId, (Scalar, Axes)>,
    splat_storage: FxHashMap<Scalar, BufferId>,
    /// Reshapes that only products read: they join axes and take no memory.
    pub(crate) joined: FxHashMap<NodeId, Joined>,
    /// Reductions that loops may do, and memory of products.
    pub(crate) reductions: Reductions,
    pub(crate) products: FxHashSet<BufferId>,
    /// Memory with zeros around a value.
    pub(crate) padded: FxHashMap<BufferId, Padded>,
    /// Nodes that became views.
    pub(crate) views: usize,
    /// Variables that the instruction which computes the new value writes at once.
    pub(crate) updated_in_place: usize,
    /// Nodes that only the interpreter can run.
    pub(crate) interpreted: Vec<(NodeId, String)>,
    /// How deep in loops every storage was made: a storage of depth 0 is none of a loop's.
    pub(crate) depths: Vec<usize>,
    /// How deep in loops what is lowered now lies.
    pub(crate) depth: usize,
    /// The loop of the graph itself that is being lowered.
    pub(crate) site: Option<NodeId>,
    /// What is done once.
    pub(crate) once: Once,
}

/// The interpreter behind an instruction.
#[derive(Debug)]
struct Interpret {
    op: Op,
    ty: Type,
}

impl HostCall for Interpret {
    fn call(&self, inputs: &[Tensor]) -> Result<Tensor, String> {
        let x: Vec<&Tensor> = inputs.iter().collect();
        self.op.eval(&x, &self.ty).map_err(|e| e.to_string())
    }
}

/// The program that copies one input to one output.
pub(crate) fn copy_program(dtype: DType) -> ScalarProgram {
    ScalarProgram::single(ScalarOp::Copy, dtype)
}

impl Lowered {
    /// Lowers every live node of `g`, in index order.
    pub(crate) fn new(g: &Graph) -> Lowered {
        let mut lowered = Lowered::default();
        let nodes: Vec<Arc<Node<Op>>> = g.ids().map(|id| g.node(id)).collect();
        let asked: Vec<usize> = g.roots().iter().map(|root| root.value.index()).collect();
        lowered.scope(&nodes.iter().map(|node| &**node).collect::<Vec<_>>(), &g.live(), &asked);
        lowered
    }

    /// Lowers the live nodes of a graph or body, in index order; those that have a value already,
    /// such as the parameters of a body, are passed over. The values of nodes `asked` are read later.
    pub(crate) fn scope(&mut self, nodes: &[&Node<Op>], live: &[bool], asked: &[usize]) {
        let siblings = Siblings::new(nodes, live);
        let mut pools = Pools::new(nodes, live, asked);
        let factors = factors(nodes, live);
        // Threads share a loop of the graph by rows, which they tell of loops and reductions.
        let reductions = match self.depth {
            0 => Reductions::new(nodes, live, asked),
            _ => Reductions::default(),
        };
        let outside = std::mem::replace(&mut self.reductions, reductions);
        for (i, node) in nodes.iter().enumerate().filter(|(i, _)| live[*i]) {
            let id = NodeId::new(i);
            let known = self.values.contains_key(&id) || self.splats.contains_key(&id);
            if known || self.reductions.gone.contains(&id) {
                continue;
            }
            if let Op::Scan(scan) = &node.op {
                self.scan(scan, id, nodes, live);
                continue;
            }
            if let Op::Fused(fused) = &node.op
                && self.fused(fused, id, node, &siblings)
            {
                continue;
            }
            if self.pool(&mut pools, id, nodes) {
                continue;
            }
            let types: Vec<&Type> = node.inputs.iter().map(|x| &nodes[x.index()].ty).collect();
            if factors[i] && self.join(id, node, &types) {
                continue;
            }
            self.node(id, node, &types);
        }
        self.reductions = outside;
    }

    pub(crate) fn storage(&mut self, storage: Storage) -> BufferId {
        self.storages.push(storage);
        self.depths.push(self.depth);
        BufferId(self.storages.len() as u32 - 1)
    }

    /// New memory in the arena for a value of type `ty`.
    pub(crate) fn fresh(&mut self, ty: &Type) -> Slice {
        let buffer = self.storage(Storage::Arena { bytes: ty.bytes() });
        Slice::new(buffer, ty.dtype(), 0, ty.shape())
    }

    pub(crate) fn emit(&mut self, node: NodeId, kernel: Kernel) {
        let node = self.site.unwrap_or(node);
        self.instrs.push(Instr { kernel, node });
    }

    /// Appends a copy of one slice to another of the same lengths.
    pub(crate) fn copy(&mut self, node: NodeId, from: Slice, to: Slice) {
        let program = copy_program(from.dtype);
        self.emit(node, Kernel::Loop { program, inputs: vec![from], outputs: vec![to] });
    }

    /// Where the value of a node is; a splat gets one element of memory, repeated.
    pub(crate) fn value(&mut self, id: NodeId) -> Slice {
        if let Some(slice) = self.values.get(&id) {
            return slice.clone();
        }
        if let Some(joined) = self.joined.remove(&id) {
            let flat = self.laid_out(id, joined.slice, &joined.ty);
            self.values.insert(id, flat.clone());
            return flat;
        }
        let (scalar, dims) = self.splats[&id].clone();
        let buffer = match self.splat_storage.get(&scalar) {
            Some(&buffer) => buffer,
            None => {
                let ty = Type::scalar(scalar.dtype());
                let one = if scalar.dtype().is_float() {
                    Tensor::full(&ty, scalar.to_f64())
                } else {
                    Tensor::build_i64(&ty, |_| scalar.to_i64())
                };
                let buffer = self.storage(Storage::Constant(bytes(&one)));
                self.splat_storage.insert(scalar, buffer);
                buffer
            }
        };
        let mut slice = Slice::new(buffer, scalar.dtype(), 0, &dims);
        slice.strides.iter_mut().for_each(|s| *s = 0);
        slice
    }

    fn node(&mut self, id: NodeId, node: &Node<Op>, types: &[&Type]) {
        let ty = &node.ty;
        let slice = match node.op.lower(types, ty) {
            Lowering::Source => self.source(&node.op, ty),
            Lowering::Fill { value } => {
                let scalar = Scalar::fill(ty.dtype(), value);
                self.splats.insert(id, (scalar, Axes::from_slice(ty.shape())));
                return;
            }
            Lowering::View(view) => self.view(id, node.inputs[0], &view, ty),
            Lowering::Scalar(op) => return self.elementwise(id, op, node, types),
            Lowering::Concat { axis } => self.concat(id, axis, node, types),
            Lowering::Pad { before, value } => self.pad(id, (&before, value), node, types[0]),
            Lowering::Interpret => self.interpret(id, node),
            Lowering::Gemm => self.product(id, node),
            Lowering::Reduce { op, axes } => self.reduce(id, op, &axes, node),
            lowering => self.kernel(id, lowering, node),
        };
        self.values.insert(id, slice);
    }

    fn source(&mut self, op: &Op, ty: &Type) -> Slice {
        let storage = match op {
            Op::Input(input) => Storage::Input(input.position()),
            Op::Variable(variable) => {
                self.variables.push(variable.clone());
                Storage::Variable(self.variables.len() - 1)
            }
            Op::Constant(constant) => Storage::Constant(bytes(constant.value())),
            // A parameter outside of a body: it has no value, and nothing live depends on it in a
            // graph that was checked. Zeros stand for it.
            _ => Storage::Constant(AlignedBuf::new(ty.bytes())),
        };
        let buffer = self.storage(storage);
        Slice::new(buffer, ty.dtype(), 0, ty.shape())
    }

    pub(crate) fn view(&mut self, id: NodeId, x: NodeId, view: &View, ty: &Type) -> Slice {
        let from = self.value(x);
        if let Some(slice) = from.view(view, ty.shape()) {
            self.views += 1;
            return slice;
        }
        self.laid_out(id, from, ty)
    }

    /// The elements of a slice row by row in memory of their own, seen as asked.
    pub(crate) fn laid_out(&mut self, id: NodeId, from: Slice, ty: &Type) -> Slice {
        let flat = self.fresh(ty);
        let mut to = flat.clone();
        to.strides = Slice::new(to.buffer, to.dtype, 0, &from.dims).strides;
        to.dims.clone_from(&from.dims);
        self.copy(id, from, to);
        flat
    }

    /// One operator as a loop of its own; splats are constants of the program.
    fn elementwise(&mut self, id: NodeId, op: ScalarOp, node: &Node<Op>, types: &[&Type]) {
        let memory: Vec<NodeId> =
            node.inputs.iter().copied().filter(|x| !self.splats.contains_key(x)).collect();
        let inputs: Vec<Slice> = memory.iter().map(|&x| self.value(x)).collect();
        let mut builder = ScalarBuilder::new(inputs.iter().map(|s| s.dtype).collect());
        let mut next = 0;
        let args: Vec<Reg> = node
            .inputs
            .iter()
            .map(|x| match self.splats.get(x) {
                Some((scalar, _)) => builder.constant(*scalar),
                None => {
                    next += 1;
                    Reg(next - 1)
                }
            })
            .collect();
        let y = builder.apply(op, types, &args);
        let program = builder.finish(&[y]);
        let lies = Lies::together(inputs.iter().map(Lies::of));
        self.looped(id, program, inputs, &[Made { node: id, ty: node.ty.clone(), lies }]);
    }

    fn concat(&mut self, id: NodeId, axis: usize, node: &Node<Op>, types: &[&Type]) -> Slice {
        let y = self.fresh(&node.ty);
        let mut at = 0;
        for (&x, ty) in node.inputs.iter().zip(types) {
            let from = self.value(x);
            let mut part = y.clone();
            part.offset += at * part.strides[axis] as usize;
            part.dims[axis] = ty.shape()[axis];
            at += ty.shape()[axis];
            self.copy(id, from, part);
        }
        y
    }

    fn pad(
        &mut self,
        id: NodeId,
        (before, value): (&[usize], f64),
        node: &Node<Op>,
        ty: &Type,
    ) -> Slice {
        let y = self.fresh(&node.ty);
        let mut around = ScalarBuilder::new(vec![]);
        let reg = around.constant(Scalar::fill(y.dtype, value));
        let program = around.finish(&[reg]);
        self.emit(id, Kernel::Loop { program, inputs: vec![], outputs: vec![y.clone()] });
        let mut inner = y.clone();
        if ty.numel() > 0 {
            let shift = before.iter().zip(&y.strides).map(|(&b, &s)| b * s as usize);
            inner.offset += shift.sum::<usize>();
        }
        inner.dims = Axes::from_slice(ty.shape());
        if value.to_bits() == 0 && ty.numel() > 0 {
            let inside = before.iter().zip(ty.shape().iter()).map(|(&b, &n)| b..b + n).collect();
            self.padded.insert(y.buffer, Padded { all: y.clone(), inside });
        }
        let from = self.value(node.inputs[0]);
        self.copy(id, from, inner);
        y
    }

    fn interpret(&mut self, id: NodeId, node: &Node<Op>) -> Slice {
        let inputs = node.inputs.iter().map(|&x| self.value(x)).collect();
        let output = self.fresh(&node.ty);
        let call = Arc::new(Interpret { op: node.op.clone(), ty: node.ty.clone() });
        self.emit(id, Kernel::Call { call, inputs, output: output.clone() });
        let at = self.site.unwrap_or(id);
        self.interpreted.push((at, format!("{} : {}", node.op.name(), node.ty)));
        output
    }

    /// The lowerings that are one kernel over whole operands.
    fn kernel(&mut self, id: NodeId, lowering: Lowering, node: &Node<Op>) -> Slice {
        let mut x: Vec<Slice> = node.inputs.iter().map(|&x| self.value(x)).collect();
        let dtype = node.ty.dtype();
        let computed = match lowering {
            ref lowering if takes_halves(lowering) => dtype,
            // An index that f32 cannot hold is rounded once.
            Lowering::Iota { .. } if dtype.is_half() => DType::I64,
            _ => dtype.compute(),
        };
        if !takes_halves(&lowering) {
            x = x.into_iter().map(|x| self.widened(id, x)).collect();
        }
        let y = self.fresh(&node.ty.with_dtype(computed));
        let output = y.clone();
        let mut operands = x.into_iter();
        let mut next = || operands.next().expect("the type rule counted the operands");
        let kernel = match lowering {
            Lowering::ArgMax { axis } => Kernel::ArgMax { axis, input: next(), output },
            Lowering::ArgMin { axis } => Kernel::ArgMin { axis, input: next(), output },
            Lowering::ArgSort { descending } => {
                Kernel::ArgSort { descending, input: next(), output }
            }
            Lowering::Cumulative { op, axis, reverse } => {
                Kernel::Cumulative { op, axis, reverse, inputs: operands.collect(), output }
            }
            Lowering::Linalg(op) => {
                let inputs: Vec<Slice> = operands.collect();
                let lead = inputs[0].dims.len().saturating_sub(2);
                let count: usize = inputs[0].dims[..lead].iter().product();
                let size = LinalgOp::work(inputs.iter().map(|s| &s.dims[..]));
                let dims = [count, size];
                let bytes = size.saturating_mul(count).saturating_mul(DType::F64.size());
                let buffer = self.storage(Storage::Arena { bytes });
                let work = Slice::new(buffer, DType::F64, 0, &dims);
                Kernel::Linalg { op, inputs, work, output }
            }
            Lowering::Winograd(op) => {
                let inputs = [next(), next()];
                let size = op.work(&inputs[0].dims, &inputs[1].dims, y.dtype);
                let bytes = size.saturating_mul(y.dtype.size());
                let buffer = self.storage(Storage::Arena { bytes });
                let work = Slice::new(buffer, y.dtype, 0, &[size]);
                Kernel::Winograd { op, inputs, work, output }
            }
            Lowering::Take { axis } => Kernel::Take { axis, x: next(), indices: next(), output },
            Lowering::TakeAdd { axis, .. } => {
                Kernel::TakeAdd { axis, dy: next(), indices: next(), output }
            }
            Lowering::Gather { axis } => {
                Kernel::Gather { axis, x: next(), indices: next(), output }
            }
            Lowering::ScatterAdd { axis, .. } => {
                Kernel::ScatterAdd { axis, dy: next(), indices: next(), output }
            }
            Lowering::WindowsAdd(windows) => Kernel::WindowsAdd { windows, dy: next(), output },
            Lowering::ArgMaxPool { windows } => {
                Kernel::ArgMaxPool { windows, input: next(), output }
            }
            Lowering::Scatter { axis } => {
                Kernel::Scatter { axis, x: next(), indices: next(), src: next(), output }
            }
            Lowering::Iota { axis } => Kernel::Iota { axis, output },
            Lowering::Random(op) => Kernel::Random { op, key: next(), output },
            Lowering::FoldIn => Kernel::FoldIn { key: next(), n: next(), output },
            other => unreachable!("{other:?} is lowered by its own function"),
        };
        self.emit(id, kernel);
        self.narrowed(id, y, dtype)
    }
}
