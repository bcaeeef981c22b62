//! `Var`: a value of a graph, with operators and methods.

use std::fmt;
use std::ops;

use pleach_graph::{BuildError, Node, NodeId, TypeError};
use pleach_tensor::{DType, Shape, Tensor, Type};
use smallvec::SmallVec;

use crate::interpret::{Sources, interpret};
use crate::{Add, Broadcast, Constant, Div, EvalError, Full, Graph, Mul, Neg, Op, Sub};

/// A value of a graph: which graph, which node. Copies freely.
///
/// Arithmetic between variables broadcasts by NumPy's rule; a number is a constant of the
/// variable's element type. A wrong operation poisons its result and is reported, with the line
/// that asked for it, when the graph is compiled: [`Var::ok`] asks at once.
#[derive(Clone, Copy)]
pub struct Var<'g> {
    graph: &'g Graph,
    id: NodeId,
}

impl<'g> Var<'g> {
    /// Node `id` of `graph` as a variable.
    pub fn new(graph: &'g Graph, id: NodeId) -> Self {
        Var { graph, id }
    }

    /// The graph.
    pub fn graph(self) -> &'g Graph {
        self.graph
    }

    /// The node.
    pub fn id(self) -> NodeId {
        self.id
    }

    /// The type, or `None` if the value is poisoned.
    pub fn ty(self) -> Option<Type> {
        self.graph.peek(self.id, |node| node.ty.clone())
    }

    /// The shape; that of a scalar if the value is poisoned.
    pub fn shape(self) -> Shape {
        self.ty().map_or_else(Shape::scalar, |ty| ty.shape().clone())
    }

    /// Length of an axis; negative axes count from the end. 1 if there is no such axis or the
    /// value is poisoned.
    pub fn size(self, axis: i64) -> usize {
        let shape = self.shape();
        let axis = if axis < 0 { axis + shape.rank() as i64 } else { axis };
        usize::try_from(axis).ok().and_then(|axis| shape.get(axis).copied()).unwrap_or(1)
    }

    /// The element type; `f32` if the value is poisoned.
    pub fn dtype(self) -> DType {
        self.graph.peek(self.id, |node| node.ty.dtype()).unwrap_or(DType::F32)
    }

    /// The variable, or the error that poisoned it.
    ///
    /// # Errors
    /// The error with operator, operand types and the line that asked for it.
    #[expect(clippy::result_large_err, reason = "asked by users, once, when something is wrong")]
    pub fn ok(self) -> Result<Var<'g>, BuildError> {
        match self.graph.error_of(self.id) {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// Records an operator of variables of this graph.
    #[track_caller]
    pub fn record(self, op: impl Into<Op>, x: &[Var<'g>]) -> Var<'g> {
        let op = op.into();
        let ids = self.own(x);
        if ids.len() < x.len() {
            return Var::new(self.graph, self.graph.refuse(op, &ids, other_graph()));
        }
        Var::new(self.graph, self.graph.push(op, &ids))
    }

    /// Those of `x` that belong to this graph.
    fn own(self, x: &[Var<'g>]) -> SmallVec<[NodeId; 4]> {
        x.iter().filter(|v| std::ptr::eq(v.graph, self.graph)).map(|v| v.id).collect()
    }

    /// A poisoned value, with its reason: for composites that check what no type rule sees. An
    /// operand that is no value of this graph is a better reason than any other.
    #[track_caller]
    pub(crate) fn refuse(self, op: &str, x: &[Var<'g>], reason: TypeError) -> Var<'g> {
        let ids = self.own(x);
        let closed = |id: &NodeId| !id.is_poisoned() && self.graph.get(*id).is_none();
        let reason = match ids.iter().position(closed) {
            _ if ids.len() < x.len() => other_graph(),
            Some(operand) => TypeError::ClosedFrame { operand },
            None => reason,
        };
        Var::new(self.graph, self.graph.refuse(op, &ids, reason))
    }

    /// The result of `op` if one of `x` has no type: poisoned by what poisoned the operand, or
    /// because the operand is the value of a finished loop body.
    #[track_caller]
    pub(crate) fn untyped(self, op: &str, x: &[Var<'g>]) -> Var<'g> {
        let operand = x.iter().position(|v| v.ty().is_none()).unwrap_or(0);
        self.refuse(op, x, TypeError::ClosedFrame { operand })
    }

    /// An axis that may count from the end (`-1` is the last), as an index.
    pub(crate) fn axis(self, axis: i64) -> Result<usize, TypeError> {
        let rank = self.shape().rank();
        let at = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(at).ok().filter(|&at| at < rank).ok_or(TypeError::Axis { axis, rank })
    }

    /// Every element `value`, of this variable's type.
    #[track_caller]
    pub fn full_like(self, value: f64) -> Var<'g> {
        match self.ty() {
            Some(ty) => self.record(Full::new(&ty, value), &[]),
            None => self,
        }
    }

    /// Interprets the value on the spot: `feeds` are the values of the graph's inputs in order of
    /// declaration, parameters have their initial values. Slow; for looking and for tests.
    ///
    /// # Errors
    /// [`EvalError`] if the graph has errors, or a feed is missing or has a wrong type.
    pub fn eval(self, feeds: &[&Tensor]) -> Result<Tensor, EvalError> {
        Sources::with_feeds(feeds, |sources| self.eval_with(sources))
    }

    /// As [`Var::eval`], with any values for inputs and variables.
    ///
    /// # Errors
    /// As [`Var::eval`].
    pub fn eval_with(self, sources: Sources<'_>) -> Result<Tensor, EvalError> {
        self.graph.check()?;
        let mut values = interpret(self.graph, &[self.id], sources)?;
        values.pop().ok_or_else(|| EvalError::Missing("the value".into()))
    }

    /// The values of both, broadcast to a common shape, or a poisoned one.
    #[track_caller]
    pub(crate) fn broadcast_with(self, op: &str, other: Var<'g>) -> Result<[Var<'g>; 2], Var<'g>> {
        let alike = |a: &Node<Op>| other.graph.peek(other.id, |b| a.ty.shape() == b.ty.shape());
        if self.graph.peek(self.id, alike) == Some(Some(true)) {
            return Ok([self, other]);
        }
        let (Some(a), Some(b)) = (self.ty(), other.ty()) else {
            return Err(self.untyped(op, &[self, other]));
        };
        match a.shape().broadcast(b.shape()) {
            Some(shape) => {
                let widen = |v: Var<'g>| v.record(Broadcast::new(&shape), &[v]);
                Ok([widen(self), widen(other)])
            }
            None => {
                let reason = TypeError::Broadcast(a.shape().clone(), b.shape().clone());
                Err(self.refuse(op, &[self, other], reason))
            }
        }
    }

    /// An elementwise operator of two operands, broadcast.
    #[track_caller]
    pub(crate) fn binary(self, op: impl Into<Op>, other: impl Operand<'g>) -> Var<'g> {
        let op = op.into();
        let other = other.like(self);
        match self.broadcast_with(op.name(), other) {
            Ok(x) => self.record(op, &x),
            Err(poisoned) => poisoned,
        }
    }
}

/// Values of two graphs do not mix.
pub(crate) fn other_graph() -> TypeError {
    TypeError::Attribute("an operand belongs to another graph".into())
}

/// What arithmetic takes beside a variable: another variable, or a number.
pub trait Operand<'g>: Copy {
    /// The variable, if it is one.
    fn var(self) -> Option<Var<'g>> {
        None
    }
    /// As a variable of the graph of `other`; a number takes its element type and shape.
    #[track_caller]
    fn like(self, other: Var<'g>) -> Var<'g>;
}

impl<'g> Operand<'g> for Var<'g> {
    fn var(self) -> Option<Var<'g>> {
        Some(self)
    }

    fn like(self, _: Var<'g>) -> Var<'g> {
        self
    }
}

/// Implements arithmetic for one operator.
macro_rules! arithmetic {
    ($($trait:ident $method:ident $op:expr;)*) => {$(
        impl<'g, R: Operand<'g>> ops::$trait<R> for Var<'g> {
            type Output = Var<'g>;
            #[track_caller]
            fn $method(self, other: R) -> Var<'g> { self.binary($op, other) }
        }
    )*};
}

arithmetic! {
    Add add Add;
    Sub sub Sub;
    Mul mul Mul;
    Div div Div;
}

/// Implements numbers as operands.
macro_rules! numbers {
    ($($number:ident)*) => {$(
        impl<'g> Operand<'g> for $number {
            #[track_caller]
            fn like(self, other: Var<'g>) -> Var<'g> {
                let Some(ty) = other.ty() else { return other };
                let (value, dtype) = (self as f64, ty.dtype());
                if dtype.is_float() {
                    return other.full_like(value);
                }
                let held = Tensor::full(&Type::scalar(dtype), value).item() == Some(value);
                if !held || dtype == DType::Bool {
                    let why = format!("{self} is not a value of type {dtype}");
                    return other.refuse("constant", &[other], TypeError::Attribute(why));
                }
                if value as $number != self {
                    // An integer between two doubles.
                    let exact = Constant::new(Tensor::scalar(self as i64));
                    return other.record(exact, &[]).broadcast_to(ty.shape());
                }
                other.full_like(value)
            }
        }
    )*};
}

/// Implements numbers on the left of arithmetic. One type of float and one of integer, or the
/// type of a literal could not be inferred.
macro_rules! left_numbers {
    ($($number:ident)*) => {$(
        left_numbers!(@ops $number Add add Sub sub Mul mul Div div);
    )*};
    (@ops $number:ident $($trait:ident $method:ident)*) => {$(
        impl<'g> ops::$trait<Var<'g>> for $number {
            type Output = Var<'g>;
            #[track_caller]
            fn $method(self, other: Var<'g>) -> Var<'g> {
                ops::$trait::$method(self.like(other), other)
            }
        }
    )*};
}

numbers!(f64 f32 i32 i64 usize);
left_numbers!(f64 i32);

impl<'g> ops::Neg for Var<'g> {
    type Output = Var<'g>;
    #[track_caller]
    fn neg(self) -> Var<'g> {
        self.record(Neg, &[self])
    }
}

impl fmt::Debug for Var<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ty() {
            Some(ty) => write!(f, "{} : {ty}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}
