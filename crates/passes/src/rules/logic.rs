//! Choices and truth values.

use super::*;

pub(super) fn rules() -> Vec<Rule> {
    crate::rules! {
        select_not:  E, E "(¬p ? x : y) = (p ? y : x)"  select(not(p), x, y) => select(p, y, x);
        and_self:    E, E "p ∧ p = p"                   and(p, p) => p;
        or_self:     E, E "p ∨ p = p"                   or(p, p) => p;
        and_nots:    E, E "¬p ∧ ¬q = ¬(p ∨ q)"          and(not(p), not(q)) => not(or(p, q));
        or_nots:     E, E "¬p ∨ ¬q = ¬(p ∧ q)"          or(not(p), not(q)) => not(and(p, q));
        max_self:    E, R "max(x, x) = x"               maximum(x, x) => x;
        min_self:    E, R "min(x, x) = x"               minimum(x, x) => x;
    }
}
