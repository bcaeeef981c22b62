//! Floats in JSON, which has no NaN and no infinity: those are the words `NaN`, `inf`, `-inf`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Word(String),
}

impl Written {
    fn of(value: f64) -> Written {
        if value.is_finite() { Written::Number(value) } else { Written::Word(format!("{value}")) }
    }

    fn value<E: serde::de::Error>(self) -> Result<f64, E> {
        match self {
            Written::Number(value) => Ok(value),
            Written::Word(word) => word.parse().map_err(E::custom),
        }
    }
}

pub(crate) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    Written::of(*value).serialize(to)
}

pub(crate) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<f64, D::Error> {
    Written::deserialize(from)?.value()
}

/// The same for a list.
pub(crate) mod list {
    use super::{Deserialize, Deserializer, Serializer, Written};

    pub(crate) fn serialize<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(|&value| Written::of(value)))
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<f64>, D::Error> {
        Vec::<Written>::deserialize(from)?.into_iter().map(Written::value).collect()
    }
}
