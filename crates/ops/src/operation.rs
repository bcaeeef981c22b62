//! The object-safe face of an operator: slices instead of arrays.

use std::fmt::Debug;

use pleach_graph::{Grad as Flow, GradError, Simpler, Traits, TypeError};
use pleach_kernels::Lowering;
use pleach_tensor::{Tensor, Type};
use serde::Serialize;
use serde::de::DeserializeOwned;
use smallvec::SmallVec;

use crate::primitive::{EvalError, Grad, Primitive, Tangent};
use crate::{AxisRelations, Cost, Op, Var};

/// An operator behind one interface, whatever its number of operands. Derived: implement
/// [`Primitive`] or [`Variadic`](crate::Variadic) instead.
pub trait Operation: Debug + Send + Sync {
    /// Name in text form.
    fn name(&self) -> &str;
    /// Attributes in text form, empty if there are none.
    fn attributes(&self) -> String;
    /// What graph and passes may assume.
    fn traits(&self) -> Traits;
    /// The type rule.
    ///
    /// # Errors
    /// [`TypeError`] that says what was expected and what came.
    fn infer(&self, x: &[&Type]) -> Result<Type, TypeError>;
    /// The value. The operands have passed the type rule.
    ///
    /// # Errors
    /// [`EvalError`] for what only values can tell.
    fn eval(&self, x: &[&Tensor], y: &Type) -> Result<Tensor, EvalError>;
    /// The cotangents of the operands that are needed.
    fn vjp<'g>(&self, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>, need: &[bool])
    -> SmallVec<[Flow; 2]>;
    /// The operator's own forward rule, if it has one.
    ///
    /// # Errors
    /// [`GradError`] if the rule itself cannot be differentiated.
    fn jvp<'g>(
        &self,
        x: &[Var<'g>],
        y: Var<'g>,
        dx: &[Option<Var<'g>>],
    ) -> Result<Tangent<'g>, GradError>;
    /// What to record instead.
    fn simplify(&self, x: &[Var<'_>]) -> Simpler<Op>;
    /// How it is executed.
    fn lower(&self, x: &[&Type], y: &Type) -> Lowering;
    /// What it costs.
    fn cost(&self, x: &[&Type], y: &Type) -> Cost;
    /// How its axes relate.
    fn axes(&self, x: &[&Type], y: &Type) -> AxisRelations;
}

/// `N` operands as an array, or the arity error.
pub(crate) fn array<T: Copy, const N: usize>(x: &[T]) -> Result<[T; N], TypeError> {
    x.try_into().map_err(|_| TypeError::Arity { expected: N, got: x.len() })
}

/// As [`array`], where the type rule has already counted the operands.
pub(crate) fn counted<T: Copy, const N: usize>(x: &[T]) -> [T; N] {
    array(x).expect("the type rule counted the operands")
}

/// The cotangents of the needed slots, each from one question to the rule.
pub(crate) fn each<'g>(need: &[bool], rule: impl Fn(usize) -> Grad<'g>) -> SmallVec<[Flow; 2]> {
    let flow = |(slot, &need): (usize, &bool)| {
        if !need {
            return Flow::Zero;
        }
        match rule(slot) {
            Grad::Flow(var) => Flow::Flow(var.id()),
            Grad::Zero => Flow::Zero,
            Grad::Cut => Flow::Cut,
        }
    };
    need.iter().enumerate().map(flow).collect()
}

/// Attributes in text form: RON, without the name; nothing for an operator without fields.
pub(crate) fn attributes(op: &impl Serialize) -> String {
    match ron::to_string(op) {
        Ok(text) if text == "()" => String::new(),
        Ok(text) if text.starts_with(['(', '[', '{']) => text,
        // A bare number, string or variant: text needs brackets to know where it ends.
        Ok(text) => format!("({text})"),
        // A custom operator with fields that RON cannot write; parsing will refuse this.
        Err(error) => format!("({error:?})"),
    }
}

/// Reads what [`attributes`] wrote.
pub(crate) fn parse<P: DeserializeOwned>(text: &str) -> Result<P, String> {
    let text = if text.is_empty() { "()" } else { text };
    let bare = || text.strip_prefix('(').and_then(|t| t.strip_suffix(')')).map(ron::from_str);
    match ron::from_str(text) {
        Ok(op) => Ok(op),
        Err(error) => bare().and_then(Result::ok).ok_or_else(|| error.to_string()),
    }
}

/// A [`Primitive`] with its arity in its type: how custom operators become an [`Operation`].
#[derive(Debug)]
pub(crate) struct Fixed<P, const N: usize>(pub(crate) P);

/// [`Operation`] for `$op` through [`Primitive`]`<$n>`.
macro_rules! fixed_operation {
    ($op:ty, $n:literal) => {
        impl crate::operation::Operation for $op {
            crate::operation::fixed_methods!($op, $n, |op| op);
        }
    };
}
pub(crate) use fixed_operation;

macro_rules! fixed_methods {
    ($op:ty, $n:expr, |$this:ident| $inner:expr) => {
        fn name(&self) -> &str {
            <$op as crate::Primitive<{ $n }>>::NAME
        }
        fn attributes(&self) -> String {
            let $this = self;
            crate::operation::attributes($inner)
        }
        fn traits(&self) -> pleach_graph::Traits {
            <$op as crate::Primitive<{ $n }>>::TRAITS
        }
        fn infer(
            &self,
            x: &[&pleach_tensor::Type],
        ) -> Result<pleach_tensor::Type, pleach_graph::TypeError> {
            let $this = self;
            crate::Primitive::<{ $n }>::infer($inner, crate::operation::array(x)?)
        }
        fn eval(
            &self,
            x: &[&pleach_tensor::Tensor],
            y: &pleach_tensor::Type,
        ) -> Result<pleach_tensor::Tensor, crate::EvalError> {
            let $this = self;
            crate::Primitive::<{ $n }>::eval($inner, crate::operation::counted(x), y)
        }
        fn vjp<'g>(
            &self,
            x: &[crate::Var<'g>],
            y: crate::Var<'g>,
            dy: crate::Var<'g>,
            need: &[bool],
        ) -> smallvec::SmallVec<[pleach_graph::Grad; 2]> {
            let $this = self;
            crate::operation::each(need, |slot| {
                crate::Primitive::<{ $n }>::vjp($inner, slot, crate::operation::counted(x), y, dy)
            })
        }
        fn jvp<'g>(
            &self,
            x: &[crate::Var<'g>],
            y: crate::Var<'g>,
            dx: &[Option<crate::Var<'g>>],
        ) -> Result<crate::Tangent<'g>, pleach_graph::GradError> {
            let $this = self;
            let (x, dx) = (crate::operation::counted(x), crate::operation::counted(dx));
            Ok(crate::Primitive::<{ $n }>::jvp($inner, x, y, dx))
        }
        fn simplify(&self, x: &[crate::Var<'_>]) -> pleach_graph::Simpler<crate::Op> {
            let $this = self;
            crate::Primitive::<{ $n }>::simplify($inner, crate::operation::counted(x))
        }
        fn lower(
            &self,
            x: &[&pleach_tensor::Type],
            y: &pleach_tensor::Type,
        ) -> pleach_kernels::Lowering {
            let $this = self;
            crate::Primitive::<{ $n }>::lower($inner, crate::operation::counted(x), y)
        }
        fn cost(&self, x: &[&pleach_tensor::Type], y: &pleach_tensor::Type) -> crate::Cost {
            let $this = self;
            crate::Primitive::<{ $n }>::cost($inner, crate::operation::counted(x), y)
        }
        fn axes(
            &self,
            x: &[&pleach_tensor::Type],
            y: &pleach_tensor::Type,
        ) -> crate::AxisRelations {
            let $this = self;
            crate::Primitive::<{ $n }>::axes($inner, crate::operation::counted(x), y)
        }
    };
}
pub(crate) use fixed_methods;

impl<P: Primitive<N>, const N: usize> Operation for Fixed<P, N> {
    fixed_methods!(P, N, |op| &op.0);
}

/// [`Operation`] for `$op` through [`Variadic`](crate::Variadic).
macro_rules! variadic_operation {
    ($op:ty) => {
        impl crate::operation::Operation for $op {
            fn name(&self) -> &str {
                <$op as crate::Variadic>::NAME
            }
            fn attributes(&self) -> String {
                crate::operation::attributes(self)
            }
            fn traits(&self) -> pleach_graph::Traits {
                <$op as crate::Variadic>::TRAITS
            }
            fn infer(
                &self,
                x: &[&pleach_tensor::Type],
            ) -> Result<pleach_tensor::Type, pleach_graph::TypeError> {
                crate::Variadic::infer(self, x)
            }
            fn eval(
                &self,
                x: &[&pleach_tensor::Tensor],
                y: &pleach_tensor::Type,
            ) -> Result<pleach_tensor::Tensor, crate::EvalError> {
                crate::Variadic::eval(self, x, y)
            }
            fn vjp<'g>(
                &self,
                x: &[crate::Var<'g>],
                y: crate::Var<'g>,
                dy: crate::Var<'g>,
                need: &[bool],
            ) -> smallvec::SmallVec<[pleach_graph::Grad; 2]> {
                crate::operation::each(need, |slot| crate::Variadic::vjp(self, slot, x, y, dy))
            }
            fn jvp<'g>(
                &self,
                _: &[crate::Var<'g>],
                _: crate::Var<'g>,
                _: &[Option<crate::Var<'g>>],
            ) -> Result<crate::Tangent<'g>, pleach_graph::GradError> {
                Ok(crate::Tangent::Derived)
            }
            fn simplify(&self, x: &[crate::Var<'_>]) -> pleach_graph::Simpler<crate::Op> {
                crate::Variadic::simplify(self, x)
            }
            fn lower(
                &self,
                x: &[&pleach_tensor::Type],
                y: &pleach_tensor::Type,
            ) -> pleach_kernels::Lowering {
                crate::Variadic::lower(self, x, y)
            }
            fn cost(&self, x: &[&pleach_tensor::Type], y: &pleach_tensor::Type) -> crate::Cost {
                crate::Variadic::cost(self, x, y)
            }
            fn axes(
                &self,
                x: &[&pleach_tensor::Type],
                y: &pleach_tensor::Type,
            ) -> crate::AxisRelations {
                crate::Variadic::axes(self, x, y)
            }
        }
    };
}
pub(crate) use variadic_operation;
