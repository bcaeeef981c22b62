//! Operators that users write: the same [`Primitive`], behind a pointer.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use pleach_graph::TypeError;
use pleach_tensor::DType;

use crate::carrier::is_reserved;
use crate::operation::{self, Fixed, Operation};
use crate::{OPERATORS, Op, Primitive, Var};

/// An operator from outside of the library.
#[derive(Clone)]
pub struct Custom(Arc<dyn Erased>);

/// What [`Custom`] needs beyond [`Operation`]: equality, hashing, retyping.
trait Erased: Operation {
    fn as_any(&self) -> &dyn Any;
    fn as_operation(&self) -> &dyn Operation;
    fn equals(&self, other: &dyn Any) -> bool;
    fn hash_into(&self, state: &mut dyn Hasher);
    fn retyped(&self, from: DType, to: DType) -> Custom;
}

impl<P: Primitive<N>, const N: usize> Erased for Fixed<P, N> {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_operation(&self) -> &dyn Operation {
        self
    }
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<Self>().is_some_and(|other| self.0 == other.0)
    }
    fn hash_into(&self, mut state: &mut dyn Hasher) {
        P::NAME.hash(&mut state);
        self.0.hash(&mut state);
    }
    fn retyped(&self, from: DType, to: DType) -> Custom {
        Custom::new(self.0.retype(from, to))
    }
}

impl Custom {
    /// Wraps an operator.
    pub fn new<P: Primitive<N>, const N: usize>(op: P) -> Custom {
        Custom(Arc::new(Fixed::<P, N>(op)))
    }

    /// The operator as its own type, if it is a `P`.
    pub fn downcast<P: Primitive<N>, const N: usize>(&self) -> Option<&P> {
        self.0.as_any().downcast_ref::<Fixed<P, N>>().map(|fixed| &fixed.0)
    }

    /// Is the name one that text can hold, and that tells the operator from the library's own?
    pub(crate) fn check_name(&self) -> Result<(), TypeError> {
        let name = self.operation().name();
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
        let why = match () {
            () if is_reserved(name) || OPERATORS.iter().any(|known| known.name == name) => {
                "the name is that of an operator of the library"
            }
            () if name.is_empty() || !name.chars().all(word) => "the name is not one word",
            () => return Ok(()),
        };
        Err(TypeError::Attribute(why.into()))
    }

    pub(crate) fn operation(&self) -> &dyn Operation {
        self.0.as_operation()
    }

    pub(crate) fn retype(&self, from: DType, to: DType) -> Custom {
        self.0.retyped(from, to)
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other.0.as_any())
    }
}

impl Eq for Custom {}

impl Hash for Custom {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_into(state);
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'g> Var<'g> {
    /// The value of an operator that the library does not have.
    #[track_caller]
    pub fn apply<P: Primitive<N>, const N: usize>(op: P, x: [Var<'g>; N]) -> Var<'g> {
        const { assert!(N > 0, "an operator without operands has no graph to record in") };
        x[0].record(Op::Custom(Custom::new(op)), &x)
    }
}

type Parser = fn(&str) -> Result<Custom, String>;

/// Custom operators by name, for reading graphs as text.
#[derive(Clone, Default)]
pub struct Registry(HashMap<&'static str, Parser>);

impl Registry {
    /// No custom operators.
    pub fn new() -> Self {
        Self::default()
    }

    /// Knows `P` too.
    #[must_use]
    pub fn with<P: Primitive<N>, const N: usize>(mut self) -> Self {
        self.0.insert(P::NAME, |text| operation::parse::<P>(text).map(Custom::new));
        self
    }

    pub(crate) fn parse(&self, name: &str, attributes: &str) -> Result<Custom, String> {
        let parse = self.0.get(name).ok_or_else(|| format!("unknown operator {name:?}"))?;
        parse(attributes).map_err(|why| format!("{name}: {why}"))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
