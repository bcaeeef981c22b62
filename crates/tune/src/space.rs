//! Search spaces: named parameters and their domains.

use std::collections::BTreeMap;

use pleach_tensor::Key;
use serde::{Deserialize, Serialize};

use crate::value::Value;
use crate::{Trial, TuneError};

/// Trials that a search can have.
pub(crate) const MOST_TRIALS: usize = 100_000;

/// The values that a parameter can have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// `low + u (high - low)` for uniform `u` in `[0, 1)`.
    Uniform(f64, f64),
    /// `low (high / low)ᵘ` for uniform `u` in `[0, 1)`: every factor is as likely.
    LogUniform(f64, f64),
    /// Every integer from low to high, both included.
    Integer(i64, i64),
    /// One of these.
    Choice(Vec<Value>),
}

/// Named parameters and their domains, in the order in which they were named.
///
/// Nothing is checked before a search begins; what is wrong then is a [`TuneError`].
///
/// ```
/// use pleach_tune::Space;
/// let space = Space::new()
///     .log_uniform("rate", 1e-4, 1.0)
///     .uniform("momentum", 0.0, 0.99)
///     .integer("layers", 1, 4)
///     .choice("activation", ["relu", "tanh"]);
/// space.check()?;
/// let trial = space.trial(7, 0); // seed 7, number 0
/// assert!((1e-4..1.0).contains(&trial.float("rate")?));
/// assert!((1..=4).contains(&trial.int("layers")?));
/// assert!(["relu", "tanh"].contains(&trial.text("activation")?));
/// # Ok::<(), pleach_tune::TuneError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Space {
    axes: Vec<(String, Domain)>,
}

impl Space {
    /// Without any parameter.
    pub fn new() -> Space {
        Space::default()
    }

    /// Floats from `low` to `high`, [`Domain::Uniform`].
    #[must_use]
    pub fn uniform(self, name: &str, low: f64, high: f64) -> Self {
        self.with(name, Domain::Uniform(low, high))
    }

    /// Positive floats from `low` to `high`, [`Domain::LogUniform`]: rates, penalties.
    #[must_use]
    pub fn log_uniform(self, name: &str, low: f64, high: f64) -> Self {
        self.with(name, Domain::LogUniform(low, high))
    }

    /// Integers from `low` to `high`, both included.
    #[must_use]
    pub fn integer(self, name: &str, low: i64, high: i64) -> Self {
        self.with(name, Domain::Integer(low, high))
    }

    /// One of some values: words, integers or floats.
    #[must_use]
    pub fn choice<V: Into<Value>>(self, name: &str, values: impl IntoIterator<Item = V>) -> Self {
        self.with(name, Domain::Choice(values.into_iter().map(Into::into).collect()))
    }

    fn with(mut self, name: &str, domain: Domain) -> Self {
        self.axes.push((name.into(), domain));
        self
    }

    /// The parameters.
    pub fn axes(&self) -> &[(String, Domain)] {
        &self.axes
    }

    /// Does the space make sense?
    ///
    /// # Errors
    /// [`TuneError::EmptySpace`], [`TuneError::DuplicateName`], [`TuneError::Range`] unless
    /// `low < high` (finite, with a finite difference, positive if logarithmic),
    /// [`TuneError::Choice`] for a choice of nothing or of a number that is not finite.
    pub fn check(&self) -> Result<(), TuneError> {
        if self.axes.is_empty() {
            return Err(TuneError::EmptySpace);
        }
        for (i, (name, domain)) in self.axes.iter().enumerate() {
            if self.axes[..i].iter().any(|(other, _)| other == name) {
                return Err(TuneError::DuplicateName(name.clone()));
            }
            domain.check(name)?;
        }
        Ok(())
    }

    /// Trial `number` of a random search: each value is drawn from its domain.
    ///
    /// A pure function of `seed`, `number` and, for every value, the parameter's name and domain:
    /// more trials, or more parameters, change none that were there.
    pub fn trial(&self, seed: u64, number: usize) -> Trial {
        let key = Key(seed).fold_str("pleach.tune.point").fold(number as u64);
        let draw =
            |(name, domain): &(String, Domain)| (name.clone(), domain.draw(key.fold_str(name)));
        Trial::new(seed, number, self.axes.iter().map(draw).collect())
    }

    /// Every combination of `counts[name]` values of each parameter, the last parameter fastest.
    pub(crate) fn grid(
        &self,
        seed: u64,
        counts: &[(&str, usize)],
    ) -> Result<Vec<Trial>, TuneError> {
        let counts: BTreeMap<&str, usize> = counts.iter().copied().collect();
        for name in counts.keys() {
            if !self.axes.iter().any(|(axis, _)| axis == name) {
                let names = self.axes.iter().map(|(name, _)| name.clone()).collect();
                return Err(TuneError::UnknownName { name: name.to_string(), names });
            }
        }
        let mut lists = Vec::new();
        let mut total: usize = 1;
        for (name, domain) in &self.axes {
            let n = domain.grid_size(name, counts.get(name.as_str()).copied())?;
            total = total.saturating_mul(n);
            if total > MOST_TRIALS {
                return Err(TuneError::Trials { got: total, most: MOST_TRIALS });
            }
            lists.push((name, domain, n));
        }
        let point = |number: usize| {
            let mut rest = number;
            let mut values = BTreeMap::new();
            for (name, domain, n) in lists.iter().rev() {
                values.insert(name.to_string(), domain.grid_value(rest % n, *n));
                rest /= n;
            }
            Trial::new(seed, number, values)
        };
        Ok((0..total).map(point).collect())
    }
}

/// `low (high / low)ᵘ`, with both ends exact.
pub(crate) fn log_between(low: f64, high: f64, u: f64) -> f64 {
    match u {
        0.0 => low,
        1.0 => high,
        _ => (low.ln() + u * (high.ln() - low.ln())).exp().clamp(low, high),
    }
}

impl Domain {
    fn check(&self, name: &str) -> Result<(), TuneError> {
        let range = |ok: bool, expected, low: String, high: String| {
            let name = name.to_string();
            if ok { Ok(()) } else { Err(TuneError::Range { name, expected, low, high }) }
        };
        let floats = |ok: bool, expected, low: f64, high: f64| {
            let ok = ok && low < high && (high - low).is_finite();
            range(ok, expected, format!("{low:?}"), format!("{high:?}"))
        };
        match self {
            &Domain::Uniform(low, high) => floats(true, "low < high", low, high),
            &Domain::LogUniform(low, high) => floats(low > 0.0, "0 < low < high", low, high),
            &Domain::Integer(low, high) => {
                range(low < high, "low < high", low.to_string(), high.to_string())
            }
            Domain::Choice(values) => {
                let bad = |value: &&Value| matches!(value, Value::Float(v) if !v.is_finite());
                let expected = match values.iter().find(bad) {
                    Some(_) => "finite numbers",
                    None if values.is_empty() => "at least one value",
                    None => return Ok(()),
                };
                Err(TuneError::Choice { name: name.into(), expected })
            }
        }
    }

    fn draw(&self, key: Key) -> Value {
        match self {
            Domain::Uniform(..) | Domain::LogUniform(..) => self.float(key.uniform_f64(0)),
            &Domain::Integer(low, high) => {
                let n = (high.wrapping_sub(low) as u64).saturating_add(1);
                Value::Int(low.wrapping_add(key.below(0, n) as i64))
            }
            Domain::Choice(values) => values[key.below(0, values.len() as u64) as usize].clone(),
        }
    }

    /// The float at `u` in `[0, 1]` of the way from low to high.
    fn float(&self, u: f64) -> Value {
        match *self {
            Domain::Uniform(low, high) => Value::Float((low + u * (high - low)).clamp(low, high)),
            Domain::LogUniform(low, high) => Value::Float(log_between(low, high, u)),
            _ => Value::Float(u),
        }
    }

    /// Values of this parameter in a grid, if `asked` are asked for.
    fn grid_size(&self, name: &str, asked: Option<usize>) -> Result<usize, TuneError> {
        let wrong = |expected| Err(TuneError::Points { name: name.into(), expected, got: asked });
        match (self, asked) {
            (Domain::Choice(values), None) => Ok(values.len()),
            (Domain::Choice(_), Some(_)) => wrong("no number, as a choice takes all its values"),
            (&Domain::Integer(low, high), _) => {
                let all = high.abs_diff(low).saturating_add(1).try_into().unwrap_or(usize::MAX);
                match asked {
                    Some(0) => wrong("at least 1"),
                    asked => Ok(asked.map_or(all, |n| n.min(all))),
                }
            }
            (_, None) => wrong("a number"),
            (_, Some(0)) => wrong("at least 1"),
            (_, Some(n)) => Ok(n),
        }
    }

    /// Value `i` of `n`, evenly spaced with both ends; a single one is in the middle.
    fn grid_value(&self, i: usize, n: usize) -> Value {
        let u = if n == 1 { 0.5 } else { i as f64 / (n - 1) as f64 };
        match self {
            Domain::Uniform(..) | Domain::LogUniform(..) => self.float(u),
            &Domain::Integer(low, high) => {
                let (width, gaps) = (i128::from(high) - i128::from(low), (n - 1) as i128);
                // Rounded half up: distinct, as there are no more values than integers.
                let step =
                    if n == 1 { width / 2 } else { (2 * i as i128 * width + gaps) / (2 * gaps) };
                Value::Int((i128::from(low) + step) as i64)
            }
            Domain::Choice(values) => values[i].clone(),
        }
    }
}
