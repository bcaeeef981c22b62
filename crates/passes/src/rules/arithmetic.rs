//! Sums, differences, products, quotients, signs.

use super::*;

pub(super) fn rules() -> Vec<Rule> {
    crate::rules! {
        add_zero:      Z, Z "x + 0 = x"                  add(x, 0.0) => x;
        add_self:      E, E "x + x = 2x"                 add(x, x) => mul(x, 2.0);
        add_neg:       E, E "x + (-y) = x - y"           add(x, neg(y)) => sub(x, y);
        add_consts:    R, R "(x + a) + b = x + (a + b)"  add(add(x, c1), c2) => add(x, add(c1, c2)) if ordinary_sum(c1, c2);
        add_scaled:    R, R "a·x + b·x = (a + b)·x"      add(mul(x, c1), mul(x, c2)) => mul(x, add(c1, c2)) if ordinary_sum(c1, c2);
        add_multiple:  R, R "x + a·x = (1 + a)·x"        add(x, mul(x, c)) => mul(x, add(1.0, c)) if ordinary(c);
        factor:        R, R "x·y + x·z = x·(y + z)"      add(mul(x, y), mul(x, z)) => mul(x, add(y, z));


        sub_neg:       E, E "x - (-y) = x + y"           sub(x, neg(y)) => add(x, y);
        sub_const:     E, E "x - a = x + (-a)"           sub(x, c) => add(x, neg(c));
        sub_factor:    R, R "x·y - x·z = x·(y - z)"      sub(mul(x, y), mul(x, z)) => mul(x, sub(y, z));
        sub_self:      F, F "x - x = 0"                  sub(x, x) => 0.0 if finite(x);

        neg_sub:       Z, E "-(x - y) = y - x"           neg(sub(x, y)) => sub(y, x);
        neg_scaled:    E, E "-(x·a) = x·(-a)"            neg(mul(x, c)) => mul(x, neg(c));
        neg_quotient:  E, E "-(x / a) = x / (-a)"        neg(div(x, c)) => div(x, neg(c)) if float(c);

        mul_minus_one: E, E "x·(-1) = -x"                mul(x, -1.0) => neg(x);
        mul_neg_const: E, E "(-x)·a = x·(-a)"            mul(neg(x), c) => mul(x, neg(c));
        mul_negs:      E, E "(-x)·(-y) = x·y"            mul(neg(x), neg(y)) => mul(x, y);
        mul_abs:       E, Z "|x|·|x| = x·x"              mul(abs(x), abs(x)) => mul(x, x);
        mul_consts:    R, R "(x·a)·b = x·(a·b)"          mul(mul(x, c1), c2) => mul(x, mul(c1, c2)) if ordinary_product(c1, c2);
        mul_inverse:   R, R "x·(1 / y) = x / y"          mul(x, div(1.0, y)) => div(x, y) if float(y);
        mul_zero:      F, F "x·0 = 0"                    mul(x, 0.0) => 0.0 if finite(x);

        div_power:     E, E "x / 2ᵏ = x·2⁻ᵏ"             div(x, c) => mul(x, div(1.0, c)) if power_of_two(c);
        div_const:     R, R "x / a = x·(1 / a)"          div(x, c) => mul(x, div(1.0, c)) if invertible(c);
        div_negs:      E, E "(-x) / (-y) = x / y"        div(neg(x), neg(y)) => div(x, y) if float(x);
        div_self:      F, F "x / x = 1"                  div(x, x) => 1.0 if nonzero(x);

        abs_neg:       E, E "|-x| = |x|"                 abs(neg(x)) => abs(x) if signed(x);
        abs_twice:     E, Z "||x|| = |x|"                abs(abs(x)) => abs(x);
        sign_twice:    E, E "sgn sgn x = sgn x"          sign(sign(x)) => sign(x);
        floor_twice:   E, E "⌊⌊x⌋⌋ = ⌊x⌋"                floor(floor(x)) => floor(x);
        ceil_twice:    E, E "⌈⌈x⌉⌉ = ⌈x⌉"                ceil(ceil(x)) => ceil(x);
        round_twice:   E, E "rd rd x = rd x"             round(round(x)) => round(x);
        trunc_twice:   E, E "tr tr x = tr x"             trunc(trunc(x)) => trunc(x);

        max_consts:    E, R "max(max(x, a), b) = max(x, max(a, b))" maximum(maximum(x, c1), c2) => maximum(x, maximum(c1, c2));
        min_consts:    E, R "min(min(x, a), b) = min(x, min(a, b))" minimum(minimum(x, c1), c2) => minimum(x, minimum(c1, c2));
        max_absorbs:   E, R "max(max(x, y), x) = max(x, y)" maximum(maximum(x, y), x) => maximum(x, y);
        min_absorbs:   E, R "min(min(x, y), x) = min(x, y)" minimum(minimum(x, y), x) => minimum(x, y);
        max_scaled:    E, R "max a·x = a·max x"          max(mul(x, c)) => mul(max(x), c) if above_zero(c);
        min_scaled:    E, R "min a·x = a·min x"          min(mul(x, c)) => mul(min(x), c) if above_zero(c);

        matmul_left:   R, R "XY + XZ = X(Y + Z)"         add(matmul(x, y), matmul(x, z)) => matmul(x, add(y, z));
        matmul_right:  R, R "YX + ZX = (Y + Z)X"         add(matmul(y, x), matmul(z, x)) => matmul(add(y, z), x);
        matmul_less:   R, R "XY - XZ = X(Y - Z)"         sub(matmul(x, y), matmul(x, z)) => matmul(x, sub(y, z));
        matmul_lesser: R, R "YX - ZX = (Y - Z)X"         sub(matmul(y, x), matmul(z, x)) => matmul(sub(y, z), x);
        matmul_negs:   E, Z "(-X)(-Y) = XY"              matmul(neg(x), neg(y)) => matmul(x, y);
        matmul_neg:    Z, Z "-((-X)Y) = XY"              neg(matmul(neg(x), y)) => matmul(x, y);
        matmul_neg_r:  Z, Z "-(X(-Y)) = XY"              neg(matmul(x, neg(y))) => matmul(x, y);

        pow_one:       E, E "x¹ = x"                     pow(x, 1.0) => x;
        pow_half:      F, F "x^½ = √x"                   pow(x, 0.5) => sqrt(x) if positive(x);
        pow_inverse:   R, R "x⁻¹ = 1 / x"                pow(x, -1.0) => div(1.0, x) if float(x);

        sum_neg:       Z, E "Σ(-x) = -Σx"                sum(neg(x)) => neg(sum(x));
        sum_scaled:    R, R "Σ(x·a) = (Σx)·a"            sum(mul(x, c)) => mul(sum(x), c) if ordinary(c);

        // After differentiation it is nothing; of gradients taken later it would change all.
        stop_gradient: E, L "sg(x) = x"                  stop_gradient(x) => x;
        straight:      E, L "st(x, y) = x"               straight_through(x, y) => x;
    }
}
