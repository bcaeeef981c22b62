//! Every rule of the library keeps what its classes promise. The test knows the rules as a list,
//! and names none.

use pleach_passes::rules::RULES;
use pleach_passes::testing::holds;

#[test]
fn both_sides_of_every_rule_agree_within_its_classes() {
    let mut wrong = Vec::new();
    for rule in RULES.iter() {
        match holds(rule, &[]) {
            Ok(held) => println!("{rule}: {held:?}"),
            Err(why) => wrong.push(why),
        }
    }
    assert!(wrong.is_empty(), "{} of {} rules\n\n{}", wrong.len(), RULES.len(), wrong.join("\n\n"));
}

mod wrong {
    use super::holds;
    use pleach_passes::rules;
    use pleach_passes::rules::float;

    /// What must not be believed, and is not.
    #[test]
    fn rules_that_claim_too_much_are_caught() {
        let rules = rules! {
            add_zero:     E, E "x + 0 = x, but -0"          add(x, 0.0) => x;
            sum_neg:      K, K "Σ(-x) = -Σx, but zeros"     sum(neg(x)) => neg(sum(x));
            neg_sub:      E, E "-(x-y) = y-x, but equals"   neg(sub(x, y)) => sub(y, x);
            abs_neg:      E, E "|-x| = |x|, but u8"         abs(neg(x)) => abs(x);
            mul_zero:     Z, Z "x·0 = 0, but NaN"           mul(x, 0.0) => 0.0;
            sub_self:     F, F "x - x = 0, but ∞"           sub(x, x) => 0.0 if float(x);
            div_const:    E, E "x / a = x·(1/a), rounded"   div(x, c) => mul(x, div(1.0, c)) if float(c);
            reassociate:  Z, Z "(x+a)+b = x+(a+b), rounded" add(add(x, c1), c2) => add(x, add(c1, c2));
            wrong_sign:   R, R "x - (-y) = x - y"           sub(x, neg(y)) => sub(x, y);
            gradient:     E, E "sg(x) = x"                  stop_gradient(x) => x;
            unstable:     S, S "-softplus(-x) = ln σ(x)"    neg(softplus(neg(x))) => ln(sigmoid(x));
        };
        for rule in &rules {
            let held = holds(rule, &[]);
            assert!(held.is_err(), "{rule} is believed: {held:?}");
        }
    }
}
