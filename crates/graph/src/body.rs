//! Loop bodies: frames while they are recorded, [`Body`] when they are finished.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use pleach_tensor::Type;
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;

use crate::graph::{Inner, canonical_order};
use crate::interner::Key;
use crate::origin::OriginId;
use crate::tape::{Inputs, Node, Tape};
use crate::{FrameError, Graph, NodeId, Operator, Traits, TypeError};

/// A body under construction.
#[derive(Debug)]
pub(crate) struct Frame<O> {
    /// Unique in the graph: a stale id can never name a node of another frame.
    pub(crate) number: u32,
    pub(crate) tape: Tape<O>,
    /// Tape index of every parameter, the declared ones first.
    params: Vec<usize>,
    /// Value of the enclosing frame for each parameter after the declared ones.
    captures: Vec<NodeId>,
    /// Tape index of the parameter that stands for a value of the enclosing frame.
    captured: FxHashMap<NodeId, usize>,
    declared: usize,
}

impl<O: Operator> Frame<O> {
    fn parameter(&mut self, ty: Type, origin: OriginId) -> usize {
        let op = O::parameter(self.params.len(), &ty);
        let key = Key::new(&op, &[]);
        // A rule may have recorded a parameter of its own that looks the same.
        let twin = self.tape.find_key(key, &op, &[]).is_some();
        let node = Arc::new(Node { op, inputs: Inputs::new(), ty });
        let index = self.tape.append(key, node, origin, twin);
        self.params.push(index);
        index
    }

    /// The parameter that stands for `outer`, a value of the enclosing frame.
    fn capture(&mut self, outer: NodeId, ty: &Type, origin: OriginId) -> NodeId {
        let index = match self.captured.get(&outer) {
            Some(&index) => index,
            None => {
                let index = self.parameter(ty.clone(), origin);
                self.captures.push(outer);
                self.captured.insert(outer, index);
                index
            }
        };
        NodeId::in_frame(self.number, index)
    }
}

impl<O: Operator> Graph<O> {
    /// The innermost open frame; 0 if no body is being recorded.
    pub(crate) fn frame_number(&self) -> u32 {
        self.inner.borrow().current()
    }

    /// Records a loop body: a function of `params` that may also use any value around it. Answers
    /// the body and those outer values that its results need: its parameters after the declared
    /// ones.
    ///
    /// Operators without operands that take their value from outside (parameters, inputs) are
    /// recorded outside and captured. Bodies nest.
    ///
    /// # Errors
    /// [`FrameError`] if a result is poisoned or belongs to a body that is finished.
    #[track_caller]
    pub fn frame(
        &self,
        params: &[Type],
        record: impl FnOnce(&[NodeId]) -> Vec<NodeId>,
    ) -> Result<(Arc<Body<O>>, Vec<NodeId>), FrameError> {
        /// Closes the frame even if the user's closure panics.
        struct Open<'g, O: Operator>(&'g Graph<O>, u32);
        impl<O: Operator> Drop for Open<'_, O> {
            fn drop(&mut self) {
                self.0.inner.borrow_mut().frames.retain(|f| f.number < self.1);
            }
        }

        let (number, ids) = {
            let mut inner = self.inner.borrow_mut();
            inner.frames_opened += 1;
            let number = inner.frames_opened;
            let origin = inner.origin_or(std::panic::Location::caller());
            let mut frame = Frame {
                number,
                tape: Tape::default(),
                params: Vec::new(),
                captures: Vec::new(),
                captured: FxHashMap::default(),
                declared: params.len(),
            };
            let ids: Vec<NodeId> = params
                .iter()
                .map(|ty| {
                    let index = frame.parameter(ty.clone(), origin);
                    NodeId::in_frame(number, index)
                })
                .collect();
            inner.frames.push(frame);
            (number, ids)
        };
        let open = Open(self, number);
        let results = record(&ids);
        let mut local = Vec::with_capacity(results.len());
        for (i, &id) in results.iter().enumerate() {
            if id.is_poisoned() {
                return Err(FrameError::Poisoned(i));
            }
            local.push(self.visible(id).ok_or(FrameError::Closed(i))?.index());
        }
        let frame = self.inner.borrow_mut().frames.pop().expect("frames close in order");
        drop(open);
        let live = frame.tape.needed_by(local.iter().copied());
        let (declared, captured) = frame.params.split_at(frame.declared);
        let used = captured.iter().zip(&frame.captures).filter(|(i, _)| live[**i]);
        let (captured, captures): (Vec<usize>, Vec<NodeId>) = used.unzip();
        let body = Body::new(&frame.tape, &[declared, &captured].concat(), &local);
        Ok((Arc::new(body), captures))
    }

    /// Operands as values of the frame that is being recorded.
    pub(crate) fn localize(&self, inputs: &[NodeId]) -> Result<Inputs, TypeError> {
        if self.inner.borrow().are_local(inputs) {
            return Ok(Inputs::from_slice(inputs));
        }
        let mut local = Inputs::with_capacity(inputs.len());
        for (operand, &id) in inputs.iter().enumerate() {
            local.push(self.visible(id).ok_or(TypeError::ClosedFrame { operand })?);
        }
        Ok(local)
    }

    /// `id` as a value of the innermost open frame, captured if it comes from further out; `None`
    /// if its frame is closed or it is no node of this graph.
    pub(crate) fn visible(&self, id: NodeId) -> Option<NodeId> {
        let mut inner = self.inner.borrow_mut();
        let level = match id.frame() {
            0 => 0,
            frame => 1 + inner.frames.iter().position(|f| f.number == frame)?,
        };
        let tape = inner.tape(id.frame())?;
        if id.index() >= tape.len() {
            return None;
        }
        if level == inner.frames.len() {
            return Some(id);
        }
        let ty = tape.node(id.index()).ty.clone();
        let origin = tape.origins[id.index()];
        Some(inner.frames[level..].iter_mut().fold(id, |id, f| f.capture(id, &ty, origin)))
    }
}

impl<O: Operator> Inner<O> {
    /// Parameters of the innermost open frame, by tape index, that stand for outer values which
    /// depend on `x`, a value of an outer frame; but for the one that stands for `x` itself.
    pub(crate) fn aliases(&self, x: NodeId) -> Vec<usize> {
        let level = match x.frame() {
            0 => Some(0),
            frame => self.frames.iter().position(|f| f.number == frame).map(|i| i + 1),
        };
        let (Some(level), Some(tape)) = (level, self.tape(x.frame())) else { return Vec::new() };
        let mut depends = tape.reached_from([x.index()], tape.len());
        let (mut itself, mut aliases) = (Some(x), Vec::new());
        for f in &self.frames[level..] {
            let captured = f.captures.iter().map(|outer| (outer, f.captured[outer]));
            aliases =
                captured.filter(|(outer, _)| depends[outer.index()]).map(|(_, i)| i).collect();
            depends = f.tape.reached_from(aliases.iter().copied(), f.tape.len());
            let index = itself.and_then(|id| f.captured.get(&id)).copied();
            aliases.retain(|&alias| Some(alias) != index);
            itself = index.map(|i| NodeId::in_frame(f.number, i));
        }
        aliases
    }
}

/// A finished loop body or fused region: an immutable function in the form of a small tape.
///
/// Its first nodes are its parameters, in order. Bodies are compared by hash, then by content.
#[derive(Clone, Debug)]
pub struct Body<O> {
    nodes: Box<[Node<O>]>,
    params: usize,
    results: SmallVec<[usize; 2]>,
    hash: u64,
}

impl<O: Operator> Body<O> {
    /// The part of `tape` that `results` need, parameters first.
    fn new(tape: &Tape<O>, params: &[usize], results: &[usize]) -> Self {
        let mut rest = tape.needed_by(results.iter().copied());
        params.iter().for_each(|&i| rest[i] = false);
        let rest = (0..tape.len()).filter(|&i| rest[i]);
        let order: Vec<usize> = params.iter().copied().chain(rest).collect();
        let mut at = vec![0; tape.len()];
        order.iter().enumerate().for_each(|(new, &old)| at[old] = new);
        let node = |(new, &old): (usize, &usize)| {
            let node = tape.node(old);
            // Parameters that were captured but are not needed leave no gap.
            let op = if new < params.len() { O::parameter(new, &node.ty) } else { node.op.clone() };
            let inputs = node.inputs.iter().map(|id| NodeId::new(at[id.index()])).collect();
            Node { op, inputs, ty: node.ty.clone() }
        };
        let nodes = order.iter().enumerate().map(node).collect();
        Self::from_parts(nodes, params.len(), results.iter().map(|&r| at[r]).collect())
    }

    fn from_parts(nodes: Box<[Node<O>]>, params: usize, results: SmallVec<[usize; 2]>) -> Self {
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one((&nodes, params, &results));
        Body { nodes, params, results, hash }
    }

    /// The function that a graph is: parameters are its parameter nodes, results its outputs.
    pub(crate) fn from_graph(g: &Graph<O>) -> Result<Self, String> {
        let inner = g.inner.borrow();
        let tape = &inner.root;
        let is_param = |i: usize, n: usize| tape.node(i).op == O::parameter(n, &tape.node(i).ty);
        let leaves: Vec<usize> =
            (0..tape.len()).filter(|&i| tape.node(i).inputs.is_empty()).collect();
        let mut params = Vec::new();
        while let Some(&i) = leaves.iter().find(|&&i| is_param(i, params.len())) {
            params.push(i);
        }
        let again = |i: usize| !params.contains(&i) && (0..params.len()).any(|n| is_param(i, n));
        if let Some(&i) = leaves.iter().find(|&&i| again(i)) {
            return Err(format!("{} is defined twice", tape.node(i).op));
        }
        let results: Vec<usize> = inner.roots.iter().map(|r| r.value.index()).collect();
        Ok(Self::new(tape, &params, &results))
    }

    /// The function that some nodes of a graph are: of the values of `params`, through `members`, in
    /// order, to the values of `results`. Members that no result needs are left out. `None` if a member
    /// takes its value from outside of the graph, or uses what is neither a parameter nor a member
    /// before it, or if a result is none of these.
    pub fn of_nodes(
        g: &Graph<O>,
        params: &[NodeId],
        members: &[NodeId],
        results: &[NodeId],
    ) -> Option<Self> {
        let mut nodes: Vec<Node<O>> = Vec::with_capacity(params.len() + members.len());
        for (i, &param) in params.iter().enumerate() {
            let ty = g.get(param)?.ty.clone();
            nodes.push(Node { op: O::parameter(i, &ty), inputs: Inputs::new(), ty });
        }
        let place = |id: &NodeId, before: usize| {
            let all = params.iter().chain(&members[..before]);
            all.zip(0..).find_map(|(x, i)| (x == id).then_some(NodeId::new(i)))
        };
        for (i, &member) in members.iter().enumerate() {
            let node = g.get(member)?;
            let (op, ty) = (node.op.clone(), node.ty.clone());
            let is_param = |op: &O| (0..params.len()).any(|n| *op == O::parameter(n, &ty));
            if node.inputs.is_empty() && (op.traits().has(Traits::SOURCE) || is_param(&op)) {
                return None;
            }
            let local = node.inputs.iter().map(|x| place(x, i));
            let mut inputs = local.collect::<Option<Inputs>>()?;
            canonical_order(&op, &mut inputs);
            nodes.push(Node { op, inputs, ty });
        }
        let local = results.iter().map(|x| Some(place(x, members.len())?.index()));
        let results = local.collect::<Option<SmallVec<[usize; 2]>>>()?;
        Some(Self::of_needed(nodes, params.len(), results))
    }

    /// Nodes in order, less those that neither are parameters nor needed.
    fn of_needed(nodes: Vec<Node<O>>, params: usize, mut results: SmallVec<[usize; 2]>) -> Self {
        let mut needed: SmallVec<[bool; 64]> = SmallVec::from_elem(false, nodes.len());
        results.iter().for_each(|&r| needed[r] = true);
        for (i, node) in nodes.iter().enumerate().rev() {
            if needed[i] {
                node.inputs.iter().for_each(|x| needed[x.index()] = true);
            }
        }
        needed[..params].fill(true);
        if needed.iter().all(|&needed| needed) {
            return Self::from_parts(nodes.into(), params, results);
        }
        let mut at: SmallVec<[usize; 64]> = SmallVec::new();
        needed.iter().fold(0, |next, &needed| {
            at.push(next);
            next + usize::from(needed)
        });
        let renumbered = nodes.into_iter().zip(&needed).filter(|(_, needed)| **needed);
        let nodes = renumbered.map(|(mut node, _)| {
            node.inputs.iter_mut().for_each(|x| *x = NodeId::new(at[x.index()]));
            node
        });
        let nodes = nodes.collect();
        results.iter_mut().for_each(|r| *r = at[*r]);
        Self::from_parts(nodes, params, results)
    }

    /// All nodes, operands before users, parameters first.
    pub fn nodes(&self) -> &[Node<O>] {
        &self.nodes
    }

    /// Number of parameters.
    pub fn params(&self) -> usize {
        self.params
    }

    /// Type of a parameter.
    pub fn param_types(&self) -> impl ExactSizeIterator<Item = &Type> {
        self.nodes[..self.params].iter().map(|n| &n.ty)
    }

    /// Positions of the results among the nodes.
    pub fn results(&self) -> &[usize] {
        &self.results
    }

    /// Types of the results.
    pub fn result_types(&self) -> impl ExactSizeIterator<Item = &Type> {
        self.results.iter().map(|&r| &self.nodes[r].ty)
    }

    /// Records the body in `g` with `args` for its parameters; answers the results.
    ///
    /// # Panics
    /// If there are fewer arguments than parameters.
    #[track_caller]
    pub fn instantiate(&self, g: &Graph<O>, args: &[NodeId]) -> Vec<NodeId> {
        let mut ids: Vec<NodeId> = args[..self.params].to_vec();
        for node in &self.nodes[self.params..] {
            let inputs: Inputs = node.inputs.iter().map(|id| ids[id.index()]).collect();
            ids.push(g.push(node.op.clone(), &inputs));
        }
        self.results.iter().map(|&r| ids[r]).collect()
    }
}

impl<O: Operator> PartialEq for Body<O> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.params == other.params
            && self.results == other.results
            && self.nodes == other.nodes
    }
}

impl<O: Operator> Eq for Body<O> {}

impl<O> Hash for Body<O> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

impl<O: Operator> fmt::Display for Body<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, node) in self.nodes.iter().enumerate() {
            crate::text::write_node(f, i, node)?;
            f.write_str("; ")?;
        }
        for (i, r) in self.results.iter().enumerate() {
            write!(f, "{}return %{r}", if i > 0 { "; " } else { "" })?;
        }
        f.write_str("}")
    }
}
