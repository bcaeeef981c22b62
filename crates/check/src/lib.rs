//! Gradient checks for operators, functions and whole models; proofs of rules and passes.
//!
//! | I want to check… | item |
//! |---|---|
//! | an operator at given operands | [`operator`] |
//! | my own operator, over generated shapes | [`primitive`] |
//! | a function of tensors | [`function`] |
//! | a model, by all its parameters | [`model`] |
//! | a rule of a graph optimizer | [`rewrite`], [`RewriteCheck`] |
//! | a pass | [`pass`], [`RewriteCheck`] |
//! | that all engines agree on a random graph | [`engines`] |
//! | with other tolerances, first order only, … | [`GradCheck`] and its methods |
//!
//! Everything is evaluated in f64, whatever it was written in. For each of two orders, reverse
//! mode and forward mode are compared with central differences and with each other, under random
//! cotangents and tangents: element by element if the Jacobian is small, else along random
//! directions, where a failure is narrowed down to one element. A failure names the operator
//! whose rule is wrong, with the line that recorded it.
//!
//! ```
//! use pleach_ops::prelude::*;
//!
//! let p = Params::seeded(1).scope("hidden");
//! let (w, b) = (p.param("w", [3, 2], Init::normal(0.0, 0.5)), p.param("b", [2], Init::zeros()));
//! let x = Tensor::uniform(&Type::new(F32, [4, 3])?, Key(7), -1.0, 1.0);
//! let labels = Tensor::new([4], vec![0i64, 1, 1, 0])?;
//!
//! let report = pleach_check::model(&[x, labels], |g| {
//!     let (x, labels) = (g.input("x", F32, [4, 3]), g.input("labels", I64, [4]));
//!     let logits = x.matmul(g.param(&w)) + g.param(&b);
//!     logits.cross_entropy(labels)
//! })?;
//! assert!(report.compared > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Source** Griewank and Walther, "Evaluating Derivatives", 2nd ed., ch. 3 (the dot-product
//! identity); PyTorch's `gradcheck` (tolerances).

mod compare;
mod config;
mod derive;
mod engines;
mod error;
mod law;
mod locate;
mod problem;
mod record;
mod rewrites;

use pleach_ops::{Graph, Op, Sample, Var};
use pleach_tensor::{Key, Tensor};

pub use config::{GradCheck, Report};
pub use engines::{Seen, engines};
pub use error::{CheckError, Culprit, Kink, Missing, Mode, Place, Wrong};
pub use law::{Coverage, dims, primitive};
pub use rewrites::{Proved, RewriteCheck, WrongRewrite, pass, rewrite};

/// [`GradCheck::operator`] with the defaults.
///
/// ```
/// use pleach_ops::{Div, prelude::*};
/// let (a, b) = (Tensor::scalar(3.0f64), Tensor::scalar(2.0f64));
/// pleach_check::operator(Div, &[a, b])?;
/// # Ok::<(), pleach_check::CheckError>(())
/// ```
///
/// # Errors
/// As [`GradCheck::operator`].
pub fn operator(op: impl Into<Op>, x: &[Tensor]) -> Result<Report, CheckError> {
    GradCheck::default().operator(op, x)
}

/// [`GradCheck::sample`] with the defaults.
///
/// # Errors
/// As [`GradCheck::operator`].
pub fn sample(sample: &Sample, key: Key) -> Result<Report, CheckError> {
    GradCheck::default().sample(sample, key)
}

/// [`GradCheck::function`] with the defaults.
///
/// ```
/// use pleach_ops::prelude::*;
/// let x = Tensor::new([3], vec![0.1, 2.0, -0.3])?;
/// pleach_check::function(&[x], |_, x| (x[0] * x[0]).exp().sum_all())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`GradCheck::function`].
pub fn function(
    x: &[Tensor],
    f: impl for<'g> FnOnce(&'g Graph, &[Var<'g>]) -> Var<'g>,
) -> Result<Report, CheckError> {
    GradCheck::default().function(x, f)
}

/// [`GradCheck::functions`] with the defaults.
///
/// # Errors
/// As [`GradCheck::function`].
pub fn functions(
    x: &[Tensor],
    f: impl for<'g> FnOnce(&'g Graph, &[Var<'g>]) -> Vec<Var<'g>>,
) -> Result<Report, CheckError> {
    GradCheck::default().functions(x, f)
}

/// [`GradCheck::model`] with the defaults.
///
/// # Errors
/// As [`GradCheck::model`].
pub fn model(
    feeds: &[Tensor],
    f: impl for<'g> FnOnce(&'g Graph) -> Var<'g>,
) -> Result<Report, CheckError> {
    GradCheck::default().model(feeds, f)
}
