//! What a language of nodes must offer.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::ops::BitOr;

use pleach_tensor::Type;
use smallvec::SmallVec;

use crate::{GradError, Graph, NodeId, TypeError, derived_jvp};

/// The language of a graph's nodes. Implemented once by an enum of operators.
///
/// `Display` writes the operator with its attributes as [`Operator::parse`] reads it: a word,
/// then optionally one balanced group in `()`, `[]` or `{}`.
pub trait Operator: Clone + Eq + Hash + Display + Debug + Sized + 'static {
    /// What the language keeps beside the tape: mode, parameters in use, keys given out.
    type Context: Default + Debug;
    /// Names that [`Operator::parse`] knows beyond its own.
    type Registry: Default + Debug;

    /// The type of the result, or why there is none. Must check the number of operands.
    fn infer(&self, inputs: &[&Type]) -> Result<Type, TypeError>;

    /// What graph and passes may assume.
    fn traits(&self) -> Traits {
        Traits::NONE
    }

    /// What to record instead: only rewrites that change no bit of any value or gradient.
    fn simplify(&self, g: &Graph<Self>, inputs: &[NodeId]) -> Simpler<Self> {
        let _ = (g, inputs);
        Simpler::Same
    }

    /// The cotangents of the operands for cotangent `dy` of the result `y`. Slots that are not
    /// in `need` may hold anything. Appends nodes, so that gradients have gradients.
    fn vjp(
        &self,
        g: &Graph<Self>,
        inputs: &[NodeId],
        y: NodeId,
        dy: NodeId,
        need: &[bool],
    ) -> SmallVec<[Grad; 2]>;

    /// Names the computation that a node is one result of, if it has several: nodes of equal
    /// operands whose operators answer the same are results of one computation. Reverse mode
    /// differentiates them together, by [`Operator::vjp_joint`].
    fn family(&self) -> Option<Self> {
        None
    }

    /// The cotangents of the operands for all results `(y, dy)` of one family that have a
    /// cotangent. By default the sum of what [`Operator::vjp`] answers for each.
    fn vjp_joint(
        &self,
        g: &Graph<Self>,
        inputs: &[NodeId],
        results: &[(NodeId, NodeId)],
        need: &[bool],
    ) -> SmallVec<[Grad; 2]> {
        let mut sum: SmallVec<[Grad; 2]> = need.iter().map(|_| Grad::Cut).collect();
        for &(y, dy) in results {
            let grads = g.op(y).vjp(g, inputs, y, dy, need);
            for (sum, grad) in sum.iter_mut().zip(grads) {
                *sum = match (*sum, grad) {
                    (Grad::Flow(a), Grad::Flow(b)) => Grad::Flow(Self::add(g, a, b)),
                    (Grad::Flow(a), _) | (_, Grad::Flow(a)) => Grad::Flow(a),
                    (Grad::Zero, _) | (_, Grad::Zero) => Grad::Zero,
                    (Grad::Cut, Grad::Cut) => Grad::Cut,
                };
            }
        }
        sum
    }

    /// The tangent of the result for the tangents of the operands (`None`: zero), or `None` if it
    /// is zero. By default derived from [`Operator::vjp`].
    ///
    /// # Errors
    /// [`GradError::NotLinear`] if the gradient rule is not linear in `dy`.
    fn jvp(
        &self,
        g: &Graph<Self>,
        inputs: &[NodeId],
        y: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, GradError> {
        derived_jvp(self, g, inputs, y, tangents)
    }

    /// `a + b`: accumulates cotangents.
    fn add(g: &Graph<Self>, a: NodeId, b: NodeId) -> NodeId;

    /// Every element `value`: seeds and zeros.
    fn full(g: &Graph<Self>, ty: &Type, value: f64) -> NodeId;

    /// Parameter `index` of a loop body: a value that comes from outside.
    fn parameter(index: usize, ty: &Type) -> Self;

    /// Reads what `Display` wrote; `ty` is the type that the text states, if it does.
    ///
    /// # Errors
    /// What is wrong with the text, as a sentence.
    fn parse(head: &str, ty: Option<&Type>, registry: &Self::Registry) -> Result<Self, String>;
}

/// The cotangent that flows into one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grad {
    /// This value.
    Flow(NodeId),
    /// Zero, whatever the values are.
    Zero,
    /// There is no derivative: the path ends here, and whoever depends on it must be told.
    Cut,
}

/// What [`Operator::simplify`] found.
#[derive(Clone, Debug)]
pub enum Simpler<O> {
    /// Record the node as it is.
    Same,
    /// This node has the same value.
    Existing(NodeId),
    /// Record this node instead.
    Push(O, SmallVec<[NodeId; 2]>),
}

/// A set of promises that an operator makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Traits(u16);

impl Traits {
    /// No promise.
    pub const NONE: Traits = Traits(0);
    /// Element `i` of the result depends on element `i` of operands of the same shape alone.
    pub const ELEMENTWISE: Traits = Traits(1);
    /// The order of its two operands changes no bit.
    pub const COMMUTATIVE: Traits = Traits(2);
    /// Draws random numbers from a key operand.
    pub const RANDOM: Traits = Traits(4);
    /// Has no operands; its value comes from outside. Recorded outside of loop bodies, and shared
    /// even in raw graphs: using a parameter twice is using one node twice.
    pub const SOURCE: Traits = Traits(8);
    /// Jointly linear in its float operands, the others held fixed.
    pub const LINEAR: Traits = Traits(16);
    /// Linear in each float operand, the others held fixed.
    pub const MULTILINEAR: Traits = Traits(32);

    /// Does it promise everything in `other`?
    pub const fn has(self, other: Traits) -> bool {
        self.0 & other.0 == other.0
    }

    /// The promises of both.
    pub const fn and(self, other: Traits) -> Traits {
        Traits(self.0 | other.0)
    }
}

impl BitOr for Traits {
    type Output = Traits;
    fn bitor(self, other: Traits) -> Traits {
        self.and(other)
    }
}
