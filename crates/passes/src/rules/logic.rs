//! Choices and truth values.

use super::*;

pub(super) fn rules() -> Vec<Rule> {
    crate::rules! {
        select_not:  E, E "(¬p ? x : y) = (p ? y : x)"  select(not(p), x, y) => select(p, y, x);
        select_same: E, Z "(p ? x : x) = x"              select(p, x, x) => x;
        select_then: E, Z "(p ? (p ? x : y) : z) = (p ? x : z)" select(p, select(p, x, y), z) => select(p, x, z);
        select_else: E, Z "(p ? x : (p ? y : z)) = (p ? x : z)" select(p, x, select(p, y, z)) => select(p, x, z);
        not_less:    F, F "¬(x < y) = (y ≤ x)"           not(less(x, y)) => less_equal(y, x) if number(x) && number(y);
        not_above:   F, F "¬(x ≤ y) = (y < x)"           not(less_equal(x, y)) => less(y, x) if number(x) && number(y);
        relu_above:  F, F "max(x, 0) = x for x > 0"      select(less_equal(x, 0.0), 0.0, x) => x if positive(x);
        and_self:    E, E "p ∧ p = p"                   and(p, p) => p;
        or_self:     E, E "p ∨ p = p"                   or(p, p) => p;
        and_nots:    E, E "¬p ∧ ¬q = ¬(p ∨ q)"          and(not(p), not(q)) => not(or(p, q));
        or_nots:     E, E "¬p ∨ ¬q = ¬(p ∧ q)"          or(not(p), not(q)) => not(and(p, q));
        max_self:    E, R "max(x, x) = x"               maximum(x, x) => x;
        min_self:    E, R "min(x, x) = x"               minimum(x, x) => x;
    }
}
