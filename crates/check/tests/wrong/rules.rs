//! Wrong rules, one a line, with what is wrong. Every one of them must be caught.

use pleach_passes::rules;
use pleach_passes::rules::{Rule, float, invertible, mild, moderate, signed};

/// A guard is missing: of every rule of the library with one, or with two, each of them once.
/// (`float` holds wherever a rule of class F is tried, and so proves nothing.)
pub(crate) fn without_a_guard() -> Vec<Rule> {
    rules! {
        add_consts:     R, R "(x + a) + b, a + b = ∞"     add(add(x, c1), c2) => add(x, add(c1, c2));
        add_scaled:     R, R "a·x + b·x, a + b = ∞"         add(mul(x, c1), mul(x, c2)) => mul(x, add(c1, c2));
        sub_self:       F, F "x - x = 0, not for ∞"         sub(x, x) => 0.0 if float(x);
        neg_quotient:   E, E "-(x / a), of u8"              neg(div(x, c)) => div(x, neg(c));
        mul_consts:     R, R "(x·a)·b, a·b = ∞"             mul(mul(x, c1), c2) => mul(x, mul(c1, c2));
        mul_inverse:    R, R "x·(1 / y), of integers"       mul(x, div(1.0, y)) => div(x, y);
        mul_zero:       F, F "x·0 = 0, not for NaN"         mul(x, 0.0) => 0.0 if float(x);
        div_power:      E, E "x / a, not for a = 3"         div(x, c) => mul(x, div(1.0, c)) if invertible(c);
        div_const:      R, R "x / a, not for a = 0"         div(x, c) => mul(x, div(1.0, c)) if float(c);
        div_negs:       E, E "(-x) / (-y), of integers"     div(neg(x), neg(y)) => div(x, y);
        div_self:       F, F "x / x = 1, not for 0"         div(x, x) => 1.0 if float(x);
        abs_neg:        E, E "|-x| = |x|, of u8"            abs(neg(x)) => abs(x);
        sum_scaled:     R, R "Σ(x·a), a = ∞"                sum(mul(x, c)) => mul(sum(x), c);
        ln_exp:         F, F "ln eˣ = x, eˣ = ∞"            ln(exp(x)) => x if float(x);
        exp_ln:         F, F "exp(ln x) = x, x < 0"         exp(ln(x)) => x if float(x);
        exp_product_x:  F, F "eˣ·eʸ, eˣ = ∞"                mul(exp(x), exp(y)) => exp(add(x, y)) if moderate(y);
        exp_product_y:  F, F "eˣ·eʸ, eʸ = ∞"                mul(exp(x), exp(y)) => exp(add(x, y)) if moderate(x);
        exp_quotient_x: F, F "eˣ / eʸ, eˣ = ∞"              div(exp(x), exp(y)) => exp(sub(x, y)) if mild(y);
        exp_quotient_y: F, F "eˣ / eʸ, eʸ = ∞"              div(exp(x), exp(y)) => exp(sub(x, y)) if mild(x);
        exp_quotient:   F, F "eˣ / eʸ, its derivative = ∞"  div(exp(x), exp(y)) => exp(sub(x, y)) if moderate(x) && moderate(y);
        sqrt_squared:   F, F "√x·√x = x, x < 0"             mul(sqrt(x), sqrt(x)) => x if float(x);
        sqrt_of_square: F, F "√(x·x) = |x|, x·x = ∞"        sqrt(mul(x, x)) => abs(x) if float(x);
    }
}

/// Wrong for ordinary numbers: another function, or more rounding than is said.
pub(crate) fn in_values() -> Vec<Rule> {
    rules! {
        reassociate:    Z, Z "(x+a)+b = x+(a+b), rounded"   add(add(x, c1), c2) => add(x, add(c1, c2));
        reciprocal:     E, E "x / a = x·(1/a), rounded"     div(x, c) => mul(x, div(1.0, c)) if float(c);
        common_factor:  Z, Z "xy + xz = x(y + z), rounded"  add(mul(x, y), mul(x, z)) => mul(x, add(y, z));
        wrong_sign:     R, R "x - (-y) = x - y"             sub(x, neg(y)) => sub(x, y);
        operand_order:  R, R "-(x - y) = x - y"             neg(sub(x, y)) => sub(x, y);
        upside_down:    R, R "1 / (x / y) = x / y"          div(1.0, div(x, y)) => div(x, y) if float(x);
        max_of_negs:    R, R "max(-x, -y) = -max(x, y)"     maximum(neg(x), neg(y)) => neg(maximum(x, y));
        tanh_even:      R, R "tanh(-x) = tanh(x)"           tanh(neg(x)) => tanh(x);
        sin_even:       R, R "sin(-x) = sin(x)"             sin(neg(x)) => sin(x);
        de_morgan:      E, E "¬p ∧ ¬q = ¬(p ∧ q)"           and(not(p), not(q)) => not(and(p, q));
        branches:       E, E "(¬p ? x : y) = (p ? x : y)"   select(not(p), x, y) => select(p, x, y);
        half_a_sum:     R, R "x + x = x"                    add(x, x) => x;
        unstable:       S, S "-softplus(-x) = ln σ(x)"      neg(softplus(neg(x))) => ln(sigmoid(x));
    }
}

/// Right for all ordinary numbers, wrong at NaN, ±∞ or a zero of one sign.
pub(crate) fn at_nan_and_zeros() -> Vec<Rule> {
    rules! {
        add_zero:       E, E "x + 0 = x, not for -0"        add(x, 0.0) => x;
        sub_minus_zero: E, E "x - (-0) = x, not for -0"     sub(x, -0.0) => x;
        zero_minus:     E, E "0 - x = -x, not for 0"        sub(0.0, x) => neg(x) if signed(x);
        minus_minus:    E, E "-(0 - x) = x, not for 0"      neg(sub(0.0, x)) => x;
        swapped:        E, E "-(x - y) = y - x, not x = y"  neg(sub(x, y)) => sub(y, x);
        sum_neg:        K, K "Σ(-x) = -Σx, not for zeros"   sum(neg(x)) => neg(sum(x));
        times_zero:     Z, Z "x·0 = 0, not for NaN"         mul(x, 0.0) => 0.0;
        zero_over:      Z, Z "0 / x = 0, not for NaN, 0"    div(0.0, x) => 0.0 if float(x);
        minus_itself:   Z, Z "x - x = 0, not for NaN"       sub(x, x) => 0.0;
        plus_minus:     Z, Z "x + (-x) = 0, not for NaN"    add(x, neg(x)) => 0.0;
        absorbed_max:   E, R "min(x, max(x, y)) = x, y NaN" minimum(x, maximum(x, y)) => x;
        absorbed_min:   E, R "max(x, min(x, y)) = x, y NaN" maximum(x, minimum(x, y)) => x;
    }
}

/// The values are right for all numbers, NaN among them. The gradients are not.
pub(crate) fn in_gradients() -> Vec<Rule> {
    rules! {
        stopped:        E, E "sg(x) = x"                    stop_gradient(x) => x;
        stopped_neg:    E, E "sg(-x) = -x"                  stop_gradient(neg(x)) => neg(x);
        exp_stopped:    E, E "exp(sg(x)) = exp(x)"          exp(stop_gradient(x)) => exp(x);
        stopped_factor: E, E "x·sg(x) = x·x"                mul(x, stop_gradient(x)) => mul(x, x);
        stopped_term:   E, E "x + sg(x) = 2x"               add(x, stop_gradient(x)) => mul(x, 2.0);
        stopped_other:  E, E "x - sg(y) = x - y"            sub(x, stop_gradient(y)) => sub(x, y);
        straight:       E, E "st(x, y) = x"                 straight_through(x, y) => x;
        straight_neg:   E, E "st(-x, y) = -x"               straight_through(neg(x), y) => neg(x);
        straight_max:   E, E "st(max(x, y), y) = max(x, y)" straight_through(maximum(x, y), y) => maximum(x, y);
        straight_twice: E, E "x·st(x, y) = x·x"             mul(x, straight_through(x, y)) => mul(x, x);
    }
}
