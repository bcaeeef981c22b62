//! `Op`: the closed list of operators, and the dispatch to them.

use std::fmt;

use pleach_graph::{Grad as Flow, GradError, NodeId, Operator, Simpler, Traits, TypeError};
use pleach_kernels::Lowering;
use pleach_tensor::{DType, Tensor, Type};
use smallvec::SmallVec;

use crate::carrier::Kind;
use crate::operation::{self, Operation};
use crate::primitive::{EvalError, vars};
use crate::{AxisRelations, Carrier, Cost, Custom, Dims, Fused, Graph, Sample, Scan, Session, Var};

/// Makes `enum Op` and its dispatch from one list: `group::file::Struct(arity)`, with `(..)` for
/// a variadic operator.
macro_rules! operators {
    ($($group:ident::$file:ident::$op:ident $arity:tt),* $(,)?) => {
        $(pub use crate::$group::$file::$op;)*

        /// An operation of a graph: one of the library's operators, a fused region, a result of a
        /// loop, the carrier of a user's gradient, or a [`Custom`] one.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "every variant is documented at its struct")]
        pub enum Op {
            $($op($op),)*
            Fused(Fused),
            Scan(Scan),
            Carrier(Carrier),
            Custom(Custom),
        }

        impl Op {
            /// The operator behind its object-safe interface.
            pub fn operation(&self) -> &dyn Operation {
                match self {
                    $(Op::$op(op) => op,)*
                    Op::Fused(op) => op,
                    Op::Scan(op) => op,
                    Op::Carrier(op) => op,
                    Op::Custom(op) => op.operation(),
                }
            }

            /// Its place in [`OPERATORS`]; `None` for what is not in the list.
            pub fn place(&self) -> Option<usize> {
                enum Place { $($op,)* }
                match self {
                    $(Op::$op(_) => Some(Place::$op as usize),)*
                    _ => None,
                }
            }

            fn parse_builtin(name: &str, attributes: &str) -> Option<Result<Op, String>> {
                match name {
                    $(n if n == operators!(@name $op $arity) => {
                        Some(operation::parse::<$op>(attributes).map(Op::$op))
                    })*
                    _ => None,
                }
            }

            /// Does `simplify` fold this operator of constants?
            fn is_exact(&self) -> bool {
                match self {
                    $(Op::$op(_) => operators!(@exact $op $arity),)*
                    _ => false,
                }
            }

            fn retyped(&self, from: DType, to: DType) -> Op {
                match self {
                    $(Op::$op(op) => operators!(@retype $op $arity op from to),)*
                    Op::Fused(op) => Op::Fused(op.retype(from, to)),
                    Op::Scan(op) => Op::Scan(op.retype(from, to)),
                    Op::Carrier(op) => Op::Carrier(op.retype(from, to)),
                    Op::Custom(op) => Op::Custom(op.retype(from, to)),
                }
            }
        }

        $(
            impl From<$op> for Op {
                fn from(op: $op) -> Op { Op::$op(op) }
            }
            operators!(@impl $op $arity);
        )*

        /// Every operator of the list: the registry over which laws are tested.
        pub const OPERATORS: &[OperatorInfo] = &[
            $(OperatorInfo {
                name: operators!(@name $op $arity),
                operands: operators!(@operands $arity),
                samples: operators!(@samples $op $arity),
            },)*
        ];
    };
    (@name $op:ident (..)) => { <$op as crate::Variadic>::NAME };
    (@name $op:ident ($n:literal)) => { <$op as crate::Primitive<$n>>::NAME };
    (@operands (..)) => { None };
    (@operands ($n:literal)) => { Some($n) };
    (@exact $op:ident (..)) => { false };
    (@exact $op:ident ($n:literal)) => { <$op as crate::Primitive<$n>>::EXACT };
    (@retype $op:ident (..) $x:ident $from:ident $to:ident) => { Op::$op($x.clone()) };
    (@retype $op:ident ($n:literal) $x:ident $from:ident $to:ident) => {
        Op::$op(<$op as crate::Primitive<$n>>::retype($x, $from, $to))
    };
    (@samples $op:ident (..)) => { <$op as crate::Variadic>::samples };
    (@samples $op:ident ($n:literal)) => { <$op as crate::Primitive<$n>>::samples };
    (@impl $op:ident (..)) => { crate::operation::variadic_operation!($op); };
    (@impl $op:ident ($n:literal)) => { crate::operation::fixed_operation!($op, $n); };
}

include!("operators.in");

const _: () = assert!(std::mem::size_of::<Op>() <= 32);

/// One entry of the registry.
#[derive(Clone, Copy, Debug)]
pub struct OperatorInfo {
    /// Name in text form.
    pub name: &'static str,
    /// Number of operands, if it is fixed.
    pub operands: Option<usize>,
    /// Its samples for a generated shape.
    pub samples: fn(&Dims) -> Vec<Sample>,
}

impl Op {
    /// Name in text form.
    pub fn name(&self) -> &str {
        self.operation().name()
    }

    /// The operator without attributes that has this name: what rules write on their right side.
    pub fn by_name(name: &str) -> Option<Op> {
        Op::parse_builtin(name, "")?.ok()
    }

    /// See [`Primitive::lower`](crate::Primitive::lower).
    pub fn lower(&self, x: &[&Type], y: &Type) -> Lowering {
        self.operation().lower(x, y)
    }

    /// See [`Primitive::cost`](crate::Primitive::cost).
    pub fn cost(&self, x: &[&Type], y: &Type) -> Cost {
        self.operation().cost(x, y)
    }

    /// See [`Primitive::axes`](crate::Primitive::axes).
    pub fn axes(&self, x: &[&Type], y: &Type) -> AxisRelations {
        self.operation().axes(x, y)
    }

    /// See [`Primitive::eval`](crate::Primitive::eval).
    ///
    /// # Errors
    /// [`EvalError`] for what only values can tell.
    pub fn eval(&self, x: &[&Tensor], y: &Type) -> Result<Tensor, EvalError> {
        self.operation().eval(x, y)
    }

    /// Number of the result, for operators that stand for one result of a computation with several.
    pub fn result(&self) -> Option<usize> {
        match self {
            Op::Scan(scan) => Some(scan.result()),
            Op::Fused(fused) => Some(fused.result()),
            _ => None,
        }
    }

    /// The same operator with element type `from` in its attributes replaced by `to`.
    #[must_use]
    pub fn retype(&self, from: DType, to: DType) -> Op {
        self.retyped(from, to)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation();
        write!(f, "{}{}", operation.name(), operation.attributes())
    }
}

impl Operator for Op {
    type Context = Session;
    type Registry = crate::Registry;

    fn infer(&self, inputs: &[&Type]) -> Result<Type, TypeError> {
        if let Op::Custom(custom) = self {
            custom.check_name()?;
        }
        self.operation().infer(inputs)
    }

    fn traits(&self) -> Traits {
        self.operation().traits()
    }

    fn simplify(&self, g: &Graph, inputs: &[NodeId]) -> Simpler<Op> {
        if let Some(folded) = crate::fold::splat(self, self.is_exact(), g, inputs) {
            return folded;
        }
        self.operation().simplify(&vars(g, inputs))
    }

    fn vjp(
        &self,
        g: &Graph,
        inputs: &[NodeId],
        y: NodeId,
        dy: NodeId,
        need: &[bool],
    ) -> SmallVec<[Flow; 2]> {
        let x = vars(g, inputs);
        self.operation().vjp(&x, Var::new(g, y), Var::new(g, dy), need)
    }

    fn family(&self) -> Option<Op> {
        match self {
            Op::Scan(scan) => Some(Op::Scan(scan.family())),
            Op::Fused(fused) => fused.family().map(Op::Fused),
            _ => None,
        }
    }

    fn vjp_joint(
        &self,
        g: &Graph,
        inputs: &[NodeId],
        results: &[(NodeId, NodeId)],
        need: &[bool],
    ) -> SmallVec<[Flow; 2]> {
        let result = |&(y, dy): &(NodeId, NodeId)| Some((g.op(y).result()?, dy));
        let seeds: Vec<(usize, NodeId)> = results.iter().filter_map(result).collect();
        match self {
            Op::Scan(scan) => scan.vjp_joint(g, inputs, &seeds, need),
            Op::Fused(fused) => fused.vjp_joint(g, inputs, &seeds, need),
            _ => self.vjp(g, inputs, results[0].0, results[0].1, need),
        }
    }

    fn jvp(
        &self,
        g: &Graph,
        inputs: &[NodeId],
        y: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, GradError> {
        let x = vars(g, inputs);
        let dx: SmallVec<[Option<Var<'_>>; 4]> =
            tangents.iter().map(|t| t.map(|id| Var::new(g, id))).collect();
        match self.operation().jvp(&x, Var::new(g, y), &dx)? {
            crate::Tangent::Derived => pleach_graph::derived_jvp(self, g, inputs, y, tangents),
            crate::Tangent::Flow(dy) => Ok(Some(dy.id())),
            crate::Tangent::Zero => Ok(None),
        }
    }

    fn add(g: &Graph, a: NodeId, b: NodeId) -> NodeId {
        g.push(Op::Add(Add), &[a, b])
    }

    fn full(g: &Graph, ty: &Type, value: f64) -> NodeId {
        g.push(Op::Full(Full::new(ty, value)), &[])
    }

    fn parameter(index: usize, ty: &Type) -> Op {
        Op::Parameter(Parameter::new(index, ty))
    }

    fn parse(head: &str, ty: Option<&Type>, registry: &crate::Registry) -> Result<Op, String> {
        let split = head.find(['(', '[', '{']).unwrap_or(head.len());
        let (name, attributes) = head.split_at(split);
        let _ = ty;
        if name == Fused::NAME {
            return Fused::parse(attributes, registry).map(Op::Fused);
        }
        if name == Scan::NAME {
            return Scan::parse(attributes, registry).map(Op::Scan);
        }
        if let Some(kind) = Kind::by_name(name) {
            return Carrier::parse(kind, attributes, registry).map(Op::Carrier);
        }
        match Op::parse_builtin(name, attributes) {
            Some(parsed) => parsed.map_err(|why| format!("{name}: {why}")),
            None => registry.parse(name, attributes).map(Op::Custom),
        }
    }
}
