//! What can be wrong with a node, and with a graph.

use std::fmt;

use pleach_tensor::{DType, Shape, ShapeError, Type};
use thiserror::Error;

use crate::{NodeId, Site};

/// Why an operator refuses its operands. [`BuildError`] adds operator, operand types and place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TypeError {
    /// Wrong number of operands.
    #[error("expected {expected} operands, got {got}")]
    Arity {
        /// Operands that the operator takes.
        expected: usize,
        /// Operands given.
        got: usize,
    },
    /// An operand has an element type that the operator is not defined for.
    #[error("expected operand {operand} to be {expected}, got {got}")]
    DType {
        /// Which operand, from 0.
        operand: usize,
        /// What would do.
        expected: &'static str,
        /// What came.
        got: DType,
    },
    /// Operands that must have one element type have two.
    #[error("element types differ, {0} and {1}; convert one with cast")]
    DTypes(DType, DType),
    /// Shapes that must agree do not.
    #[error("shapes {0} and {1} differ")]
    Shapes(Shape, Shape),
    /// Shapes that must broadcast do not.
    #[error("shapes {0} and {1} do not broadcast")]
    Broadcast(Shape, Shape),
    /// An operand has the wrong number of axes.
    #[error("expected operand {operand} to have {expected} axes, got {got}")]
    Rank {
        /// Which operand, from 0.
        operand: usize,
        /// What would do.
        expected: &'static str,
        /// What came.
        got: Shape,
    },
    /// An axis that the operand does not have.
    #[error("axis {axis} is out of range for {rank} axes")]
    Axis {
        /// Axis asked for.
        axis: i64,
        /// Axes there are.
        rank: usize,
    },
    /// Two sizes that must agree do not.
    #[error("{what} differ, {left} and {right}")]
    Sizes {
        /// Which sizes: `inner sizes`.
        what: &'static str,
        /// The first.
        left: usize,
        /// The second.
        right: usize,
    },
    /// The result would not fit the address space.
    #[error(transparent)]
    TooLarge(#[from] ShapeError),
    /// An attribute of the operator makes no sense here.
    #[error("{0}")]
    Attribute(String),
    /// A derivative that a user gave has another type than what it is the derivative of.
    #[error("{what} {number} has type {got}, expected {expected}")]
    Derivative {
        /// `cotangent` or `tangent`.
        what: &'static str,
        /// Which one, from 0.
        number: usize,
        /// Type of what it belongs to.
        expected: Box<Type>,
        /// Type of the derivative.
        got: Box<Type>,
    },
    /// A function with a derivative of its own uses a value that the derivative knows nothing of.
    #[error(
        "the function uses a value of type {0} from outside, whose gradient would be lost: \
         make it an operand, or stop its gradient"
    )]
    Captured(Type),
    /// The value of a finished loop body was used outside of it.
    #[error("operand {operand} belongs to a loop body that is finished")]
    ClosedFrame {
        /// Which operand, from 0.
        operand: usize,
    },
}

/// A node that was refused: operator, operand types, reason and the user's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// The operator, as text.
    pub op: String,
    /// Types of all operands.
    pub operands: Vec<Type>,
    /// Why.
    pub reason: TypeError,
    /// Where the user's code asked for it.
    pub site: Option<Site>,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scope) = self.site.as_ref().and_then(Site::scope) {
            write!(f, "{scope}: ")?;
        }
        write!(f, "{}(", self.op)?;
        for (i, ty) in self.operands.iter().enumerate() {
            write!(f, "{}{ty}", if i > 0 { ", " } else { "" })?;
        }
        write!(f, "): {}", self.reason)?;
        if let Some(site) = &self.site {
            write!(f, " (built at {})", site.place())?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildError {}

/// Every independent error of a graph. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildErrors(pub Vec<BuildError>);

impl fmt::Display for BuildErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildErrors {}

/// Why a gradient could not be recorded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GradError {
    /// The graph has errors of its own, or a gradient rule recorded an ill-typed node.
    #[error(transparent)]
    Build(#[from] BuildErrors),
    /// Only floats can be differentiated.
    #[error("cannot differentiate {op} of type {ty}{}: only floats have gradients", at(.site))]
    NotFloat {
        /// Operator of the node.
        op: String,
        /// Its type.
        ty: Type,
        /// Where it was built.
        site: Option<Site>,
    },
    /// A cotangent or tangent must have the type of its value.
    #[error("the {what} of a value of type {expected} has type {got}")]
    SeedType {
        /// `cotangent` or `tangent`.
        what: &'static str,
        /// Type of the value.
        expected: Type,
        /// Type of the seed.
        got: Type,
    },
    /// The gradient rule of an operator is not linear in the cotangent, so no forward rule
    /// follows from it.
    #[error("the gradient of {op} is not linear in its cotangent{}: give it its own jvp", at(.site))]
    NotLinear {
        /// Operator of the node.
        op: String,
        /// Where it was built.
        site: Option<Site>,
    },
    /// A rule gave a cotangent of another type than its operand, or another number of them.
    #[error("gradient rule of {op}: operand {operand} has type {expected}, its cotangent {got}")]
    RuleType {
        /// Operator with the rule.
        op: String,
        /// Which operand, from 0.
        operand: usize,
        /// Type of the operand.
        expected: Type,
        /// Type of the cotangent.
        got: String,
    },
    /// A value from another frame than the one being differentiated.
    #[error("{0} does not belong to the frame that is differentiated")]
    Frame(NodeId),
}

fn at(site: &Option<Site>) -> String {
    site.as_ref().map_or(String::new(), |s| format!(" (built at {})", s.place()))
}

/// Why a loop body could not be finished.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A result is not a value of the body, nor of anything around it.
    #[error("result {0} belongs to a loop body that is finished")]
    Closed(usize),
    /// A result was refused when it was built; the graph holds the error.
    #[error("result {0} was refused when it was built")]
    Poisoned(usize),
}
