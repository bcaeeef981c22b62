//! What an operator is: one small struct that implements [`Primitive`].

use std::fmt::Debug;
use std::hash::Hash;

use pleach_graph::{Simpler, Traits, TypeError};
use pleach_kernels::Lowering;
use pleach_tensor::{DType, Tensor, Type};
use serde::Serialize;
use serde::de::DeserializeOwned;
use smallvec::SmallVec;
use thiserror::Error;

use crate::{AxisRelations, Cost, Dims, Graph, Op, Sample, Var};

/// An operator of `N` operands: everything there is to know about it, in one place.
///
/// The library's operators and users' own ([`Var::apply`]) implement the same trait. Attributes
/// are the fields of the struct; serde writes and reads them in the text form of a graph.
pub trait Primitive<const N: usize>:
    Clone + Eq + Hash + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Name in text form, snake_case.
    const NAME: &'static str;
    /// What graph and passes may assume.
    const TRAITS: Traits = Traits::NONE;
    /// IEEE 754 or integer arithmetic determines every bit of the result: recording may fold it.
    const EXACT: bool = false;

    /// The type rule: type of the result, or why the operands are refused.
    ///
    /// # Errors
    /// [`TypeError`] that says what was expected and what came.
    fn infer(&self, x: [&Type; N]) -> Result<Type, TypeError>;

    /// The value, computed slowly and clearly: the oracle for every faster engine. `y` is the
    /// type that [`Primitive::infer`] gave.
    ///
    /// # Errors
    /// [`EvalError`] for what only values can tell, such as an index out of range.
    fn eval(&self, x: [&Tensor; N], y: &Type) -> Result<Tensor, EvalError>;

    /// The cotangent of operand `slot`, given operands, result and the result's cotangent, in
    /// [`Var`] algebra: it appends nodes. Asked only for slots that are needed.
    fn vjp<'g>(&self, slot: usize, x: [Var<'g>; N], y: Var<'g>, dy: Var<'g>) -> Grad<'g>;

    /// The tangent of the result for the tangents of the operands (`None`: zero). By default it
    /// follows from [`Primitive::TRAITS`] or from the gradient rule.
    fn jvp<'g>(&self, x: [Var<'g>; N], y: Var<'g>, dx: [Option<Var<'g>>; N]) -> Tangent<'g> {
        let _ = (x, y, dx);
        Tangent::Derived
    }

    /// What to record instead: only what changes no bit of any value or gradient.
    fn simplify(&self, x: [Var<'_>; N]) -> Simpler<Op> {
        let _ = x;
        Simpler::Same
    }

    /// How it is executed, as data.
    fn lower(&self, x: [&Type; N], y: &Type) -> Lowering {
        let _ = (x, y);
        Lowering::Interpret
    }

    /// What it costs. By default one operation an element of the result, every operand read once,
    /// the result written once.
    fn cost(&self, x: [&Type; N], y: &Type) -> Cost {
        Cost::elementwise(&x, y, 1)
    }

    /// How the axes of the operands relate to those of the result. By default equal axes for an
    /// elementwise operator, opaque for any other.
    fn axes(&self, x: [&Type; N], y: &Type) -> AxisRelations {
        AxisRelations::by_traits(Self::TRAITS, &x, y)
    }

    /// The same operator with element type `from` in its attributes replaced by `to`.
    #[must_use]
    fn retype(&self, from: DType, to: DType) -> Self {
        let _ = (from, to);
        self.clone()
    }

    /// Operands on which the laws are tested, for shapes that proptest generates.
    fn samples(dims: &Dims) -> Vec<Sample>;
}

/// The cotangent of one operand.
#[derive(Clone, Copy, Debug)]
pub enum Grad<'g> {
    /// This value.
    Flow(Var<'g>),
    /// Zero, whatever the values are.
    Zero,
    /// There is no derivative: a parameter that has no other path to the loss is an error.
    Cut,
}

impl<'g> From<Var<'g>> for Grad<'g> {
    fn from(var: Var<'g>) -> Self {
        Grad::Flow(var)
    }
}

/// The tangent of a result.
#[derive(Clone, Copy, Debug)]
pub enum Tangent<'g> {
    /// No own rule: derive one.
    Derived,
    /// This value.
    Flow(Var<'g>),
    /// Zero.
    Zero,
}

/// What only values can tell.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EvalError {
    /// An index outside of the axis it points into.
    #[error("index {index} is out of range for an axis of length {len}")]
    Index {
        /// The index.
        index: i64,
        /// Length of the axis.
        len: usize,
    },
    /// The value of an input or parameter was not given.
    #[error("no value was given for {0}")]
    Missing(String),
    /// A value given has another type than declared.
    #[error("{name} has type {expected}, the value given {got}")]
    Feed {
        /// Input or parameter.
        name: String,
        /// Type declared.
        expected: Type,
        /// Type given.
        got: Type,
    },
    /// Anything else, as a sentence.
    #[error("{0}")]
    Other(String),
    /// The graph has errors of its own.
    #[error(transparent)]
    Build(#[from] pleach_graph::BuildErrors),
}

/// An operator whose number of operands is not fixed, such as `concat`: [`Primitive`] on slices.
pub trait Variadic:
    Clone + Eq + Hash + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// See [`Primitive::NAME`].
    const NAME: &'static str;
    /// See [`Primitive::TRAITS`].
    const TRAITS: Traits = Traits::NONE;
    /// See [`Primitive::infer`].
    ///
    /// # Errors
    /// [`TypeError`] that says what was expected and what came.
    fn infer(&self, x: &[&Type]) -> Result<Type, TypeError>;
    /// See [`Primitive::eval`].
    ///
    /// # Errors
    /// [`EvalError`] for what only values can tell.
    fn eval(&self, x: &[&Tensor], y: &Type) -> Result<Tensor, EvalError>;
    /// See [`Primitive::vjp`].
    fn vjp<'g>(&self, slot: usize, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Grad<'g>;
    /// See [`Primitive::simplify`].
    fn simplify(&self, x: &[Var<'_>]) -> Simpler<Op> {
        let _ = x;
        Simpler::Same
    }
    /// See [`Primitive::lower`].
    fn lower(&self, x: &[&Type], y: &Type) -> Lowering {
        let _ = (x, y);
        Lowering::Interpret
    }
    /// See [`Primitive::cost`].
    fn cost(&self, x: &[&Type], y: &Type) -> Cost {
        Cost::elementwise(x, y, 0)
    }
    /// See [`Primitive::axes`].
    fn axes(&self, x: &[&Type], y: &Type) -> AxisRelations {
        AxisRelations::by_traits(Self::TRAITS, x, y)
    }
    /// See [`Primitive::samples`].
    fn samples(dims: &Dims) -> Vec<Sample>;
}

/// Operands of a rule as variables of `g`.
pub(crate) fn vars<'g>(g: &'g Graph, ids: &[pleach_graph::NodeId]) -> SmallVec<[Var<'g>; 4]> {
    ids.iter().map(|&id| Var::new(g, id)).collect()
}
