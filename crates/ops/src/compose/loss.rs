//! Losses: how far predictions are from targets.
//!
//! Each loss is a struct of its options with a `call`, and a method of [`Var`] that is the same
//! with all options at their defaults. Names, defaults and conventions at kinks are PyTorch's.
//!
//! | I predict… | loss |
//! |---|---|
//! | one class of several, as logits | [`CrossEntropy`], [`MultiMargin`] |
//! | one class of several, as log-probabilities | [`Nll`] |
//! | yes or no, as logits | [`BinaryCrossEntropyWithLogits`], [`SoftMargin`] |
//! | yes or no, as probabilities | [`BinaryCrossEntropy`] |
//! | any number of several labels | [`MultiLabelSoftMargin`] |
//! | a distribution | [`KlDiv`] |
//! | a number | [`Mse`], [`L1`], [`Huber`], [`SmoothL1`] |
//! | a count | [`PoissonNll`] |
//! | a number and its variance | [`GaussianNll`] |
//! | which of two is larger | [`MarginRanking`] |
//! | near or far | [`HingeEmbedding`], [`CosineEmbedding`], [`TripletMargin`] |
//!
//! ```
//! use pleach_ops::loss::CrossEntropy;
//! use pleach_ops::prelude::*;
//! let g = Graph::new();
//! let (logits, labels) = (g.input("x", F32, [64, 10]), g.input("y", I64, [64]));
//! let plain = logits.cross_entropy(labels);
//! let smooth = CrossEntropy::default().label_smoothing(0.1).ignore_index(-100);
//! let each = CrossEntropy { reduction: Reduction::None, ..smooth };
//! assert_eq!(smooth.call(logits, labels).shape(), plain.shape());
//! assert_eq!(each.call(logits, labels).shape(), [64].into());
//! ```

use pleach_graph::TypeError;

use crate::Var;

/// Declares a loss's options: a struct of public fields, its defaults, and a method for each field
/// that sets it.
macro_rules! options {
    (
        $(#[$doc:meta])*
        $name:ident $(<$g:lifetime>)?
        optional { $($(#[$some_doc:meta])* $some:ident: $some_ty:ty,)* }
        with { $($(#[$field_doc:meta])* $field:ident: $ty:ty = $default:expr,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name $(<$g>)? {
            $($(#[$some_doc])* pub $some: Option<$some_ty>,)*
            $($(#[$field_doc])* pub $field: $ty,)*
        }

        impl $(<$g>)? Default for $name $(<$g>)? {
            fn default() -> Self {
                $name { $($some: None,)* $($field: $default,)* }
            }
        }

        impl $(<$g>)? $name $(<$g>)? {
            $($(#[$some_doc])*
            #[must_use]
            pub fn $some(self, $some: $some_ty) -> Self {
                $name { $some: Some($some), ..self }
            })*
            $($(#[$field_doc])*
            #[must_use]
            pub fn $field(mut self, $field: $ty) -> Self {
                self.$field = $field;
                self
            })*
        }
    };
}

mod binary;
mod classes;
mod cosine;
mod likelihood;
mod margin;
pub(crate) mod region;
mod regression;

pub use binary::{
    BinaryCrossEntropy, BinaryCrossEntropyWithLogits, MultiLabelSoftMargin, SoftMargin,
};
pub use classes::{CrossEntropy, MultiMargin, Nll};
pub use cosine::CosineEmbedding;
pub use likelihood::{GaussianNll, KlDiv, PoissonNll};
pub use margin::{HingeEmbedding, MarginRanking, TripletMargin};
pub use regression::{Huber, L1, Mse, SmoothL1};

/// What becomes of the losses of single elements or rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// They are the result.
    None,
    /// Their mean. NaN if there are none, or if all are ignored: `0 / 0`.
    #[default]
    Mean,
    /// Their sum. 0 if there are none.
    Sum,
}

impl Reduction {
    /// The losses, reduced.
    #[track_caller]
    pub fn of(self, losses: Var<'_>) -> Var<'_> {
        match self {
            Reduction::None => losses,
            Reduction::Mean => losses.mean(),
            Reduction::Sum => losses.sum_all(),
        }
    }

    /// The losses times weights, reduced: the mean divides by the sum of the weights.
    #[track_caller]
    fn weighted<'g>(self, losses: Var<'g>, weight: Option<Var<'g>>) -> Var<'g> {
        let Some(weight) = weight else { return self.of(losses) };
        let losses = losses * weight;
        match self {
            Reduction::Mean => losses.sum_all() / weight.sum_all(),
            _ => self.of(losses),
        }
    }
}

/// Have the others the shape of the first? A broadcast is nearly always a mistake in a loss.
#[track_caller]
fn alike<'g>(op: &str, x: Var<'g>, others: &[Var<'g>]) -> Result<(), Var<'g>> {
    let all = [&[x], others].concat();
    let Some(ty) = x.ty() else { return Err(x.untyped(op, &all)) };
    for other in others {
        let Some(other) = other.ty() else { return Err(x.untyped(op, &all)) };
        if other.shape() != ty.shape() {
            let reason = TypeError::Shapes(ty.shape().clone(), other.shape().clone());
            return Err(x.refuse(op, &all, reason));
        }
    }
    Ok(())
}

/// A refusal because of an option.
#[track_caller]
fn wrong<'g>(op: &str, x: &[Var<'g>], why: String) -> Var<'g> {
    x[0].refuse(op, x, TypeError::Attribute(why))
}

impl<'g> Var<'g> {
    /// Targets and weights may be integers or booleans: as floats like `like`. Two types of float
    /// do not mix.
    #[track_caller]
    fn as_float_of(self, like: Var<'g>) -> Var<'g> {
        if self.dtype().is_float() { self } else { self.cast(like.dtype()) }
    }

    /// The Euclidean norm along the last axis, kept with length 1. Its gradient at 0 is 0.
    #[track_caller]
    fn length(self, axis: i64) -> Var<'g> {
        let square = (self * self).sum(axis).unsqueeze(axis);
        let zero = square.equal(0.0);
        zero.select(0.0, zero.select(1.0, square).sqrt())
    }
}
