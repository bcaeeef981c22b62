//! One trial: a point of the space, with a seed of its own.

use std::collections::BTreeMap;

use pleach_tensor::Key;
use serde::{Deserialize, Serialize};

use crate::TuneError;
use crate::value::Value;

/// What a closure gets: the values to try, and the seed to try them with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its place in the search, from 0.
    pub number: usize,
    /// For whatever the trial draws. A pure function of the search's seed and the trial's number:
    /// other trials, their order, threads and resuming do not change it.
    pub seed: u64,
    /// A value for every parameter of the space.
    pub point: BTreeMap<String, Value>,
}

impl Trial {
    pub(crate) fn new(seed: u64, number: usize, point: BTreeMap<String, Value>) -> Trial {
        let Key(seed) = Key(seed).fold_str("pleach.tune.trial").fold(number as u64);
        Trial { number, seed, point }
    }

    /// The value of a float or integer parameter.
    ///
    /// # Errors
    /// [`TuneError::UnknownName`], [`TuneError::Kind`] if it is a text.
    pub fn float(&self, name: &str) -> Result<f64, TuneError> {
        match self.value(name)? {
            Value::Float(value) => Ok(*value),
            Value::Int(value) => Ok(*value as f64),
            other => Err(kind(name, "a number", other)),
        }
    }

    /// The value of an integer parameter.
    ///
    /// # Errors
    /// [`TuneError::UnknownName`], [`TuneError::Kind`].
    pub fn int(&self, name: &str) -> Result<i64, TuneError> {
        match self.value(name)? {
            Value::Int(value) => Ok(*value),
            other => Err(kind(name, "an integer", other)),
        }
    }

    /// The value of a choice of words.
    ///
    /// # Errors
    /// [`TuneError::UnknownName`], [`TuneError::Kind`].
    pub fn text(&self, name: &str) -> Result<&str, TuneError> {
        match self.value(name)? {
            Value::Text(value) => Ok(value),
            other => Err(kind(name, "a text", other)),
        }
    }

    fn value(&self, name: &str) -> Result<&Value, TuneError> {
        self.point.get(name).ok_or_else(|| TuneError::UnknownName {
            name: name.into(),
            names: self.point.keys().cloned().collect(),
        })
    }
}

fn kind(name: &str, expected: &'static str, got: &Value) -> TuneError {
    TuneError::Kind { name: name.into(), expected, got: got.kind() }
}
