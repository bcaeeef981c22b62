//! Rules as data: one line each.

mod arithmetic;
mod functions;
mod guards;
mod logic;

use std::fmt;
use std::sync::{Arc, LazyLock};

use pleach_graph::NodeId;
use pleach_ops::{Graph, Op};
use thiserror::Error;

use crate::{Class, Match, Pattern};

pub use guards::*;

/// The library's rules. Of two that match, the first fires.
pub static RULES: LazyLock<Vec<Rule>> =
    LazyLock::new(|| [arithmetic::rules(), functions::rules(), logic::rules()].concat());

/// A condition on some of the values that a left side found: `Ok`, or why it does not hold, for
/// the user who reads the ledger.
pub type Check = fn(&Graph, &[NodeId]) -> Result<(), &'static str>;

/// A condition of a rule, with the words whose values it is about.
#[derive(Clone)]
pub struct Guard {
    /// The condition.
    pub check: Check,
    /// The words.
    pub words: &'static [&'static str],
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "guard{:?}", self.words)
    }
}

/// One rewrite: wherever `left` stands, `right` may stand. Made by [`rules!`](crate::rules!).
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name: what `without` takes.
    pub name: &'static str,
    /// Its class for values.
    pub values: Class,
    /// Its class for gradients taken after it.
    pub gradients: Class,
    /// The equation, for people.
    pub equation: &'static str,
    /// What it replaces.
    pub left: Pattern,
    /// What it puts there.
    pub right: Pattern,
    /// What must hold besides.
    pub guards: Arc<[Guard]>,
}

/// Why a line is no rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("rule {rule}: {reason}")]
pub struct RuleError {
    /// The rule.
    pub rule: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl Rule {
    /// A rule from the text of its sides.
    ///
    /// # Errors
    /// [`RuleError`] if a side is no pattern; if the right side uses a word more often than the
    /// left one (a rule must not grow graphs), or an operator that exists neither without
    /// attributes nor on the left side; or if a guard is about another word.
    pub fn new(
        name: &'static str,
        [values, gradients]: [Class; 2],
        equation: &'static str,
        [left, right]: [&'static str; 2],
        guards: &[Guard],
    ) -> Result<Rule, RuleError> {
        let error = |reason: String| RuleError { rule: name, reason };
        let parse = |side: &'static str| {
            Pattern::parse(side).ok_or_else(|| error(format!("{side:?} is no pattern")))
        };
        let (left, right) = (parse(left)?, parse(right)?);
        let operators = left.operators();
        if operators.is_empty() {
            return Err(error("the left side is no operator".into()));
        }
        let (have, want) = (left.words(), right.words());
        let count = |words: &[&str], word: &str| words.iter().filter(|w| **w == word).count();
        if let Some(word) = want.iter().find(|w| count(&want, w) > count(&have, w)) {
            return Err(error(format!("{word} stands on the right more often than on the left")));
        }
        if let Some(word) = guards.iter().flat_map(|g| g.words).find(|w| !have.contains(w)) {
            return Err(error(format!("the guard is about {word}, which the left side has not")));
        }
        let known = |op: &str| Op::by_name(op).is_some() || operators.contains(&op);
        if let Some(op) = right.operators().iter().find(|op| !known(op)) {
            return Err(error(format!("the right side cannot make {op}")));
        }
        let guards = guards.into();
        Ok(Rule { name, values, gradients, equation, left, right, guards })
    }

    /// Do all conditions hold?
    ///
    /// # Errors
    /// The first reason why not.
    pub fn guard(&self, g: &Graph, found: &Match) -> Result<(), &'static str> {
        self.guards.iter().try_for_each(|guard| {
            let values: Option<smallvec::SmallVec<[NodeId; 4]>> =
                guard.words.iter().map(|w| found.get(w)).collect();
            (guard.check)(g, &values.unwrap_or_default())
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, {}  {}", self.name, self.values, self.gradients, self.equation)
    }
}

/// A list of [`Rule`]s, one line each:
/// `name: VALUES, GRADIENTS "equation" left => right if guard(word);`
///
/// The classes are letters: E, K, Z, R, S, F, L, see [`Class`](crate::Class). The sides are
/// [`Pattern`](crate::Pattern)s. Guards are functions in scope, see [`Check`](crate::rules::Check);
/// several are joined by `&&`.
///
/// # Panics
/// If a line is no rule, with [`RuleError`](crate::RuleError).
///
/// ```
/// use pleach_passes::{Simplify, rules};
/// let mine = rules! {
///     exp_neg: R, R "1 / exp(x) = exp(-x)" div(1.0, exp(x)) => exp(neg(x));
/// };
/// let pass = Simplify::new(mine);
/// ```
#[macro_export]
macro_rules! rules {
    ($(
        $name:ident : $values:ident, $gradients:ident $equation:literal
        $left:ident ( $($left_args:tt)* ) => $right:tt $(( $($right_args:tt)* ))?
        $(if $($guard:ident ( $($word:ident),* ))&&+)? ;
    )*) => {
        vec![$($crate::Rule::new(
            stringify!($name),
            [$crate::rules!(@class $values), $crate::rules!(@class $gradients)],
            $equation,
            [
                stringify!($left($($left_args)*)),
                stringify!($right $(($($right_args)*))?),
            ],
            &[$($($crate::Guard { check: $guard, words: &[$(stringify!($word)),*] }),+)?],
        )
        .unwrap_or_else(|error| panic!("{error}"))),*]
    };
    (@class E) => { $crate::Class::BitExact };
    (@class K) => { $crate::Class::KernelExact };
    (@class Z) => { $crate::Class::ZeroSign };
    (@class R) => { $crate::Class::Rounding };
    (@class S) => { $crate::Class::Stabilizing };
    (@class F) => { $crate::Class::NeedsFacts };
    (@class L) => { $crate::Class::Lossy };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_equations_are_written() {
        for (i, rule) in RULES.iter().enumerate() {
            assert!(RULES[..i].iter().all(|r| r.name != rule.name), "{}", rule.name);
            assert!(rule.equation.contains('='), "{}", rule.name);
        }
    }

    #[test]
    fn lines_that_are_no_rules_are_refused() {
        let refuse = |left, right, guards: &[Guard]| {
            Rule::new("r", [Class::BitExact; 2], "", [left, right], guards).unwrap_err().reason
        };
        assert_eq!(refuse("f(x", "x", &[]), "\"f(x\" is no pattern");
        assert_eq!(refuse("x", "x", &[]), "the left side is no operator");
        let grows = "x stands on the right more often than on the left";
        assert_eq!(refuse("neg(x)", "add(x, x)", &[]), grows);
        assert_eq!(refuse("neg(x)", "fly(x)", &[]), "the right side cannot make fly");
        let guard = Guard { check: finite, words: &["y"] };
        let other = "the guard is about y, which the left side has not";
        assert_eq!(refuse("neg(x)", "x", &[guard]), other);
    }
}
