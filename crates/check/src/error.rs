//! What a check can find.

use std::fmt;

use pleach_graph::{BuildErrors, GradError, Site};
use pleach_ops::EvalError;
use pleach_tensor::{Shape, Type};
use thiserror::Error;

/// Why gradients are not right, or could not be checked.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A derivative has the wrong value.
    #[error(transparent)]
    Wrong(Box<Wrong>),
    /// A value depends on another, but no gradient flows between them.
    #[error(transparent)]
    Missing(Box<Missing>),
    /// The function has no derivative at the point: one-sided differences disagree.
    #[error(transparent)]
    Kink(Box<Kink>),
    /// The function is infinite or NaN at the point or around it.
    #[error("{subject}: {of} is not finite when {by} is moved by {eps:e}: choose another point")]
    NotFinite {
        /// Operator, function or model.
        subject: String,
        /// Which result.
        of: Box<Place>,
        /// What was moved.
        by: Box<Place>,
        /// How far.
        eps: f64,
    },
    /// The same values gave two results.
    #[error(
        "{subject}: not deterministic: {of} was {first:e}, then {second:e} for the same values"
    )]
    Nondeterministic {
        /// Operator, function or model.
        subject: String,
        /// Which result.
        of: Box<Place>,
        /// Its first value.
        first: f64,
        /// Its second.
        second: f64,
    },
    /// The function could not be evaluated.
    #[error("{subject}: the value could not be computed: {error}")]
    Eval {
        /// Operator, function or model.
        subject: String,
        /// Why.
        error: Box<EvalError>,
    },
    /// The derivative could not be recorded.
    #[error("{subject}: the {mode} derivative could not be recorded: {error}")]
    Record {
        /// Operator, function or model.
        subject: String,
        /// Which.
        mode: Mode,
        /// Why.
        error: Box<GradError>,
    },
    /// The function itself could not be recorded.
    #[error("{subject}: {errors}")]
    Build {
        /// Operator, function or model.
        subject: String,
        /// Why.
        errors: BuildErrors,
    },
    /// No result is a float, or there is nothing to differentiate by.
    #[error("{subject}: nothing to check: {why}")]
    Nothing {
        /// Function or model.
        subject: String,
        /// What is lacking.
        why: &'static str,
    },
    /// One case of a law over generated shapes, the smallest that fails.
    #[error("for shape {shape} and seed {seed}: {error}")]
    Case {
        /// The shape.
        shape: Shape,
        /// The free choices.
        seed: u64,
        /// What was found.
        error: Box<CheckError>,
    },
}

/// How a derivative was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Reverse mode, against central differences.
    Reverse,
    /// Forward mode, against central differences.
    Forward,
    /// Reverse mode against forward mode.
    Adjoint,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Reverse => "reverse-mode",
            Mode::Forward => "forward-mode",
            Mode::Adjoint => "reverse-mode",
        })
    }
}

/// A value, or one element of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `operand 0`, `parameter "hidden.w"`, `the loss`.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Index of the element, axis by axis; `None`: a random combination of all elements.
    pub element: Option<Vec<usize>>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.element {
            Some(index) if index.is_empty() => f.write_str(&self.name),
            Some(index) => write!(f, "{}{index:?}", self.name),
            None => write!(f, "a random combination of {}", self.name),
        }
    }
}

/// A derivative with the wrong value.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// Operator with its attributes, `the function` or `the model`.
    pub subject: String,
    /// How the derivative was computed.
    pub mode: Mode,
    /// 1: the gradient; 2: the derivative of the recorded gradient.
    pub order: u8,
    /// Derivative of what.
    pub of: Place,
    /// Derivative by what.
    pub by: Place,
    /// What the recorded derivative says.
    pub analytic: f64,
    /// What central differences say; in mode [`Mode::Adjoint`], forward mode.
    pub numeric: f64,
    /// How far they may be apart.
    pub tolerance: f64,
    /// Where `by` enters the graph.
    pub site: Option<Site>,
    /// The operator with the wrong rule, if the subject is a function or model and it was found.
    pub culprit: Option<Culprit>,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wrong { subject, mode, of, by, analytic, numeric, tolerance, .. } = self;
        let derivative = if self.order == 1 { "gradient" } else { "second-order derivative" };
        write!(f, "{subject}: wrong {mode} {derivative} by {} ({}): ", by.name, by.ty)?;
        write!(f, "d {of} / d {by} is ")?;
        match mode {
            // Both are exact but for rounding: all digits.
            Mode::Adjoint => write!(f, "{analytic:e}, forward mode gives {numeric:e}")?,
            _ => write!(f, "{analytic:.6e}, central differences give {numeric:.6e}")?,
        }
        write!(f, " (tolerance {tolerance:.1e})")?;
        match (&self.culprit, &self.site) {
            (Some(culprit), _) if culprit.cuts => write!(f, "; {culprit} lets no gradient through"),
            (Some(culprit), _) => write!(f, "; wrong is the rule of {culprit}"),
            (None, site) => first_used(f, site.as_ref()),
        }
    }
}

impl std::error::Error for Wrong {}

/// A gradient that does not flow.
#[derive(Clone, Debug)]
pub struct Missing {
    /// Operator with its attributes, `the function` or `the model`.
    pub subject: String,
    /// 1: the gradient; 2: the derivative of the recorded gradient.
    pub order: u8,
    /// What does not get a gradient.
    pub by: Place,
    /// The slope along a random direction, by central differences.
    pub numeric: f64,
    /// The operator at which the path ends.
    pub cut: Option<Culprit>,
    /// Where `by` enters the graph.
    pub site: Option<Site>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing { subject, by, numeric, .. } = self;
        let (of, derivative) = match self.order {
            1 => ("the result", "gradient"),
            _ => ("the gradient", "second-order derivative"),
        };
        write!(f, "{subject}: no {derivative} reaches {} ({})", by.name, by.ty)?;
        match &self.cut {
            Some(cut) => write!(f, ", the path ends at {cut}")?,
            None => write!(f, ", there is no path")?,
        }
        write!(f, "; by central differences the slope of {of} is {numeric:.6e}")?;
        first_used(f, self.site.as_ref())
    }
}

impl std::error::Error for Missing {}

/// A point without a derivative.
#[derive(Clone, Debug)]
pub struct Kink {
    /// Operator with its attributes, `the function` or `the model`.
    pub subject: String,
    /// 1: the function has a kink; 2: its gradient has.
    pub order: u8,
    /// Derivative of what.
    pub of: Place,
    /// Derivative by what.
    pub by: Place,
    /// The slope on the left.
    pub left: f64,
    /// The slope on the right.
    pub right: f64,
    /// What the recorded derivative says.
    pub analytic: f64,
    /// The value itself jumps: both slopes grow when the step shrinks.
    pub jumps: bool,
}

impl fmt::Display for Kink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kink { subject, of, by, left, right, analytic, .. } = self;
        write!(f, "{subject}: not smooth at this point: ")?;
        match self.jumps {
            true => write!(f, "{of} jumps where {by} is")?,
            false => {
                write!(f, "d {of} / d {by} is {left:.6e} on the left, {right:.6e} on the right")?
            }
        }
        write!(f, " (recorded derivative: {analytic:.6e}); choose another point")
    }
}

impl std::error::Error for Kink {}

/// The operator that a finding points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// The operator with its attributes.
    pub op: String,
    /// Its rule is not wrong, it lets no gradient through.
    pub cuts: bool,
    /// Where the user's code recorded it.
    pub site: Option<Site>,
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scope) = self.site.as_ref().and_then(Site::scope) {
            write!(f, "{scope}: ")?;
        }
        f.write_str(&self.op)?;
        match &self.site {
            Some(site) => write!(f, " (built at {})", site.place()),
            None => Ok(()),
        }
    }
}

fn first_used(f: &mut fmt::Formatter<'_>, site: Option<&Site>) -> fmt::Result {
    site.map_or(Ok(()), |site| write!(f, "; first used at {}", site.place()))
}
