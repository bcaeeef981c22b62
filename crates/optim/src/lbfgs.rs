//! L-BFGS: directions from the last few steps, over an `evaluate` closure.

mod memory;
mod objective;
mod outcome;
mod search;
mod vector;

pub use memory::{LbfgsMemory, Move, Pair};
pub use outcome::{Ended, LbfgsError, LbfgsReport};

use crate::OptimError;
use crate::error::{at_least_zero, range};
use objective::{Evaluate, Objective, Point};
use search::{Ray, Trial};
use vector::{add_scaled, dot, max_abs, scaled, sum_abs};

/// Limited-memory BFGS. `d = -H g`, `θ ← θ + t d`, where `H` approximates the inverse Hessian
/// from the last steps `s` and the changes `y` of the gradient over them (the two-loop recursion,
/// begun with `H₀ = sᵀy / yᵀy`). The first step is down the gradient,
/// `t = lr · min(1, 1 / ‖g‖₁)`.
///
/// It asks for the loss as often as it needs it, so it is no node of a graph: it works on one
/// vector of `f64` and a closure. The facade has the driver for models,
/// `Train::minimize_lbfgs`.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | `t` of every step but the first; with a line search, the first trial of it |
/// | | `history` | 10 | pairs `(s, y)` kept, at least 1 |
/// | | `max_iterations` | 20 | directions per call of [`step`](Lbfgs::step), at least 1 |
/// | | `max_evaluations` | 5/4 of `max_iterations` | per call, at least 1 |
/// | | `tolerance_gradient` | 1e-7 | ends a call: largest element of the gradient |
/// | | `tolerance_change` | 1e-9 | ends a call: largest element of a step, change of the loss, slope |
/// | | `strong_wolfe` | off | a line search chooses `t` |
///
/// Without a line search a step is not tested: the loss may rise. With one, `t` fulfils the strong
/// Wolfe conditions `f(t) ≤ f(0) + 1e-4 · t f'(0)` and `|f'(t)| ≤ 0.9 |f'(0)|`, if the evaluations
/// allowed suffice to find one; else it is the lower end of the bracket.
///
/// State: `2 · history + 2` vectors of `f64` ([`LbfgsMemory`]). Cost per direction:
/// `10 · history` FLOPs per number.
///
/// **Numerics** all in `f64`. Agrees with PyTorch's `LBFGS` to 1e-6 over 50 calls. Two
/// differences: `history` is 100 there; and a trial of the line search whose loss or gradient is
/// not finite counts as too long and halves the bracket, where PyTorch goes on with NaN.
///
/// **Source** Nocedal and Wright, Numerical Optimization, 2nd ed., alg. 7.4 and 7.5 (directions),
/// 3.5 and 3.6 (line search), with the safeguards of minFunc (Schmidt, 2005).
///
/// ```
/// use pleach_optim::{Lbfgs, LbfgsMemory};
/// // (1 - x)² + 100 (y - x²)² and its gradient.
/// let rosenbrock = |p: &[f64]| {
///     let (far, valley) = (1.0 - p[0], p[1] - p[0] * p[0]);
///     let gradient = vec![-2.0 * far - 400.0 * p[0] * valley, 200.0 * valley];
///     Ok::<_, std::convert::Infallible>((far * far + 100.0 * valley * valley, gradient))
/// };
/// let (mut memory, mut x) = (LbfgsMemory::default(), [-1.2, 1.0]);
/// let lbfgs = Lbfgs::new(1.0).strong_wolfe().max_iterations(100);
/// let report = lbfgs.step(&mut memory, &mut x, rosenbrock)?;
/// assert!(report.ended.converged() && report.iterations < 50, "{report:?}");
/// assert!((x[0] - 1.0).abs() < 1e-4 && (x[1] - 1.0).abs() < 1e-4, "{x:?}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Lbfgs {
    name: String,
    rate: f64,
    history: usize,
    max_iterations: usize,
    max_evaluations: Option<usize>,
    tolerance_gradient: f64,
    tolerance_change: f64,
    strong_wolfe: bool,
    maximize: bool,
}

impl Lbfgs {
    /// At this rate: the length of a step, in units of the direction. 1 is Newton's step.
    pub fn new(rate: f64) -> Lbfgs {
        Lbfgs {
            name: "lbfgs".into(),
            rate,
            history: 10,
            max_iterations: 20,
            max_evaluations: None,
            tolerance_gradient: 1e-7,
            tolerance_change: 1e-9,
            strong_wolfe: false,
            maximize: false,
        }
    }

    /// Prefix of its slots in the state of a model, `lbfgs` if nothing is said.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Lbfgs { name: name.into(), ..self }
    }

    /// Another rate, at least 0.
    #[must_use]
    pub fn rate(self, rate: f64) -> Self {
        Lbfgs { rate, ..self }
    }

    /// Pairs of steps and changes of the gradient that are kept, at least 1.
    #[must_use]
    pub fn history(self, pairs: usize) -> Self {
        Lbfgs { history: pairs, ..self }
    }

    /// Directions per call, at least 1.
    #[must_use]
    pub fn max_iterations(self, iterations: usize) -> Self {
        Lbfgs { max_iterations: iterations, ..self }
    }

    /// Evaluations per call, at least 1. A call stops when it has made as many: a line search may
    /// exceed it by one.
    #[must_use]
    pub fn max_evaluations(self, evaluations: usize) -> Self {
        Lbfgs { max_evaluations: Some(evaluations), ..self }
    }

    /// A call ends where no element of the gradient is larger; at least 0.
    #[must_use]
    pub fn tolerance_gradient(self, tolerance: f64) -> Self {
        Lbfgs { tolerance_gradient: tolerance, ..self }
    }

    /// A call ends where no element of the step, or not the loss, changes by more, or the slope
    /// along the direction is not below its negative; at least 0.
    #[must_use]
    pub fn tolerance_change(self, tolerance: f64) -> Self {
        Lbfgs { tolerance_change: tolerance, ..self }
    }

    /// Chooses the length of every step by a line search.
    #[must_use]
    pub fn strong_wolfe(self) -> Self {
        Lbfgs { strong_wolfe: true, ..self }
    }

    /// Climbs instead of descending.
    #[must_use]
    pub fn maximize(self) -> Self {
        Lbfgs { maximize: true, ..self }
    }

    /// Prefix of its slots.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rate it was given.
    pub fn base_rate(&self) -> f64 {
        self.rate
    }

    /// Pairs kept at most.
    pub fn history_size(&self) -> usize {
        self.history
    }

    fn evaluations(&self) -> usize {
        self.max_evaluations.unwrap_or_else(|| (self.max_iterations.saturating_mul(5) / 4).max(1))
    }

    /// Do the options make sense?
    ///
    /// # Errors
    /// [`OptimError`] with the option, what it must be, and what it is.
    pub fn check(&self) -> Result<(), OptimError> {
        at_least_zero(&self.name, "rate", self.rate)?;
        at_least_zero(&self.name, "tolerance of the gradient", self.tolerance_gradient)?;
        at_least_zero(&self.name, "tolerance of changes", self.tolerance_change)?;
        let counts = [
            ("history", self.history),
            ("max iterations", self.max_iterations),
            ("max evaluations", self.evaluations()),
        ];
        counts
            .into_iter()
            .try_for_each(|(option, n)| range(&self.name, option, "at least 1", n as f64, n >= 1))
    }

    /// One call: up to `max_iterations` steps from `x`, which moves. `evaluate` answers the loss at
    /// a point and its gradient there. `memory` goes on over calls: many short ones on one function
    /// do what a long one does.
    ///
    /// # Errors
    /// [`LbfgsError`] if options make no sense, if `x`, gradient and memory differ in length, if
    /// `evaluate` fails, or if it answers what is not finite where that cannot be stepped around:
    /// at the first evaluation, after a step without line search, and at every trial of a line
    /// search. Then `x` is the point of the best loss that this call has seen (where it was, if it
    /// has seen none), and the pairs learned are kept.
    pub fn step<E>(
        &self,
        memory: &mut LbfgsMemory,
        x: &mut [f64],
        evaluate: impl FnMut(&[f64]) -> Result<(f64, Vec<f64>), E>,
    ) -> Result<LbfgsReport, LbfgsError<E>> {
        self.check()?;
        memory.check(x.len())?;
        let mut objective = Objective::new(evaluate, self.maximize);
        let result = self.go(memory, x, &mut objective);
        memory.evaluations += objective.evaluations as u64;
        if let (Err(_), Some(best)) = (&result, objective.best()) {
            x.copy_from_slice(best);
        }
        result
    }

    fn go<E>(
        &self,
        memory: &mut LbfgsMemory,
        x: &mut [f64],
        objective: &mut Objective<impl Evaluate<E>>,
    ) -> Result<LbfgsReport, LbfgsError<E>> {
        let mut at = objective.finite(x)?;
        let first = at.loss;
        let mut iterations = 0;
        let mut ended = self.is_flat(&at).then_some(Ended::Gradient);
        let ended = loop {
            if let Some(ended) = ended {
                break ended;
            }
            iterations += 1;
            memory.iterations += 1;
            let is_last = iterations == self.max_iterations;
            ended = self.iterate(memory, x, &mut at, objective, is_last)?;
        };
        let (first, loss) = (objective.sign() * first, objective.sign() * at.loss);
        Ok(LbfgsReport { first, loss, iterations, evaluations: objective.evaluations, ended })
    }

    /// One direction, and a step along it. What ends the call, if anything does.
    fn iterate<E>(
        &self,
        memory: &mut LbfgsMemory,
        x: &mut [f64],
        at: &mut Point,
        objective: &mut Objective<impl Evaluate<E>>,
        is_last: bool,
    ) -> Result<Option<Ended>, LbfgsError<E>> {
        let is_first = memory.is_empty();
        memory.learn(&at.gradient, self.history);
        let direction = memory.direction(&at.gradient);
        let shrink = if is_first { (1.0 / sum_abs(&at.gradient)).min(1.0) } else { 1.0 };
        let mut t = shrink * self.rate;
        let slope = dot(&at.gradient, &direction);
        if slope > -self.tolerance_change {
            memory.remember(scaled(t, &direction), at.gradient.clone());
            return Ok(Some(Ended::Slope));
        }
        let mut next = None;
        if self.strong_wolfe {
            let ray = Ray { x, direction: &direction, tolerance: self.tolerance_change };
            let budget = self.evaluations().saturating_sub(objective.evaluations);
            let start = Trial { t: 0.0, loss: at.loss, slope, point: at.clone() };
            let found = ray.search(start, t, budget, objective)?;
            t = found.t;
            next = Some(found.point);
        }
        add_scaled(x, t, &direction);
        // Without a line search, nothing more is asked after the last step.
        if next.is_none() && !is_last {
            next = Some(objective.finite(x)?);
        }
        let step = scaled(t, &direction);
        let length = max_abs(&step);
        memory.remember(step, at.gradient.clone());
        let Some(next) = next else { return Ok(Some(Ended::Iterations)) };
        let change = (next.loss - at.loss).abs();
        *at = next;
        Ok(if self.is_flat(at) {
            Some(Ended::Gradient)
        } else if length <= self.tolerance_change || change < self.tolerance_change {
            Some(Ended::Change)
        } else if is_last {
            Some(Ended::Iterations)
        } else if objective.evaluations >= self.evaluations() {
            Some(Ended::Evaluations)
        } else {
            None
        })
    }

    fn is_flat(&self, at: &Point) -> bool {
        max_abs(&at.gradient) <= self.tolerance_gradient
    }
}
