//! What an optimizer is made of: a rule for one parameter. The rest is the same for all.

use std::fmt::Debug;

use pleach_ops::prelude::*;

use crate::{OptimError, Time};

/// The update of one parameter. An optimizer of one's own is a rule in a
/// [`Descent`](crate::Descent), which gives it rates, schedules, decay, penalties and groups.
///
/// ```
/// use pleach_ops::prelude::*;
/// use pleach_optim::{About, Descent, OptimError, Rule, Update};
///
/// /// `θ ← θ - lr · sign(g)`
/// #[derive(Clone, Debug)]
/// struct SignDescent;
///
/// impl Rule for SignDescent {
///     const NAME: &'static str = "sign";
///     const ABOUT: About = About { formula: "`θ ← θ - lr · sign(g)`", source: "Riedmiller 1993" };
///
///     fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
///         u.value - u.like(u.rate) * u.grad.sign()
///     }
/// }
/// let optimizer = Descent::of(SignDescent, 0.01).weight_decay(1e-4);
/// ```
pub trait Rule: Clone + Debug + Send + Sync + 'static {
    /// Prefix of its slots, if nothing else is said.
    const NAME: &'static str;
    /// For the page of all optimizers.
    const ABOUT: About;

    /// Appends the update of one parameter: its new value, of the type of the value given, which is
    /// `f32` for parameters of 16 bits. Slots are kept with
    /// [`Update::keep`].
    #[track_caller]
    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g>;

    /// Do the options make sense? `name` is that of the optimizer, for the error.
    ///
    /// # Errors
    /// [`OptimError`] with the option, what it must be, and what it is.
    fn check(&self, _name: &str) -> Result<(), OptimError> {
        Ok(())
    }

    /// Why this rule cannot update a parameter of this type, if it cannot.
    fn refuses(&self, _ty: &Type) -> Option<&'static str> {
        None
    }
}

/// What a page says of a rule.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The update, in Markdown. Decay, penalties and clipping come before it.
    pub formula: &'static str,
    /// Where it comes from.
    pub source: &'static str,
}

/// One parameter at one update.
#[derive(Debug)]
pub struct Update<'u, 'g> {
    /// The graph.
    pub graph: &'g Graph,
    /// The parameter.
    pub param: &'u Param,
    /// Its value, after decoupled decay.
    pub value: Var<'g>,
    /// The gradient of what is minimized, with decay and penalties.
    pub grad: Var<'g>,
    /// The rate of this update, an f64 scalar.
    pub rate: Var<'g>,
    /// Updates made before this one, an f64 scalar.
    pub t: Var<'g>,
    pub(crate) momentum: Option<Var<'g>>,
    pub(crate) name: &'u str,
    pub(crate) time: &'u Time<'g>,
}

impl<'g> Update<'_, 'g> {
    /// An f64 scalar in the element type of the value: computed in f64, rounded once.
    #[track_caller]
    pub fn like(&self, scalar: Var<'g>) -> Var<'g> {
        scalar.cast(self.value.dtype())
    }

    /// The momentum of this update, an f64 scalar: what the schedule says, or else `constant`.
    #[track_caller]
    pub fn momentum(&self, constant: f64) -> Var<'g> {
        self.momentum.unwrap_or_else(|| self.t.full_like(constant))
    }

    /// `1 - betaⁿ`, f64 scalars, where `n` is the number of updates with this one. It keeps its
    /// bits where `betaⁿ` is close to 1.
    #[track_caller]
    pub fn correction(&self, beta: Var<'g>) -> Var<'g> {
        // With β = 0 there is nothing to correct: exp(-∞) is 0.
        -((self.t + 1.0) * beta.ln()).expm1()
    }

    fn variable(&self, slot: &str, ty: Type, init: f64) -> Param {
        self.param.slot(&format!("{}.{slot}", self.name), ty, Init::full(init))
    }

    /// What the slot `NAME.slot` of this parameter holds: a tensor like the value, zeros at first.
    #[track_caller]
    pub fn old(&self, slot: &str) -> Var<'g> {
        self.old_from(slot, 0.0)
    }

    /// [`old`](Update::old), at first full of `init`.
    #[track_caller]
    pub fn old_from(&self, slot: &str, init: f64) -> Var<'g> {
        let ty = self.param.ty();
        let ty = ty.with_dtype(ty.dtype().compute());
        self.graph.raw_param(&self.variable(slot, ty, init))
    }

    /// [`old`](Update::old) of another shape.
    #[track_caller]
    pub fn old_shaped(&self, slot: &str, shape: impl Into<Shape>) -> Var<'g> {
        match Type::new(self.param.ty().dtype().compute(), shape) {
            Ok(ty) => self.graph.raw_param(&self.variable(slot, ty, 0.0)),
            Err(error) => {
                Var::new(self.graph, self.graph.refuse("slot", &[], TypeError::TooLarge(error)))
            }
        }
    }

    /// Keeps `value` in the slot that `old` is what it held, for the next update; and answers it.
    #[track_caller]
    pub fn keep(&self, old: Var<'g>, value: Var<'g>) -> Var<'g> {
        if let Some(Op::Variable(slot)) = old.graph().get(old.id()).map(|node| node.op.clone()) {
            self.graph.assign_param(&slot, value);
        }
        value
    }

    /// An f64 scalar that all parameters of the optimizer share: what the slot `NAME.slot` holds.
    #[track_caller]
    pub fn shared(&self, slot: &str, init: f64) -> Var<'g> {
        self.time.slot(slot, init)
    }

    /// Keeps the value of a shared slot; the same value is kept for every parameter.
    #[track_caller]
    pub fn keep_shared(&self, slot: &str, init: f64, value: Var<'g>) {
        self.time.keep(slot, init, value);
    }
}
