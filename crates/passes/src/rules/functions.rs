//! Exponentials, logarithms, roots, activations.

use super::*;

pub(super) fn rules() -> Vec<Rule> {
    crate::rules! {
        ln_sigmoid:        S, S "ln σ(x) = -softplus(-x)"    ln(sigmoid(x)) => neg(softplus(neg(x)));
        ln_one_plus_exp:   S, S "ln(1 + eˣ) = softplus(x)"   ln(add(exp(x), 1.0)) => softplus(x);
        ln_1p_exp:         S, S "ln1p(eˣ) = softplus(x)"     ln_1p(exp(x)) => softplus(x);
        ln_one_plus:       S, S "ln(1 + x) = ln1p(x)"        ln(add(x, 1.0)) => ln_1p(x);
        ln_exp:            F, F "ln eˣ = x"                  ln(exp(x)) => x if moderate(x);

        exp_minus_one:     S, S "eˣ - 1 = expm1(x)"          add(exp(x), -1.0) => expm1(x);
        one_minus_exp:     S, S "1 - eˣ = -expm1(x)"         sub(1.0, exp(x)) => neg(expm1(x));
        one_minus_sigmoid: S, S "1 - σ(x) = σ(-x)"           sub(1.0, sigmoid(x)) => sigmoid(neg(x));
        logistic:          S, S "1 / (1 + e⁻ˣ) = σ(x)"       div(1.0, add(exp(neg(x)), 1.0)) => sigmoid(x);

        exp_ln:            F, F "exp(ln x) = x"              exp(ln(x)) => x if positive(x);
        exp_product:       F, F "eˣ·eʸ = eˣ⁺ʸ"               mul(exp(x), exp(y)) => exp(add(x, y)) if moderate(x) && moderate(y);
        exp_quotient:      F, F "eˣ / eʸ = eˣ⁻ʸ"             div(exp(x), exp(y)) => exp(sub(x, y)) if mild(x) && mild(y);

        sqrt_squared:      F, F "√x·√x = x"                  mul(sqrt(x), sqrt(x)) => x if positive(x);
        sqrt_of_square:    F, F "√(x·x) = |x|"               sqrt(mul(x, x)) => abs(x) if nonzero(x);

        tanh_odd:          R, R "-tanh(-x) = tanh(x)"        neg(tanh(neg(x))) => tanh(x);
        sin_odd:           R, R "-sin(-x) = sin(x)"          neg(sin(neg(x))) => sin(x);
        // Where -x is there already.
        neg_tanh:          R, R "-tanh(x) = tanh(-x)"        neg(tanh(x)) => tanh(neg(x));
        neg_sin:           R, R "-sin(x) = sin(-x)"          neg(sin(x)) => sin(neg(x));
        neg_tanh_scaled:   R, R "-tanh(x·a) = tanh(x·(-a))"  neg(tanh(mul(x, c))) => tanh(mul(x, neg(c)));
        neg_sin_scaled:    R, R "-sin(x·a) = sin(x·(-a))"    neg(sin(mul(x, c))) => sin(mul(x, neg(c)));
        cos_even:          R, R "cos(-x) = cos(x)"           cos(neg(x)) => cos(x);
    }
}
