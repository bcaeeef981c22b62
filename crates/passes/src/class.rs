//! Safety classes of rewrites, and the levels that admit them.

use std::fmt;

/// What a rewrite may change. Ordered: a later class admits more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// E: no bit, for any input; NaN payloads aside.
    BitExact,
    /// K: no bit, if kernels keep their order of accumulation.
    KernelExact,
    /// Z: the sign of a zero.
    ZeroSign,
    /// R: rounding: both sides are equal over the real numbers.
    Rounding,
    /// S: rounding, to the better: no overflow or lost digits where the original has them.
    Stabilizing,
    /// F: nothing but rounding where the facts hold that a guard proves. Never fires without a
    /// guard.
    NeedsFacts,
    /// L: the function itself.
    Lossy,
}

impl Class {
    /// Every class, in order.
    pub const ALL: [Class; 7] = [
        Class::BitExact,
        Class::KernelExact,
        Class::ZeroSign,
        Class::Rounding,
        Class::Stabilizing,
        Class::NeedsFacts,
        Class::Lossy,
    ];

    /// The letter that stands for it in rules and tables.
    pub const fn letter(self) -> char {
        match self {
            Class::BitExact => 'E',
            Class::KernelExact => 'K',
            Class::ZeroSign => 'Z',
            Class::Rounding => 'R',
            Class::Stabilizing => 'S',
            Class::NeedsFacts => 'F',
            Class::Lossy => 'L',
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())
    }
}

/// One class for values, one for gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Classes {
    /// What happens to values.
    pub values: Class,
    /// What happens to gradients taken after the rewrite.
    pub gradients: Class,
}

impl Classes {
    /// The same class for both.
    pub const fn both(class: Class) -> Classes {
        Classes { values: class, gradients: class }
    }
}

/// Which classes a pipeline may use. It runs after differentiation, so the class of values counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Rewrites that change no bit: E, and K, every one of which is tested bitwise.
    Exact,
    /// All but lossy ones.
    Default,
}

impl Level {
    /// May a rewrite of this class fire?
    pub fn admits(self, class: Class) -> bool {
        match self {
            Level::Exact => class <= Class::KernelExact,
            Level::Default => class < Class::Lossy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_admit_what_they_promise() {
        let letters = |level: Level| -> String {
            Class::ALL.iter().filter(|c| level.admits(**c)).map(|c| c.letter()).collect()
        };
        assert_eq!(letters(Level::Exact), "EK");
        assert_eq!(letters(Level::Default), "EKZRSF");
    }
}
