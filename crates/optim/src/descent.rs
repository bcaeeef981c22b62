//! What all optimizers have: rate, name, decay, penalties, groups of parameters.

use pleach_ops::prelude::*;

use crate::error::at_least_zero;
use crate::rate::Clock;
use crate::{OptimError, Optimizer, Penalty, Rate, Rule, Time, Trained, Update};

/// A [`Rule`] with what all optimizers have. [`Adam`](crate::Adam), [`Sgd`](crate::Sgd) and the
/// others are names of it.
///
/// The gradient that the rule sees is `±g + λθ + Σ penalties`, with the sign of what is maximized
/// or minimized. Decay and penalties that are [decoupled](Descent::decoupled) are not in it: they
/// shrink the parameter beside the rule, `θ ← θ - lr · λθ` before it as AdamW does, and by their
/// proximal map after it.
///
/// Of a parameter of 16 bits, value and gradient are updated in `f32` and the new value is rounded once;
/// its slots are `f32`. An update smaller than half a unit in the last place is lost: for such training
/// keep parameters in `f32` and [`bind`](pleach_ops::GraphExt::bind) casts of them.
///
/// State, beside that of the rule: `NAME.rate` (f64, set it between runs), `NAME.rate_now` (f64,
/// what the last update used), `NAME.steps` (i64, updates made): 24 bytes.
///
/// ```
/// use pleach_optim::{AdamW, Cosine, Rate};
/// let optimizer = AdamW::new(Rate::new(1e-3, Cosine { steps: 1000, min: 0.1 }))
///     .betas(0.9, 0.95)
///     .weight_decay(0.1)
///     .group("*.b", |biases| biases.weight_decay(0.0))
///     .group("head.*", |head| head.rate(1e-4))
///     .group("#slow", |slow| slow.rate(1e-5));
/// ```
#[derive(Clone, Debug)]
pub struct Descent<R> {
    pub(crate) rule: R,
    name: String,
    rate: Rate,
    /// Does a group have a rate of its own?
    own_rate: bool,
    decay: f64,
    penalties: Vec<Penalty>,
    decoupled: bool,
    maximize: bool,
    groups: Vec<(String, Descent<R>)>,
}

impl<R: Rule> Descent<R> {
    /// The rule at this rate per update.
    pub fn of(rule: R, rate: impl Into<Rate>) -> Self {
        Descent {
            rule,
            name: R::NAME.into(),
            rate: rate.into(),
            own_rate: true,
            decay: 0.0,
            penalties: Vec::new(),
            decoupled: false,
            maximize: false,
            groups: Vec::new(),
        }
    }

    pub(crate) fn map(mut self, change: impl FnOnce(&mut R)) -> Self {
        change(&mut self.rule);
        self
    }

    /// Prefix of its slots, that of the rule if nothing is said (`adam.rate`, `adam.m/hidden.w`).
    /// Two optimizers over one state need two.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Descent { name: name.into(), ..self }
    }

    /// Another rate, for a [group](Descent::group): its slot is `NAME[PATTERN].rate`.
    #[must_use]
    pub fn rate(self, rate: impl Into<Rate>) -> Self {
        Descent { rate: rate.into(), own_rate: true, ..self }
    }

    /// Decay `λ` of weights, at least 0: `λθ` in the gradient (an L2 penalty of `λ/2 · ‖θ‖²`), or
    /// beside the rule if [decoupled](Descent::decoupled), as in [`AdamW`](crate::AdamW).
    #[must_use]
    pub fn weight_decay(self, decay: f64) -> Self {
        Descent { decay, ..self }
    }

    /// A penalty on every parameter (of the group).
    #[must_use]
    pub fn penalty(mut self, penalty: Penalty) -> Self {
        self.penalties.push(penalty);
        self
    }

    /// Decay and penalties act beside the rule and not in the gradient: moments do not see them.
    ///
    /// **Source** Loshchilov and Hutter, ICLR 2019; Parikh and Boyd 2014 for proximal maps.
    #[must_use]
    pub fn decoupled(self) -> Self {
        Descent { decoupled: true, ..self }
    }

    /// Climbs instead of descending.
    #[must_use]
    pub fn maximize(self) -> Self {
        Descent { maximize: true, ..self }
    }

    /// Other options for parameters that match and that no group before has: by name (`head.*`,
    /// `*` stands for any text) or by [tag](pleach_ops::Params::tag) (`#decay`), see
    /// [`Param::matches`]. `options` gets those of the optimizer and changes them; a group with a
    /// rate of its own has its own slot for it.
    #[must_use]
    pub fn group(mut self, pattern: &str, options: impl FnOnce(Self) -> Self) -> Self {
        let all = Descent { groups: Vec::new(), own_rate: false, ..self.clone() };
        self.groups.push((pattern.into(), options(all)));
        self
    }

    /// The number of the group of a parameter; none if it is in none.
    fn group_of(&self, param: &Param) -> Option<usize> {
        self.groups.iter().position(|(pattern, _)| param.matches(pattern))
    }

    fn check_options(&self, name: &str) -> Result<(), OptimError> {
        self.rate.check(name)?;
        at_least_zero(name, "weight decay", self.decay)?;
        self.penalties.iter().try_for_each(|penalty| penalty.check(name))?;
        self.rule.check(name)
    }

    #[track_caller]
    fn step<'g>(&self, time: &Time<'g>, name: &str, clock: Clock<'g>, p: &Trained<'g>) -> Var<'g> {
        let Clock { rate, momentum } = clock;
        let dtype = p.value.dtype();
        let (old, came) = (p.value.wide(), p.grad.wide());
        let (mut value, mut grad) = (old, if self.maximize { -came } else { came });
        let scalar = |v: Var<'g>| v.cast(old.dtype());
        if self.decoupled {
            if self.decay != 0.0 {
                value = value * scalar(1.0 - rate * self.decay);
            }
        } else {
            if self.decay != 0.0 {
                grad = grad + value * self.decay;
            }
            for penalty in &self.penalties {
                grad = grad + penalty.gradient(old);
            }
        }
        let (graph, param, t) = (time.graph, &p.param, time.t);
        let update = Update { graph, param, value, grad, rate, t, momentum, name, time };
        let mut new = self.rule.step(&update);
        if self.decoupled {
            let shrink = |new, penalty: &Penalty| penalty.shrink(new, scalar(rate));
            new = self.penalties.iter().fold(new, shrink);
        }
        if dtype.is_half() { new.cast(dtype) } else { new }
    }
}

impl<R: Rule> Optimizer for Descent<R> {
    fn check(&self, params: &[&Param]) -> Result<(), OptimError> {
        self.check_options(&self.name)?;
        for (i, (pattern, options)) in self.groups.iter().enumerate() {
            let name = format!("{}[{pattern}]", self.name);
            options.check_options(&name)?;
            if !options.groups.is_empty() {
                let reason = "a group cannot have groups";
                return Err(OptimError::Conflict { optimizer: name, reason });
            }
            if !params.iter().any(|p| self.group_of(p) == Some(i)) {
                return Err(OptimError::group(&self.name, pattern, params));
            }
        }
        for p in params {
            let options = self.group_of(p).map_or(self, |i| &self.groups[i].1);
            if let Some(reason) = options.rule.refuses(p.ty()) {
                let (optimizer, param) = (self.name.clone(), p.name().to_string());
                return Err(OptimError::Param { optimizer, param, ty: p.ty().clone(), reason });
            }
        }
        Ok(())
    }

    fn update<'g>(&self, g: &'g Graph, trained: &[Trained<'g>]) -> Vec<Var<'g>> {
        let Some(first) = trained.first() else { return Vec::new() };
        let _at = g.at_layer(&self.name);
        let time = Time::new(g, &self.name, &first.param);
        let clock = self.rate.at(&time);
        let group = |(pattern, options): &(String, Descent<R>)| {
            let time = time.of_group(pattern);
            let clock = if options.own_rate { options.rate.at(&time) } else { clock };
            (time, clock)
        };
        let groups: Vec<(Time<'g>, Clock<'g>)> = self.groups.iter().map(group).collect();
        let step = |p: &Trained<'g>| match self.group_of(&p.param) {
            Some(i) => self.groups[i].1.step(&groups[i].0, &self.name, groups[i].1, p),
            None => self.step(&time, &self.name, clock, p),
        };
        trained.iter().map(step).collect()
    }
}
