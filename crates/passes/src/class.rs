//! Safety classes of rewrites, and the levels that admit them.

/// What a rewrite may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// No bit, for any input, NaN payloads aside.
    BitExact,
    /// No bit, if kernels keep their order of accumulation.
    KernelExact,
    /// The sign of a zero.
    ZeroSign,
    /// Rounding: equal over the real numbers.
    Rounding,
    /// Rounding, to the better: no overflow or lost digits where the original has them.
    Stabilizing,
    /// Equal where facts that a guard proves hold.
    NeedsFacts,
    /// The function itself: compression.
    Lossy,
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
    /// Rewrites that change no bit.
    Exact,
    /// Everything but lossy ones.
    Default,
}

impl Level {
    /// May a rewrite of this class fire?
    pub fn admits(self, class: Class) -> bool {
        match self {
            Level::Exact => class <= Class::KernelExact,
            Level::Default => class != Class::Lossy,
        }
    }
}
