//! The graph: recording nodes.

use std::borrow::Borrow;
use std::cell::{Ref, RefCell};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use pleach_tensor::Type;
use smallvec::SmallVec;

use crate::body::Frame;
use crate::interner::Key;
use crate::origin::{OriginId, Origins};
use crate::tape::{Inputs, MAX_OPERANDS, Node, Tape};
use crate::{BuildError, BuildErrors, NodeId, Operator, Origin, Simpler, Site, Traits, TypeError};

/// Rewrites that one [`Graph::push`] may chain before it records the node as it stands.
const MAX_REWRITES: usize = 8;

/// An append-only computation graph over a language of operators.
///
/// Recording takes `&self`; no borrow is held while an operator, a rule or user code runs.
///
/// *Architecture Invariant:* a graph that exists is well typed, and its index order is a
/// topological order. An ill-typed node is never recorded: [`Graph::push`] answers with a
/// poisoned id and keeps the error.
pub struct Graph<O: Operator> {
    pub(crate) inner: RefCell<Inner<O>>,
    context: RefCell<O::Context>,
}

pub(crate) struct Inner<O> {
    pub(crate) root: Tape<O>,
    /// Loop bodies under construction, innermost last.
    pub(crate) frames: Vec<Frame<O>>,
    pub(crate) frames_opened: u32,
    pub(crate) roots: Vec<Root>,
    /// What [`Graph::live`] found, until the roots or the number of nodes change.
    pub(crate) live: Option<Arc<[bool]>>,
    pub(crate) errors: Vec<BuildError>,
    /// What is recorded now comes from here, if set; else from the caller's line.
    pub(crate) origin: Option<OriginId>,
    /// The origins that nodes of any frame have.
    pub(crate) origins: Origins,
    pub(crate) scope: Option<Arc<str>>,
    pub(crate) raw: bool,
    /// Equal nodes may be on the tape: it was recorded raw, or read from text.
    pub(crate) twins: bool,
    strict: bool,
}

/// A value that the graph is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Name of the value.
    pub name: Arc<str>,
    /// The value.
    pub value: NodeId,
    /// The source that takes this value after a run, if it is an assignment.
    pub target: Option<NodeId>,
}

impl<O: Operator> Default for Graph<O> {
    fn default() -> Self {
        let inner = Inner {
            root: Tape::default(),
            frames: Vec::new(),
            frames_opened: 0,
            roots: Vec::new(),
            live: None,
            errors: Vec::new(),
            origin: None,
            origins: Origins::default(),
            scope: None,
            raw: false,
            twins: false,
            strict: false,
        };
        Graph { inner: RefCell::new(inner), context: RefCell::default() }
    }
}

impl<O: Operator> Graph<O> {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty graph that records exactly what is written: no canonical order, no identities,
    /// no sharing (but of sources). For teaching and experiments.
    pub fn raw() -> Self {
        let g = Self::default();
        {
            let mut inner = g.inner.borrow_mut();
            (inner.raw, inner.twins) = (true, true);
        }
        g
    }

    /// Does it record exactly what is written?
    pub fn is_raw(&self) -> bool {
        self.inner.borrow().raw
    }

    /// From here on an ill-typed node panics at the user's line: for tests and notebooks.
    #[must_use]
    pub fn strict(self) -> Self {
        self.inner.borrow_mut().strict = true;
        self
    }

    /// What the language keeps beside the tape.
    pub fn context(&self) -> &RefCell<O::Context> {
        &self.context
    }

    /// Number of nodes recorded, dead ones included.
    pub fn len(&self) -> usize {
        self.inner.borrow().root.len()
    }

    /// Has nothing been recorded?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every node, operands before users.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator + use<O> {
        (0..self.len()).map(NodeId::new)
    }

    /// The node, or `None` if the id is poisoned, of a finished body, or of no node.
    pub fn get(&self, id: NodeId) -> Option<Arc<Node<O>>> {
        let inner = self.inner.borrow();
        let tape = inner.tape(id.frame())?;
        (id.index() < tape.len()).then(|| tape.node(id.index()).clone())
    }

    /// The node.
    ///
    /// # Panics
    /// If the id is poisoned, belongs to a finished body or to another graph: for rules and
    /// passes, whose ids are known to be good. With a user's id, ask [`Graph::get`].
    pub fn node(&self, id: NodeId) -> Arc<Node<O>> {
        self.get(id).unwrap_or_else(|| panic!("{id} is not a node of this graph"))
    }

    /// What `f` tells of the node, without a handle to it. As [`Graph::get`] for other ids. `f` may
    /// look at other nodes; it must not record, nor ask for users, twins or what is live.
    pub fn peek<T>(&self, id: NodeId, f: impl FnOnce(&Node<O>) -> T) -> Option<T> {
        let inner = self.inner.borrow();
        let tape = inner.tape(id.frame()).filter(|tape| id.index() < tape.len())?;
        Some(f(tape.node(id.index())))
    }

    /// What `f` tells of the node and the types of its operands. As [`Graph::peek`].
    pub fn peek_typed<T>(&self, id: NodeId, f: impl FnOnce(&Node<O>, &[&Type]) -> T) -> Option<T> {
        let inner = self.inner.borrow();
        let tape = inner.tape(id.frame()).filter(|tape| id.index() < tape.len())?;
        let node = tape.node(id.index());
        let types = node.inputs.iter().map(|x| &tape.node(x.index()).ty);
        Some(f(node, &types.collect::<SmallVec<[&Type; 4]>>()))
    }

    /// Tells `f` of every node, operands before users, with the types of its operands. As
    /// [`Graph::peek_typed`] of all of them, and quicker.
    pub fn each(&self, mut f: impl FnMut(NodeId, &Node<O>, &[&Type])) {
        let inner = self.inner.borrow();
        let tape = &inner.root;
        let ty = |x: NodeId| &tape.node(x.index()).ty;
        for index in 0..tape.len() {
            let (id, node) = (NodeId::new(index), &**tape.node(index));
            match *node.inputs {
                [] => f(id, node, &[]),
                [a] => f(id, node, &[ty(a)]),
                [a, b] => f(id, node, &[ty(a), ty(b)]),
                ref all => f(id, node, &all.iter().map(|&x| ty(x)).collect::<SmallVec<[_; 4]>>()),
            }
        }
    }

    fn read<T>(&self, id: NodeId, f: impl FnOnce(&Node<O>) -> T) -> T {
        self.peek(id, f).unwrap_or_else(|| panic!("{id} is not a node of this graph"))
    }

    /// The operator of the node. Panics as [`Graph::node`].
    pub fn op(&self, id: NodeId) -> O {
        self.read(id, |node| node.op.clone())
    }

    /// The type of the node. Panics as [`Graph::node`].
    pub fn ty(&self, id: NodeId) -> Type {
        self.read(id, |node| node.ty.clone())
    }

    /// The users of a node of the graph itself, by slot, in the order of recording. Uses inside
    /// of loop bodies are uses by the loop.
    pub fn users(&self, id: NodeId) -> Vec<(NodeId, usize)> {
        if id.frame() != 0 {
            return Vec::new();
        }
        let mut inner = self.inner.borrow_mut();
        inner.root.draw_edges();
        let mut users: Vec<_> = inner.root.users(id).collect();
        users.sort_unstable();
        users
    }

    /// The nodes recorded before this one with the same operands, in the order of recording: results
    /// of one computation are among them. Takes time in proportion to the users of the operand that
    /// has fewest, for others may be used by all of a large graph.
    pub fn twins(&self, id: NodeId) -> Vec<NodeId> {
        let node = self.node(id);
        self.inner.borrow_mut().root.draw_edges();
        let inner = self.inner.borrow();
        let users = |x: &NodeId| inner.root.users(*x).map(|(user, _)| user);
        if node.inputs.is_empty() || node.inputs.iter().any(|x| x.frame() != 0) {
            return Vec::new();
        }
        let mut walks: Vec<_> = node.inputs.iter().map(users).collect();
        let fewest = loop {
            if let Some(ended) = walks.iter_mut().position(|walk| walk.next().is_none()) {
                break ended;
            }
        };
        let mut twins: Vec<NodeId> = users(&node.inputs[fewest])
            .filter(|user| *user < id && self.node(*user).inputs == node.inputs)
            .collect();
        twins.sort_unstable();
        twins.dedup();
        twins
    }

    /// Where the node comes from.
    pub fn origin(&self, id: NodeId) -> Origin {
        let inner = self.inner.borrow();
        let origin = inner.tape(id.frame()).and_then(|tape| tape.origins.get(id.index()));
        origin.map_or(Origin::default(), |&at| inner.origins.get(at).clone())
    }

    /// Are all equal nodes one? A graph that was recorded raw, or read from text, may have twins.
    pub fn is_shared(&self) -> bool {
        !self.inner.borrow().twins
    }

    /// What the graph is asked for, in order.
    pub fn roots(&self) -> Vec<Root> {
        self.inner.borrow().roots.clone()
    }

    /// Asks for a value under a name. A value of a loop body is refused, as [`Graph::push`]
    /// refuses an ill-typed node; a poisoned one is quietly passed over.
    #[track_caller]
    pub fn output(&self, name: &str, value: NodeId) {
        if let Some(reason) = self.no_root(&[value]) {
            self.refuse(format_args!("output {name:?}"), &[value], reason);
            return;
        }
        self.ask(Root { name: name.into(), value, target: None });
    }

    /// Asks that source `target` take `value` after a run. Refuses as [`Graph::output`] does, and
    /// if the types differ.
    #[track_caller]
    pub fn assign(&self, name: &str, target: NodeId, value: NodeId) {
        let differ = || {
            let (target, value) = (self.ty(target), self.ty(value));
            (target != value).then(|| {
                let why = format!("a source of type {target} cannot take a value of type {value}");
                TypeError::Attribute(why)
            })
        };
        if let Some(reason) = self.no_root(&[target, value]).or_else(differ) {
            self.refuse(format_args!("assign {name:?}"), &[target, value], reason);
            return;
        }
        self.ask(Root { name: name.into(), value, target: Some(target) });
    }

    fn ask(&self, root: Root) {
        let mut inner = self.inner.borrow_mut();
        inner.live = None;
        inner.roots.push(root);
    }

    /// Why the graph cannot be asked for these values.
    fn no_root(&self, values: &[NodeId]) -> Option<TypeError> {
        let (operand, id) = values
            .iter()
            .enumerate()
            .find(|(_, id)| id.frame() != 0 || self.get(**id).is_none())?;
        Some(if self.get(*id).is_some() {
            TypeError::Attribute("a value inside of a loop body is no value of the graph".into())
        } else {
            TypeError::ClosedFrame { operand }
        })
    }

    /// Forgets everything that was asked for.
    pub fn clear_roots(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.live = None;
        inner.roots.clear();
    }

    /// The independent errors so far, in order.
    pub fn errors(&self) -> Ref<'_, [BuildError]> {
        Ref::map(self.inner.borrow(), |inner| inner.errors.as_slice())
    }

    /// The error that a poisoned id stands for.
    pub fn error_of(&self, id: NodeId) -> Option<BuildError> {
        id.is_poisoned().then(|| self.inner.borrow().errors.get(id.index()).cloned()).flatten()
    }

    /// Is the graph free of errors?
    ///
    /// # Errors
    /// Every independent one.
    pub fn check(&self) -> Result<(), BuildErrors> {
        match self.inner.borrow().errors.as_slice() {
            [] => Ok(()),
            errors => Err(BuildErrors(errors.to_vec())),
        }
    }

    /// Keeps an error of the user's code that no type rule can see; the answer stands for it.
    #[track_caller]
    pub fn refuse(&self, op: impl fmt::Display, inputs: &[NodeId], reason: TypeError) -> NodeId {
        if let Some(&poisoned) = inputs.iter().find(|id| self.error_of(**id).is_some()) {
            return poisoned;
        }
        let operands = inputs.iter().filter_map(|&id| Some(self.get(id)?.ty.clone())).collect();
        let mut inner = self.inner.borrow_mut();
        let site = match &inner.origin {
            Some(origin) => inner.origins.get(*origin).first().cloned(),
            None => Some(Site::new(Location::caller(), inner.scope.clone())),
        };
        let error = BuildError { op: op.to_string(), operands, reason, site };
        if inner.strict {
            drop(inner);
            panic!("{error}");
        }
        inner.errors.push(error);
        NodeId::poison(inner.errors.len() - 1)
    }

    /// Records `op` of `inputs`: type rule, canonical order of commutative operands, identities,
    /// sharing of equal nodes, append. Answers the node that has the value.
    ///
    /// An ill-typed node is refused: the answer is poisoned and [`Graph::check`] reports the
    /// error with the caller's line. Whatever uses a poisoned value is quietly poisoned too.
    #[track_caller]
    pub fn push(&self, op: O, inputs: &[NodeId]) -> NodeId {
        let mut op = op;
        let mut inputs = match self.localize(inputs) {
            Ok(inputs) => inputs,
            Err(reason) => return self.refuse(op, inputs, reason),
        };
        let mut ty = match self.infer(&op, &inputs) {
            Ok(ty) => ty,
            Err(reason) => return self.refuse(op, &inputs, reason),
        };
        if !self.is_raw() {
            for _ in 0..MAX_REWRITES {
                canonical_order(&op, &mut inputs);
                match op.simplify(self, &inputs) {
                    Simpler::Same => break,
                    Simpler::Existing(id) => {
                        debug_assert!(id.is_poisoned() || self.ty(id) == ty, "of another type");
                        self.inner.borrow_mut().merge_origin(id, Location::caller());
                        return id;
                    }
                    Simpler::Push(simpler, of) => {
                        let inferred = self.localize(&of).and_then(|of| {
                            let ty = self.infer(&simpler, &of)?;
                            Ok((of, ty))
                        });
                        let (of, same) = match inferred {
                            Ok(inferred) => inferred,
                            Err(reason) => return self.refuse(simpler, &of, reason),
                        };
                        debug_assert_eq!(same, ty, "an identity must keep the type");
                        (op, inputs, ty) = (simpler, of, same);
                    }
                }
            }
            canonical_order(&op, &mut inputs);
        }
        self.append(Node { op, inputs, ty }, Location::caller())
    }

    /// The node that is `op` of `inputs`, if it is recorded: as written, no identity is tried. What was
    /// recorded outside of a body is not found while the body is.
    pub fn find(&self, op: &O, inputs: &[NodeId]) -> Option<NodeId> {
        let mut inputs = Inputs::from_slice(inputs);
        canonical_order(op, &mut inputs);
        let mut inner = self.inner.borrow_mut();
        let frame = inner.current();
        let found = inner.tape_mut(frame).find(op, &inputs);
        found.map(|index| NodeId::in_frame(frame, index))
    }

    /// Type rule on the types of the operands; no borrow is held while it runs.
    fn infer(&self, op: &O, inputs: &[NodeId]) -> Result<Type, TypeError> {
        let node = |id: NodeId| {
            let inner = self.inner.borrow();
            inner.tape_of_current().node(id.index()).clone()
        };
        match *inputs {
            [] => op.infer(&[]),
            [a] => op.infer(&[&node(a).ty]),
            [a, b] => op.infer(&[&node(a).ty, &node(b).ty]),
            _ if inputs.len() > MAX_OPERANDS => {
                Err(TypeError::Arity { expected: MAX_OPERANDS, got: inputs.len() })
            }
            _ => {
                let nodes: SmallVec<[Arc<Node<O>>; 4]> = inputs.iter().map(|&x| node(x)).collect();
                op.infer(&nodes.iter().map(|n| &n.ty).collect::<SmallVec<[&Type; 4]>>())
            }
        }
    }

    /// A node of another graph that is shared, of operands that are equal to its own there, as
    /// values of the current frame: [`Graph::push`] where there is nothing to find out. `first` of all
    /// that are so: the graph holds nothing else, so it is new.
    #[track_caller]
    pub(crate) fn append_again(
        &self,
        node: &Arc<Node<O>>,
        mut inputs: Inputs,
        first: bool,
    ) -> NodeId {
        let node = if inputs == node.inputs {
            node.clone()
        } else {
            canonical_order(&node.op, &mut inputs);
            Arc::new(Node { op: node.op.clone(), inputs, ty: node.ty.clone() })
        };
        if !first {
            return self.append(node, Location::caller());
        }
        let mut inner = self.inner.borrow_mut();
        let origin = inner.origin_or(Location::caller());
        NodeId::new(inner.root.append_new(node, origin))
    }

    /// This node, whose operands are values of the current frame: found or appended.
    fn append(
        &self,
        node: impl Borrow<Node<O>> + Into<Arc<Node<O>>>,
        caller: &'static Location<'static>,
    ) -> NodeId {
        let Node { op, inputs, .. } = node.borrow();
        let source = inputs.is_empty() && op.traits().has(Traits::SOURCE);
        let key = Key::new(op, inputs);
        let mut inner = self.inner.borrow_mut();
        let frame = if source { 0 } else { inner.current() };
        let tape = inner.tape_mut(frame);
        tape.intern();
        let found = tape.find_key(key, op, inputs);
        let index = match found {
            Some(index) if source || !inner.raw => {
                inner.merge_origin(NodeId::in_frame(frame, index), caller);
                index
            }
            _ => {
                let origin = inner.origin_or(caller);
                inner.tape_mut(frame).append(key, node.into(), origin, found.is_some())
            }
        };
        NodeId::in_frame(frame, index)
    }
}

/// Commutative operands in the order of their recording.
pub(crate) fn canonical_order<O: Operator>(op: &O, inputs: &mut Inputs) {
    if inputs.len() == 2 && inputs[0] > inputs[1] && op.traits().has(Traits::COMMUTATIVE) {
        inputs.swap(0, 1);
    }
}

impl<O: Operator> Inner<O> {
    /// The innermost open frame; 0 if no body is being recorded.
    pub(crate) fn current(&self) -> u32 {
        self.frames.last().map_or(0, |f| f.number)
    }

    /// Are these values of the innermost open frame?
    pub(crate) fn are_local(&self, inputs: &[NodeId]) -> bool {
        let (frame, len) = (self.current(), self.tape_of_current().len());
        inputs.iter().all(|id| id.frame() == frame && id.index() < len)
    }

    /// The tape of the innermost open frame.
    pub(crate) fn tape_of_current(&self) -> &Tape<O> {
        self.frames.last().map_or(&self.root, |f| &f.tape)
    }

    /// Adds the place that is recording now to the places of a node.
    fn merge_origin(&mut self, id: NodeId, caller: &'static Location<'static>) {
        let known = self.tape(id.frame()).and_then(|tape| tape.origins.get(id.index()));
        if let Some(&known) = known {
            let news = self.origin_or(caller);
            let merged = self.origins.merged(known, news);
            self.tape_mut(id.frame()).origins[id.index()] = merged;
        }
    }

    /// The tape of an open frame.
    pub(crate) fn tape(&self, frame: u32) -> Option<&Tape<O>> {
        match frame {
            0 => Some(&self.root),
            _ => self.frames.iter().find(|f| f.number == frame).map(|f| &f.tape),
        }
    }

    /// The tape of a frame that is known to be open.
    pub(crate) fn tape_mut(&mut self, frame: u32) -> &mut Tape<O> {
        match frame {
            0 => &mut self.root,
            _ => {
                let open = self.frames.iter_mut().find(|f| f.number == frame);
                &mut open.expect("the frame is open").tape
            }
        }
    }

    /// Where what is recorded now comes from, if its caller is there.
    pub(crate) fn origin_or(&mut self, caller: &'static Location<'static>) -> OriginId {
        match self.origin {
            Some(origin) => origin,
            None => self.origins.id(Site::new(caller, self.scope.clone()).into()),
        }
    }
}

impl<O: Operator> fmt::Debug for Graph<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
