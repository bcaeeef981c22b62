//! One value of one parameter.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The value of a parameter: a number or a word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Of an integer parameter or choice.
    Int(i64),
    /// Of a uniform or log-uniform parameter, or of a choice; finite.
    Float(f64),
    /// Of a choice.
    Text(String),
}

impl Value {
    /// `an integer`, `a float` or `a text`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Int(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Text(_) => "a text",
        }
    }
}

impl fmt::Display for Value {
    /// Floats with 4 significant digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Int(value) => write!(f, "{value}"),
            Value::Float(value) => f.write_str(&short(*value)),
            Value::Text(value) => f.write_str(value),
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.into())
    }
}

/// A number for people: 4 significant digits, with an exponent below 0.001 and from 10⁵ on.
pub(crate) fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let scientific = format!("{value:.3e}");
    let exponent = scientific.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok());
    match exponent {
        Some(e @ -3..5) => format!("{value:.*}", (3 - e).max(0) as usize),
        _ => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (0.123456, "0.1235"),
            (0.00123456, "0.001235"),
            (0.000123456, "1.235e-4"),
            (12.0, "12.00"),
            (99999.9, "1.000e5"),
            (-1234.56, "-1235"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }
}
