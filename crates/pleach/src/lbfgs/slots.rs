//! Where a state holds the point and the memory of L-BFGS.
#![allow(clippy::result_large_err, reason = "a failed run is rare and looked at")]

use pleach_exec::{ExecError, State};
use pleach_ops::Variable;
use pleach_ops::prelude::*;
use pleach_optim::{Lbfgs, LbfgsMemory, Move, Pair};

/// The trained parameters in a row, and the slots beside them.
#[derive(Debug)]
pub(super) struct Slots {
    parts: Vec<Part>,
    history: usize,
    rate: Variable,
    iterations: Variable,
    evaluations: Variable,
    pairs: Variable,
    pending: Variable,
}

/// One parameter.
#[derive(Debug)]
struct Part {
    param: Param,
    /// Its place in the row, and its size.
    start: usize,
    n: usize,
    /// `[history, …]`, oldest first.
    s: Variable,
    y: Variable,
    step: Variable,
    gradient: Variable,
}

impl Part {
    /// Its numbers in a row of all.
    fn of<'x>(&self, row: &'x [f64]) -> &'x [f64] {
        &row[self.start..self.start + self.n]
    }
}

impl Slots {
    /// None if there is no parameter, or the vectors of one do not fit into any memory.
    pub(super) fn new(lbfgs: &Lbfgs, params: Vec<Param>) -> Option<Slots> {
        let name = |slot: &str| format!("{}.{slot}", lbfgs.name());
        let history = lbfgs.history_size();
        let first = params.first()?.clone();
        let shared = |slot: &str, dtype: DType, init: f64| {
            first.shared_slot(&name(slot), Type::scalar(dtype), Init::full(init))
        };
        let mut start = 0;
        let part = |param: Param| {
            let (shape, n) = (param.ty().shape(), param.ty().numel());
            let rows: Shape = std::iter::once(history).chain(shape.iter().copied()).collect();
            let (one, all) = (Type::new(F64, shape).ok()?, Type::new(F64, rows).ok()?);
            let slot = |what: &str, ty: &Type| param.slot(&name(what), ty.clone(), Init::zeros());
            let (s, y) = (slot("s", &all), slot("y", &all));
            let (step, gradient) = (slot("step", &one), slot("gradient", &one));
            let at = start;
            start += n;
            Some(Part { param, start: at, n, s, y, step, gradient })
        };
        Some(Slots {
            parts: params.into_iter().map(part).collect::<Option<_>>()?,
            history,
            rate: shared("rate", F64, lbfgs.base_rate()),
            iterations: shared("iterations", I64, 0.0),
            evaluations: shared("evaluations", I64, 0.0),
            pairs: shared("pairs", I64, 0.0),
            pending: shared("pending", I64, 0.0),
        })
    }

    pub(super) fn params(&self) -> impl Iterator<Item = &Param> {
        self.parts.iter().map(|part| &part.param)
    }

    pub(super) fn rate(&self, state: &State) -> Result<f64, ExecError> {
        Ok(value(state, &self.rate)?.item().unwrap_or(f64::NAN))
    }

    /// The parameters in a row.
    pub(super) fn point(&self, state: &State) -> Result<Vec<f64>, ExecError> {
        let mut row = Vec::new();
        for param in self.params() {
            row.extend(value(state, param)?.to_f64s());
        }
        Ok(row)
    }

    /// Sets the parameters, each number rounded once to the parameter's type.
    pub(super) fn set_point(&self, state: &mut State, x: &[f64]) -> Result<(), ExecError> {
        self.parts.iter().try_for_each(|part| put(state, &part.param, part.of(x)))
    }

    pub(super) fn memory(&self, state: &State) -> Result<LbfgsMemory, ExecError> {
        let count = |variable: &Variable| -> Result<u64, ExecError> {
            let held = value(state, variable)?.to_i64s();
            Ok(held.first().and_then(|&n| u64::try_from(n).ok()).unwrap_or(0))
        };
        let known = (count(&self.pairs)? as usize).min(self.history);
        let mut pairs = vec![Pair { s: Vec::new(), y: Vec::new() }; known];
        let mut last = Move { step: Vec::new(), gradient: Vec::new() };
        for part in &self.parts {
            let (s, y) = (value(state, &part.s)?.to_f64s(), value(state, &part.y)?.to_f64s());
            for (i, pair) in pairs.iter_mut().enumerate() {
                pair.s.extend(&s[i * part.n..(i + 1) * part.n]);
                pair.y.extend(&y[i * part.n..(i + 1) * part.n]);
            }
            last.step.extend(value(state, &part.step)?.to_f64s());
            last.gradient.extend(value(state, &part.gradient)?.to_f64s());
        }
        let last = (count(&self.pending)? != 0).then_some(last);
        Ok(LbfgsMemory::new(count(&self.iterations)?, count(&self.evaluations)?, pairs, last))
    }

    pub(super) fn set_memory(
        &self,
        state: &mut State,
        memory: &LbfgsMemory,
    ) -> Result<(), ExecError> {
        for part in &self.parts {
            let mut rows = [Vec::new(), Vec::new()];
            for pair in memory.pairs() {
                rows[0].extend_from_slice(part.of(&pair.s));
                rows[1].extend_from_slice(part.of(&pair.y));
            }
            rows.iter_mut().for_each(|rows| rows.resize(self.history * part.n, 0.0));
            put(state, &part.s, &rows[0])?;
            put(state, &part.y, &rows[1])?;
            if let Some(last) = memory.last() {
                put(state, &part.step, part.of(&last.step))?;
                put(state, &part.gradient, part.of(&last.gradient))?;
            }
        }
        let counts = [
            (&self.iterations, memory.iterations),
            (&self.evaluations, memory.evaluations),
            (&self.pairs, memory.pairs().len() as u64),
            (&self.pending, u64::from(memory.last().is_some())),
        ];
        let rate = self.rate(state)?;
        state.put(&self.rate, &Tensor::scalar(rate))?;
        counts.iter().try_for_each(|(slot, n)| state.put(slot, &Tensor::scalar(*n as i64)))
    }
}

/// What a state holds for a variable, of the type that it must have.
fn value(state: &State, variable: &Variable) -> Result<Tensor, ExecError> {
    let held = state.get(variable);
    if held.ty() == variable.ty() {
        return Ok(held);
    }
    let (expected, got) = (variable.ty().clone(), held.ty().clone());
    Err(ExecError::VariableType { name: variable.name().into(), expected, got })
}

fn put(state: &mut State, variable: &Variable, numbers: &[f64]) -> Result<(), ExecError> {
    state.put(variable, &Tensor::build(variable.ty(), |i| numbers[i]))
}
